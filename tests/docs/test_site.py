"""The pages of the site: translations say the same, every page has its place, and the reference leaves nothing out."""

from __future__ import annotations

import re

import pytest
from tests.docs.commands import ROOT, Command, steps
from tests.docs.test_commands import accepted
from tools import reference, site

from ftgen import runtime, spec
from ftgen.cli.arguments import VERBS, parser
from ftgen.config import catalog

TRANSLATED = sorted([*ROOT.glob("*.zh.md"), *ROOT.glob("docs/*.zh.md")])


@pytest.mark.parametrize("page", TRANSLATED, ids=lambda page: page.name)
def test_a_translation_has_commands_of_its_page_in_its_order(page) -> None:
    english = iter(_what_is_typed(page.with_name(page.name.replace(".zh.md", ".md"))))
    assert len(_what_is_typed(page)) > 10
    assert [typed for typed in _what_is_typed(page) if typed not in english] == []


def test_contributing_names_folders_of_tests() -> None:
    section = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## How the tests are laid out")[2]
    named = set(re.findall(r"`([a-z]+)`", section.partition("\n## ")[0]))
    assert named <= {path.parent.name for path in ROOT.glob("tests/*/*.py")}
    assert len(named) > 30


def test_the_changes_are_told_up_to_this_version() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest
    assert newest[1] == runtime.VERSION


def _what_is_typed(page):
    return [(step.text, step.shown) if isinstance(step, Command) else step.text for step in steps(page)]


@pytest.mark.parametrize("language", site.FOLDER)
def test_links_lead_to_pages(language) -> None:
    """The build is stricter (anchors); this needs no mkdocs."""
    pages = dict(site.pages(language))
    assert "reference/keys.md" in pages
    for page, words in {"quickstart.md": "快速开始", "index.md": "三十秒上手"}.items():
        assert (words in pages[page]) == (language == "zh")
    assert not any("](README.zh" in text or "](README.md" in text for text in pages.values())
    assert "ftgen.sweep" in pages["tutorial.md"]
    assert "<svg" in pages["tutorial.md"]


def test_a_dead_link_ends_it() -> None:
    with pytest.raises(SystemExit, match=r"docs/x.md links to nowhere.md"):
        site.relinked("[a](nowhere.md)", "docs/x.md", {})


@pytest.mark.parametrize(
    "asking",
    [
        '<script src="https://a.example/x.js">',
        "<link rel=stylesheet href=//a.example/x.css>",
        "<img src='http://a.example'>",
    ],
)
def test_a_page_that_asks_another_host_ends_it(asking, tmp_path) -> None:
    (tmp_path / "page.html").write_text(f'<a href="https://a.example">a link</a><p>{asking}', encoding="utf-8")
    with pytest.raises(SystemExit, match=r"page.html asks another host"):
        site.refuse_requests(tmp_path)
    (tmp_path / "page.html").write_text('<a href="https://a.example">a link</a><img src="x.png">', encoding="utf-8")
    site.refuse_requests(tmp_path)


def test_the_reference_is_complete() -> None:
    pages = reference.pages()
    for verb in VERBS:
        assert f"### ftgen {verb}\n" in pages["reference/verbs.md"]
        flags = {
            flag for action in parser(verb)._actions if action.help != "==SUPPRESS==" for flag in action.option_strings
        }
        assert [flag for flag in flags if flag not in pages["reference/verbs.md"]] == []
    folders = [runtime.conf_dir()]
    for group, options in {**catalog.groups(folders), **catalog.nested_groups(folders)}.items():
        assert f"## {group}\n" in pages["reference/groups.md"]
        assert [option for option in options if f"`{option}`" not in pages["reference/groups.md"]] == []
    keys = re.findall(r"^\| `([\w.]+)`", pages["reference/keys.md"], re.MULTILINE)
    assert len(keys) > 250
    assert [key for key in keys if not spec.knows(key)] == []


def test_examples_of_help_are_commands(tmp_path) -> None:
    page = tmp_path / "verbs.md"
    page.write_text(reference.pages()["reference/verbs.md"], encoding="utf-8")
    commands = [words for step in steps(page) if isinstance(step, Command) for words in step.parts]
    assert len(commands) >= len(VERBS)
    for words in commands:
        accepted(words[words.index("ftgen") + 1 :])
