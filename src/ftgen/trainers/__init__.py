"""What the training frameworks accept.

`surface` reads what one pinned release of a framework takes, as derived from its package; `arguments` gives a user's
arguments the types that it wants, `llamafactory` makes its configurations, and `image` its container image.  The rules
about arguments are in `ftgen.validation.rules.trainer`.
"""
