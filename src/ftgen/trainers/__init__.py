"""What the training frameworks accept.

`surface` reads what one pinned release of a framework takes, as derived from its package; `conflicts` holds
what its parser refuses, `circumstances` what fails later on this hardware, model, data set or image;
`arguments` is the door: check and normalise a user's arguments.
"""
