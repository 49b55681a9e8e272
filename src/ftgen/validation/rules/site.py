"""What a site's own rule finds in an object or a configuration; `validation.site` reads the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from typing import TYPE_CHECKING, Any

from ftgen.text.paths import Steps, dotted, part, put
from ftgen.validation import Finding, rule
from ftgen.validation.rules import SITE

if TYPE_CHECKING:  # only a site with rules imports a CEL library
    from ftgen.validation.site import SiteRule


@rule("FT786", "site-rule", on=SITE, denied=True)
def site_rule(own: SiteRule, subject: Any) -> Iterator[Finding]:
    """A rule of the site's own, in `rules/*.yaml`, refuses the object or the configuration.

    The headline begins with the rule's name, and the last location is the rule itself. Its expression (CEL) is false,
    or cannot be evaluated, as where it reads a field that is not there; the API server refuses both, too, where the
    rule is exported as a policy. Who makes an exception writes it into the rule's `when`. See docs/policy.md.

    Refused: an image of docker.io, by `object.spec.tasks.all(t, t.template.spec.containers.all(c,
    c.image.startsWith('registry.example.com/')))`.
    Write: an image of registry.example.com.
    """
    read = own.read(subject)
    text = own.refusal(read)
    if text:
        path = _blamed(own, read)
        yield Finding(f"{own.name}: {text}", dotted(path), _scalar(subject, path), own.help, related=(own.place,))


def _blamed(own: SiteRule, subject: Any) -> Steps:
    """Return the innermost field to which the verdict is due.

    No list can tell which of its items a macro such as `all` stumbled over, so that this asks again: with one item at a
    time, and without one field at a time.  What decides whether the rule applies is not to blame, unless that is what
    cannot be evaluated.
    """
    verdict, found, path = own.verdict(subject), Steps(), Steps()
    ask = own.demand if own.demand(subject) == verdict else own.verdict
    while narrower := _narrower(ask, verdict, subject, path):
        step, inner, subject = narrower
        found, path = (*found, step), (*path, inner)
    return found


_Narrower = tuple[str | int, str | int, Any]
"""A step to a part that the verdict is due to, the same step in a narrowed subject, and that subject."""
_MOST = 200
"""Number of items and fields that are tried: each takes an evaluation."""


def _narrower(ask: Callable[[Any], bool | str], verdict: object, subject: Any, path: Steps) -> _Narrower | None:
    here = reduce(part, path, subject)
    if isinstance(here, list):
        single = ((index, put(subject, path, [item])) for index, item in enumerate(here[:_MOST]))
        return next(((index, 0, only) for index, only in single if ask(only) == verdict), None)
    keys = [*here][:_MOST] if isinstance(here, dict) else []
    without = ((key, put(subject, path, {k: v for k, v in here.items() if k != key})) for key in keys)
    answers = {key: ask(less) for key, less in without}
    # Without the field to blame a subject may be accepted; without any that is read, there is no answer.
    decisive = [key for key, answer in answers.items() if answer is True] or [
        key for key, answer in answers.items() if answer != verdict
    ]
    return (decisive[0], decisive[0], subject) if decisive else None


def _scalar(subject: Any, path: Steps) -> Any:
    value = reduce(part, path, subject)
    return "" if value is None or isinstance(value, (dict, list)) else value
