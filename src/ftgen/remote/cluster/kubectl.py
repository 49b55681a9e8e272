"""Run kubectl, with the user's own configuration; no other module starts the program."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from ftgen.diagnostics import Diagnostic, Rejected, credentials, error
from ftgen.text.lines import printable

PROGRAM, UNREACHABLE, DENIED, UNSERVED, SHAPE, FAILED = "FT570", "FT571", "FT572", "FT573", "FT574", "FT575"
_TIMEOUT_S = 30


class KubectlFailed(Exception):  # noqa: N818 - an expected outcome, not a malfunction
    """Error exit of kubectl; `message` is its error output."""

    def __init__(self, message: str) -> None:
        """Keep the message."""
        self.message = message.strip()
        super().__init__(self.message)


class Kubectl(Struct, frozen=True):
    """Connection to a cluster, as kubectl's own configuration describes it.

    Attributes:
        context: context of the kubeconfig; empty for the current one.
        kubeconfig: file; empty for what kubectl finds by itself.
    """

    context: str = ""
    kubeconfig: str = ""

    def get(self, path: str) -> Any:
        """Return what the API server answers at a path of its API, as a JSON value.

        The raw path skips kubectl's discovery and its second encoding, which take seconds for a thousand jobs.

        Raises:
            KubectlFailed: the server, or kubectl, refused.
            Rejected: there is no kubectl, or the answer is no JSON.
        """
        return _decoded(self.run("get", "--raw", path))

    def items(self, path: str, what: str) -> list[dict[str, Any]]:
        """Return the items of the list that the API server answers at a path; raise like `get`.

        Raises:
            Rejected: FT574, when the answer is no list of objects.
        """
        answer = self.get(path)
        items = answer.get("items") if isinstance(answer, dict) else None
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            headline = f"the API server's answer about {what} is no list of objects"
            raise Rejected([error(SHAPE, headline, what, help=f"look at it: `kubectl get --raw {path}`")])
        return items

    def namespace(self) -> str:
        """Return the namespace of the context.

        Raises:
            KubectlFailed: there is no such context.
        """
        found = self.run("config", "view", "--minify", "-o", "jsonpath={..namespace}")
        return printable(found.decode("utf-8", "replace")) or "default"

    def run(self, *command: str, stdin: bytes = b"") -> bytes:
        """Run a command of kubectl and return its output.

        Raises:
            KubectlFailed: it ended with an error.
            Rejected: FT570, there is no kubectl.
        """
        return self.run_with_warnings(*command, stdin=stdin)[0]

    def run_with_warnings(self, *command: str, stdin: bytes = b"") -> tuple[bytes, str]:
        """Run a command of kubectl and return its output and what it says beside it; raise like `run`."""
        line = self.line(*command, f"--request-timeout={_TIMEOUT_S}s")
        with _translated():
            done = subprocess.run(line, input=stdin, capture_output=True, check=False)
        if done.returncode:
            raise KubectlFailed(done.stderr.decode("utf-8", "replace"))
        return done.stdout, done.stderr.decode("utf-8", "replace")

    def follow(self, *command: str) -> int:
        """Run a command of kubectl on the terminal, and return its exit code; raise FT570 like `run`."""
        with _translated():
            return subprocess.run(self.line(*command), stdin=subprocess.DEVNULL, check=False).returncode

    def line(self, *command: str) -> list[str]:
        """Return the command line, as a user would type it."""
        chosen = [("--context", self.context), ("--kubeconfig", self.kubeconfig)]
        return ["kubectl", *(f"{flag}={value}" for flag, value in chosen if value), *command]


def list_path(version: str, resource: str, namespace: str = "") -> str:
    """Return the path of the list of a resource in a namespace, of the whole cluster if none is named.

    Args:
        version: group and version, such as `v1` or `batch/v1`.
        resource: plural of the kind, in lower case.
        namespace: name of the namespace.
    """
    scope = f"namespaces/{quote(namespace, safe='')}/" if namespace else ""
    return f"/{'apis' if '/' in version else 'api'}/{version}/{scope}{resource}"


@contextmanager
def _translated() -> Iterator[None]:
    """Convert a missing kubectl to a diagnostic."""
    try:
        yield
    except (FileNotFoundError, PermissionError):
        how = "install it (https://kubernetes.io/docs/tasks/tools/), or put its folder on PATH"
        raise Rejected([error(PROGRAM, "kubectl is not installed", "kubectl", help=how)]) from None


def _decoded(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except (ValueError, RecursionError):
        headline = "the API server's answer is no JSON"
        how = "look at it: `kubectl get --raw /version`; a proxy, or another program called kubectl, may stand between"
        raise Rejected([error(SHAPE, headline, "kubectl", help=how)]) from None


class _Kind(Struct, frozen=True):
    """Kind of failure: what kubectl says of it, the reasons by which a server that answers says it, and what we say."""

    code: str
    pattern: re.Pattern[str]
    reasons: re.Pattern[str]
    headline: str
    help: str


def _kind(code: str, pattern: str, reasons: str, headline: str, how: str) -> _Kind:
    return _Kind(code, re.compile(pattern, re.IGNORECASE), re.compile(reasons), headline, how)


_ANSWER = re.compile(r"^(?:Error from server\b|The \S+ \"[^\"]*\" is invalid)", re.MULTILINE)
"""Beginning of an answer of the API server, whose words may be about anything: a webhook's, a policy's, an object's."""
_NEVER = r"(?!)"
_LOGIN = "log in again, or name another context: --context NAME (`kubectl config get-contexts`)"
_KINDS: Sequence[_Kind] = (
    _kind(
        DENIED,
        r"\(Unauthorized\)|must be logged in|unauthorized",
        r"Error from server \(Unauthorized\)",
        "the cluster does not know you",
        _LOGIN,
    ),
    _kind(
        DENIED,
        r"\(Forbidden\)|forbidden:",
        r"Error from server \(Forbidden\)",
        "you may not {what}",
        "ask for the right: `kubectl auth can-i --list`",
    ),
    _kind(
        UNSERVED,
        r"could not find the requested resource|doesn't have a resource type|no matches for kind",
        r"\(NotFound\): (?:error when .*: )?the server could not find the requested resource",
        "the cluster does not serve what is needed to {what}",
        "install Volcano, or name the cluster that has it: --context NAME",
    ),
    _kind(
        PROGRAM,
        r"context .* does not exist|no context exists|no configuration has been provided|invalid configuration"
        r"|error loading config|current-context (?:is not set|must exist)|\bstat .*no such file|CreateFile",
        _NEVER,
        "kubectl has no such configuration",
        "name one that exists: --context NAME, --kubeconfig FILE (`kubectl config get-contexts`)",
    ),
    _kind(
        UNREACHABLE,
        r"unable to connect|connection .*refused|was refused|no such host|timed? ?out|deadline exceeded|x509"
        r"|tls:|no route to host|EOF|ServiceUnavailable|connection reset|network is unreachable",
        r"Error from server \((?:ServiceUnavailable|(?:Server|Gateway)?Timeout|TooManyRequests)\)|etcdserver: ",
        "the API server cannot be reached",
        "check network and address (`kubectl cluster-info`), or name another cluster: --context NAME",
    ),
)


# A line of client-go's log, such as of an attempt that is repeated.
_LOG_LINE = re.compile(r"[IWEF][0-9]{4} ")


def failure(problem: KubectlFailed, what: str, subject: str) -> Diagnostic:
    """Return the diagnostic of a failure.

    Args:
        problem: kubectl's error exit.
        what: what was tried, in words that follow "you may not".
        subject: what it was tried on.
    """
    lines = [line for line in problem.message.splitlines() if not _LOG_LINE.match(line)]
    said = printable(credentials.redact("\n".join(lines)))
    is_answer = _ANSWER.search("\n".join(lines)) is not None
    kind = next((kind for kind in _KINDS if (kind.reasons if is_answer else kind.pattern).search(said)), None)
    if kind is None:
        return error(
            FAILED, f"kubectl cannot {what}: {said}", subject, help="run the same by hand with -v=6 to see more"
        )
    return error(kind.code, f"{kind.headline.format(what=what)}: {said}", subject, help=kind.help)


def rejected(problem: KubectlFailed, what: str, subject: str) -> Rejected:
    """Return the rejection of a failure; the arguments are those of `failure`."""
    return Rejected([failure(problem, what, subject)])
