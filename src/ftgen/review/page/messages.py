"""What a page says, in the language of its reader."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

from msgspec import Struct

LANGUAGES = ("en", "zh")
"""Languages of the catalogue; the first is the default."""


class Messages(Struct, frozen=True):
    """Messages of one language.

    Attributes:
        language: `en` or `zh`.
        texts: message by key, with `{placeholders}`.
    """

    language: str
    texts: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """Return a message with its values in place."""
        return self.texts[key].format(**values)

    def count(self, key: str, number: int) -> str:
        """Return a number with its noun, such as `1 job` and `2 jobs`, or the noun alone where the message is that."""
        return self(f"{key}.one" if number == 1 else f"{key}.other", n=number)

    def term(self, family: str, word: str) -> str:
        """Return the translation of one of ftgen's own words, or the word where it is a new one."""
        return self.texts.get(f"{family}.{word.replace(' ', '-')}", word)


@cache
def messages(language: str) -> Messages:
    """Read the catalogue's messages of a language."""
    text = resources.files(__package__).joinpath("messages.toml").read_text(encoding="utf-8")
    catalogue = tomllib.loads(text)
    return Messages(language, {key: forms[language] for key, forms in catalogue.items()})


def of(language: str | None, environment: Mapping[str, str]) -> Messages:
    """Return the messages of a language that was asked for, or else of the locale."""
    return messages(language or language_of(environment))


def language_of(environment: Mapping[str, str]) -> str:
    """Return the catalogue's language of a locale: the first of LC_ALL, LC_MESSAGES, LANG that is set; else English."""
    names = (environment.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    found = next(filter(None, names), "").lower()
    return next((language for language in LANGUAGES if found[:2] == language), LANGUAGES[0])
