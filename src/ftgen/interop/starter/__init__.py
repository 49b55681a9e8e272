"""Files of a directory of one's own: choices and values as configuration, and what a repository has beside it.

The texts that hold no choice lie beside this module as they are written (`github.yaml`, `README.md`, …).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from ftgen.interop import sections
from ftgen.text import yamlio

NAME = "mine"
"""Name of the options that describe the user's site; as in `ftgen cluster=mine`."""
SITE = {"cluster": "The cluster", "storage": "The volumes", "tracking": "The tracking server"}
"""Groups whose values become an option of the user's own: they describe the site, and not one training.

Other values go into config.yaml: an option of another name would lose the overlays of the option that it is made of.
"""
CI = {"github": ".github/workflows/ftgen.yaml", "gitlab": ".gitlab-ci.yml"}
SCHEMAS = "conf/.schema"
_HERE = Path(__file__).parent


class Answers(Struct, frozen=True):
    """What a directory is made for.

    Attributes:
        choices: option by group, in the order of the defaults list.
        values: value by dotted key, as a configuration file holds it.
    """

    choices: Mapping[str, str]
    values: Mapping[str, Any]

    @property
    def own(self) -> list[str]:
        """Return the groups with an option of the user's own."""
        said = {key.partition(".")[0] for key in self.values}
        return [group for group in SITE if group == "cluster" or group in said]


def files(answers: Answers, ci: str, requirement: str) -> dict[str, bytes]:
    """Return the content of each file by its path, without the editor's schemas.

    Args:
        answers: choices and values.
        ci: a key of `CI`, or `none`.
        requirement: what pip installs ftgen from.
    """
    texts = {"conf/config.yaml": _primary(answers)}
    texts |= {f"conf/{group}/{NAME}.yaml": _option(group, answers) for group in answers.own}
    texts |= {
        f"overlays/cluster/{NAME}/pods.yaml": _text("pods.yaml"),
        ".pre-commit-config.yaml": _text("pre-commit.yaml"),
        "README.md": _text("README.md"),
    }
    if ci in CI:
        texts[CI[ci]] = _text(f"{ci}.yaml").replace("ftgen==VERSION", requirement)
    return {path: text.encode() for path, text in texts.items()}


def _primary(answers: Answers) -> str:
    """Write config.yaml: an option of each group, and the values that belong to no site."""
    chosen = [{group: NAME if group in answers.own else option} for group, option in answers.choices.items()]
    values = {key: value for key, value in answers.values.items() if key.partition(".")[0] not in answers.own}
    head = "# What holds where the command line chooses nothing else: an option of each group (`ftgen groups`).\n"
    body = yamlio.dump({"defaults": [*chosen, "common", "_self_"], **sections.nested(values)})
    return f"{_modeline(1, 'config')}{head}{body}{_text('config.yaml')}"


def _option(group: str, answers: Answers) -> str:
    """Write the user's own option of a group: the chosen option, and the values that differ."""
    values = {key: value for key, value in answers.values.items() if key.startswith(f"{group}.")}
    head = f"# {SITE[group]} of this site; `ftgen explain {group}.KEY` says what a key means and where it comes from.\n"
    body = {"defaults": [f"{answers.choices[group]}@_here_", "_self_"], **sections.nested(values).get(group, {})}
    hints = _text("cluster.yaml") if group == "cluster" else ""
    return f"{_modeline(2, group)}{head}{_with_hints(body, hints)}"


def _with_hints(content: Mapping[str, Any], hints: str) -> str:
    """Write an option with what else it may hold as comments: those of a section that it has stand in that section."""
    title, *blocks = re.split(r"^# (?=[a-z_]+:)", hints, flags=re.MULTILINE)
    inner = {block.partition(":")[0]: block.splitlines()[1:] for block in blocks}
    body = (yamlio.dump({key: value}) + _inside(value, inner.get(key, [])) for key, value in content.items())
    others = (f"# {block}" for block in blocks if block.partition(":")[0] not in content)
    return "".join((*body, title, *others))


def _inside(section: Any, hints: Iterable[str]) -> str:
    lines = (hint.removeprefix("#").strip() for hint in hints)
    wanted = [line for line in lines if isinstance(section, dict) and line.partition(":")[0] not in section]
    return "".join(f"  # {line}\n" for line in wanted)


def _modeline(depth: int, name: str) -> str:
    """Write the comment by which editors with the YAML language server find a file's schema."""
    up = "/".join([".."] * (depth - 1) or ["."])
    return f"# yaml-language-server: $schema={up}/{Path(SCHEMAS).name}/{name}.json\n"


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
