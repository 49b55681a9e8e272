"""What a golden leaves out, because it changes with every edit of a container script, and how it is put back.

The scripts have tests of their own, so that their text is replaced by their file's name; the hash in a job's name and
the digest of its configuration cover them.
"""

from __future__ import annotations

import re
from functools import cache

from ftgen import runtime
from ftgen.lower import render
from ftgen.pipeline import Compiled

_SCRIPTS = re.compile("(-scripts-)[0-9a-f]{8}")
_DIGEST = re.compile("sha256:[0-9a-f]{64}")
_PLACE = re.compile("^( *)<([a-z]+\\.sh)>\n", re.MULTILINE)


def pinned(job: Compiled) -> str:
    """Write a job's manifests without what changes with the scripts."""
    text = render.stream(job.bundle, job.identity)
    for name, script in _scripts().items():
        text = _block(script).sub(rf"\1<{name}>\n", text)
    text = text.replace(job.name, f"{job.name[:-8]}<hash>") if job.name else text
    text = _SCRIPTS.sub(r"\1<hash>", text)
    return _DIGEST.sub("sha256:<digest>", text)


def filled(text: str) -> str:
    """Put the scripts and some hash where a golden leaves them out."""
    text = _PLACE.sub(lambda place: _indented(_scripts()[place[2]], place[1]), text)
    return text.replace("<hash>", "0000beef").replace("<digest>", "0" * 64)


@cache
def _scripts() -> dict[str, str]:
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(runtime.conf_dir().glob("trainer/*.sh"))}


@cache
def _block(script: str) -> re.Pattern[str]:
    """Match a script as a block of YAML, however deep it stands."""
    first, *others = map(re.escape, script.splitlines())
    lines = [f"^( *){first}\n", *(f"\\1{line}\n" if line else "\n" for line in others)]
    return re.compile("".join(lines), re.MULTILINE)


def _indented(script: str, depth: str) -> str:
    return "".join(f"{depth}{line}\n" if line else "\n" for line in script.splitlines())
