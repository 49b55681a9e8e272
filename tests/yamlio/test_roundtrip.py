"""Editing a file in place keeps what its author wrote around the edit."""

import pytest

from ftgen.diagnostics import Rejected
from ftgen.yamlio import dump_roundtrip, load_roundtrip

TEXT = """\
# who uses it
name: full-gpu  # the default
devices: 4
shell: |
  echo a
quoted: "on"
list:
- a  # first
- 'b'
"""


def test_an_unedited_document_is_the_same_text():
    assert dump_roundtrip(load_roundtrip(TEXT, "x.yaml")) == TEXT


def test_an_edit_touches_its_own_line_only():
    document = load_roundtrip(TEXT, "x.yaml")
    document["devices"] = 8
    document["list"].append("c")
    assert dump_roundtrip(document) == TEXT.replace("devices: 4", "devices: 8") + "- c\n"


def test_what_parse_refuses_is_not_edited():
    with pytest.raises(Rejected) as caught:
        load_roundtrip("a: 1\na: 2\n", "x.yaml")
    assert str(caught.value.diagnostics[0].locations[0]) == "x.yaml:2:1"
