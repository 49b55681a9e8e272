"""Run kubectl, which reads the user's own configuration; no other module starts the program."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from typing import Any

from ftgen.diagnostics import Rejected, error
from ftgen.text.files import LARGEST
from ftgen.text.yamlio import parse_json

PROGRAM, UNREACHABLE, DENIED, UNSERVED, SHAPE, FAILED = "FT570", "FT571", "FT572", "FT573", "FT574", "FT575"
_TIMEOUT = "30s"
_LONGEST_MESSAGE = 400

# What kubectl says of a failure -> its code and remedy; the first that matches.
_FAILURES = tuple(
    (code, re.compile(pattern, re.IGNORECASE), help_)
    for code, pattern, help_ in (
        (DENIED, r"\(Forbidden\)|\bforbidden:|\(Unauthorized\)|must be logged in", "ask for the right to list them"),
        (
            UNSERVED,
            r"doesn't have a resource type|could not find the requested resource",
            "is Volcano installed there?",
        ),
        (
            UNREACHABLE,
            r"unable to connect|refused|no such host|timed? ?out|deadline exceeded|x509|no route to host",
            "look at `kubectl cluster-info`, and at the context: `kubectl config current-context`",
        ),
    )
)


def get(kinds: Sequence[str], namespace: str | None = None, *, all_namespaces: bool = False) -> list[dict[str, Any]]:
    """Return the objects of some kinds as the API server has them.

    Args:
        kinds: resources as kubectl names them, such as `nodes` or `queues.scheduling.volcano.sh`.
        namespace: namespace of the objects, else that of kubectl's context.
        all_namespaces: whether to return the objects of every namespace.

    Raises:
        Rejected: FT570 there is no kubectl, FT571 the API server cannot be reached, FT572 it denies the request, FT573
            it does not serve a kind, FT574 the answer is no list of objects, FT575 anything else.
    """
    where = ["--all-namespaces"] if all_namespaces else [f"--namespace={namespace}"] if namespace else []
    asked = ",".join(kinds)
    return _items(_run("get", asked, *where, "--output=json", f"--request-timeout={_TIMEOUT}", what=asked), asked)


def _run(*words: str, what: str) -> bytes:
    try:
        done = subprocess.run(["kubectl", *words], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except (FileNotFoundError, PermissionError):
        help_ = "install it (https://kubernetes.io/docs/tasks/tools/), or put its folder on PATH"
        raise Rejected([error(PROGRAM, "kubectl is not installed", "kubectl", help=help_)]) from None
    if done.returncode:
        raise _failed(done.stderr.decode("utf-8", "replace"), what)
    return done.stdout


def _failed(message: str, what: str) -> Rejected:
    plain = "".join(c if c.isprintable() or c == "\n" else " " for c in message)
    # The lines before the last are the log of attempts.
    said = next((line.strip() for line in reversed(plain.split("\n")) if line.strip()), "")[:_LONGEST_MESSAGE]
    code, help_ = next(((code, help_) for code, pattern, help_ in _FAILURES if pattern.search(said)), (FAILED, ""))
    return Rejected([error(code, f"kubectl cannot get {what}: {said or 'it says nothing'}", what, help=help_)])


def _items(answer: bytes, what: str) -> list[dict[str, Any]]:
    """Return the objects of an answer, which is whatever a program called kubectl printed."""
    try:
        found = parse_json(answer) if len(answer) <= LARGEST else None
    except ValueError:
        found = None
    items = found.get("items") if isinstance(found, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        headline = f"kubectl's answer about {what} is no list of objects"
        raise Rejected([error(SHAPE, headline, what, help=f"look at it: kubectl get {what} -o json")])
    return items
