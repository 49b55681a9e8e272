"""The catalogue of messages: both languages say the same, of the same values."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from string import Formatter

import pytest

import ftgen.review.page
from ftgen.review.page import messages

CATALOGUE = tomllib.loads(resources.files(ftgen.review.page).joinpath("messages.toml").read_text(encoding="utf-8"))
PACKAGE = Path(ftgen.review.page.__file__).parent
# Words of other modules that are looked up by what they are.
FAMILIES = (
    "severity",
    "verdict",
    "change",
    "meaning",
    "column",
    "part",
    "title",
    "data",
    "pods",
    "reproduce",
    "matrix",
)


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", CATALOGUE)
def test_both_languages_have_a_message_with_the_same_placeholders(key: str) -> None:
    forms = CATALOGUE[key]
    assert set(forms) == set(messages.LANGUAGES)
    assert all(text.strip() for text in forms.values())
    assert _placeholders(forms["en"]) == _placeholders(forms["zh"])


def test_chinese_is_chinese() -> None:
    english_only = {key for key, forms in CATALOGUE.items() if not re.search(r"[\u4e00-\u9fff]", forms["zh"])}
    assert english_only == {"many", "tile.pods.one", "tile.pods.other", "part.logits", "pods.pod", "data.tokens"}


def test_every_key_that_the_code_names_is_there_and_every_key_is_used() -> None:
    code = "\n".join(
        file.read_text(encoding="utf-8") for file in [*PACKAGE.glob("*.py"), PACKAGE.parents[1] / "cli" / "review.py"]
    )
    named = set(re.findall(r'(?:say|count)\(\s*"([^"{]+)"', code)) | set(re.findall(r'"((?:reproduce)\.[a-z]+)"', code))
    plural = {key.rpartition(".")[0] for key in CATALOGUE if key.endswith((".one", ".other"))}
    assert named <= CATALOGUE.keys() | plural
    unused = {
        key for key in CATALOGUE if key.removesuffix(".one").removesuffix(".other") not in named and key not in named
    }
    assert {key for key in unused if key.partition(".")[0] not in FAMILIES} == set()


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_TW"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LC_MESSAGES": "zh_CN.UTF-8", "LANG": "en_US.UTF-8"}, "zh"),
        ({"LC_ALL": "C", "LC_MESSAGES": "zh_CN.UTF-8"}, "en"),
        ({"LC_ALL": "", "LANG": "zh_CN"}, "zh"),
    ],
)
def test_the_locale_chooses_the_language(environment: dict[str, str], language: str) -> None:
    assert messages.language_of(environment) == language
    assert messages.of("en", environment).language == "en"
