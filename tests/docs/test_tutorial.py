"""The tutorial is run from beginning to end in an empty folder, and prints what is stored in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from tests.docs.commands import ROOT
from tests.docs.test_commands import HASH

TUTORIAL = ROOT / "docs" / "tutorial.ipynb"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The notebook with what its cells print."""
    place = tmp_path_factory.mktemp("tutorial")
    with pytest.MonkeyPatch.context() as patch:
        for name, folder in {"HOME": "home", "IPYTHONDIR": "ipython", "JUPYTER_RUNTIME_DIR": "runtime"}.items():
            patch.setenv(name, str(place / folder))
        (place / "work").mkdir()
        notebook = nbformat.read(TUTORIAL, as_version=4)
        client = NotebookClient(
            notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": place / "work"}}
        )
        client.execute()
    return _plain(notebook)


def _plain(notebook: Any) -> dict[str, Any]:
    """Leave out what tells when, how often and on which machine the notebook was run."""
    found: dict[str, Any] = json.loads(json.dumps(notebook))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    found["metadata"] = {"kernelspec": kernel, "language_info": {"name": "python"}}
    for cell in found["cells"]:
        cell["metadata"] = {}
        if cell["cell_type"] == "code":
            cell["execution_count"] = None
        cell["source"] = cell["source"].splitlines(keepends=True)
        if cell["cell_type"] == "code":
            cell["outputs"] = _joined(cell["outputs"])
    return found


def _joined(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join what a program wrote to a stream in several pieces."""
    found: list[dict[str, Any]] = []
    for output in outputs:
        if found and output.get("name") and found[-1].get("name") == output["name"]:
            found[-1]["text"] += output["text"]
        else:
            found.append({key: value for key, value in output.items() if key not in {"execution_count", "metadata"}})
    required = {"execute_result": {"execution_count": None, "metadata": {}}, "display_data": {"metadata": {}}}
    return [output | required.get(output["output_type"], {}) for output in found]


def test_it_prints_what_is_stored(ran: dict[str, Any], update_golden: bool) -> None:
    text = json.dumps(ran, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if update_golden:
        TUTORIAL.write_text(text, encoding="utf-8")
    assert HASH.sub("<hash>", text) == HASH.sub("<hash>", TUTORIAL.read_text(encoding="utf-8"))


def test_it_knows_no_machine(ran: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    folders = (tmp_path_factory.getbasetemp(), ROOT, Path.home())
    assert [str(folder) for folder in folders if str(folder) in json.dumps(ran)] == []
