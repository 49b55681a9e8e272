"""The document around a page's content: its head, the policy, the style and the script."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources

from ftgen.review.page.markup import Markup, escape, join, tag

_GENERATOR = tag("meta", name="generator", content="ftgen")
GENERATED = _GENERATOR.encode()
"""What an earlier page is known by, near its beginning."""


def document(title: str, *body: object, language: str = "en", script: bool = False) -> str:
    """Return a page as one HTML file.

    Args:
        title: title of the document.
        body: texts and elements.
        language: language of the texts (BCP 47).
        script: whether the page has tables to sort and filter.
    """
    style, program = _packaged("style.css"), _packaged("page.js") if script else Markup("")
    head = join(
        [
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, program)),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            _GENERATOR,
            tag("title", title),
            tag("style", style),
        ],
        "\n",
    )
    content = join([*body, tag("script", program) if program else ""], "\n")
    lang = escape(language)
    return f'<!DOCTYPE html>\n<html lang="{lang}">\n<head>\n{head}\n</head>\n<body>\n{content}\n</body>\n</html>\n'


def _policy(style: str, program: str) -> str:
    """Forbid everything but the page's own style and script; `default-src` covers every kind of request."""
    script = f"script-src {_hash(program)}; " if program else ""
    return (
        f"default-src 'none'; {script}style-src {_hash(style)}; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _packaged(name: str) -> Markup:
    """Return a style or script of this package, which holds no `</`."""
    return Markup(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))
