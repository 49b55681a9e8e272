"""Clusters to test with: answers that a real API server gave, and a kubectl that gives them again.

`recorded/` holds a run each, as Kubernetes 1.36 and Volcano 1.15 described it once its cause was provoked, without
the fields that nobody here reads; `cluster.json` holds the nodes, the pods on them and the storage classes.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from ftgen.remote.cluster import ClusterState, Run, join, objects, why
from ftgen.remote.cluster.causes import Cause

RECORDED = Path(__file__).parent / "recorded"
# A server that is asked as `cluster.read_surroundings` asks leaves these out.
ORDINARY = ("Scheduled", "ExternalProvisioning", "WaitForFirstConsumer")
KINDS = ("jobs", "podgroups", "pods", "persistentvolumeclaims", "events", "queues")
Body = dict[str, Any]


def recorded(*names: str) -> dict[str, list[Body]]:
    """The objects of some runs, and the cluster around them."""
    found: dict[str, list[Body]] = {kind: [] for kind in KINDS}
    for name in names:
        for kind, bodies in json.loads((RECORDED / f"{name}.json").read_text()).items():
            found[kind] += [body for body in bodies if body not in found[kind]]
    found["events"] = [body for body in found["events"] if body["reason"] not in ORDINARY]
    return found | json.loads((RECORDED / "cluster.json").read_text())


def state(bodies: Mapping[str, list[Body]], **changes: Any) -> ClusterState:
    views = {
        "jobs": ("jobs", objects.volcano_job),
        "groups": ("podgroups", objects.pod_group),
        "pods": ("pods", objects.pod),
        "claims": ("persistentvolumeclaims", objects.claim),
        "events": ("events", objects.event),
        "queues": ("queues", objects.queue),
        "nodes": ("nodes", objects.node),
        "placed": ("placed", objects.pod),
        "classes": ("storageclasses", objects.storage_class),
    }
    return ClusterState(
        **{name: [view(body) for body in bodies[kind]] for name, (kind, view) in views.items()} | changes
    )


def only_run(seen: ClusterState) -> Run:
    (run,) = join([], seen, has_tree=False)
    return run


def cause(bodies: Mapping[str, list[Body]], **changes: Any) -> Cause | None:
    seen = state(bodies, **changes)
    return why(only_run(seen), seen)


def altered(bodies: Mapping[str, list[Body]]) -> dict[str, list[Body]]:
    """A copy to change."""
    return deepcopy(dict(bodies))


_PATHS = {
    "jobs": "/apis/batch.volcano.sh/v1alpha1/namespaces/{namespace}/jobs",
    "podgroups": "/apis/scheduling.volcano.sh/v1beta1/namespaces/{namespace}/podgroups",
    "pods": "/api/v1/namespaces/{namespace}/pods",
    "persistentvolumeclaims": "/api/v1/namespaces/{namespace}/persistentvolumeclaims",
    "events": "/api/v1/namespaces/{namespace}/events",
    "queues": "/apis/scheduling.volcano.sh/v1beta1/queues",
    "nodes": "/api/v1/nodes",
    "placed": "/api/v1/pods",
    "storageclasses": "/apis/storage.k8s.io/v1/storageclasses",
}
_KUBECTL = """\
#!{python} -IS
import json, os, sys, urllib.parse

here = os.path.dirname(os.path.abspath(__file__))
answers = json.load(open(os.path.join(here, "answers.json")))
words = [word for word in sys.argv[1:] if not word.startswith("--request-timeout")]
with open(os.path.join(here, "calls"), "a") as calls:
    calls.write(json.dumps(words) + "\\n")
words = [word for word in words if not word.startswith(("--context=", "--kubeconfig="))]


def selected(text, query):
    # A server leaves out what the label, its absence or `metadata.namespace!=` of a query do.
    asked = urllib.parse.parse_qs(query)
    label, where = asked.get("labelSelector", [""])[0], asked.get("fieldSelector", [""])[0].split(",")
    if "metadata.namespace!=" not in str(where) and not label.startswith("!"):
        return text
    try:
        kept = json.loads(text)
    except ValueError:
        return text
    if not isinstance(kept, dict) or not isinstance(kept.get("items"), list):
        return text
    kept["items"] = [
        each for each in kept["items"]
        if not isinstance(each, dict) or not isinstance(each.get("metadata"), dict)
        or (label.lstrip("!") in str(each["metadata"].get("labels"))) != label.startswith("!")
        and "metadata.namespace!=" + str(each["metadata"].get("namespace")) not in where
    ]
    return json.dumps(kept)


def fail(text):
    sys.stderr.write(text + "\\n")
    sys.exit(1)


if answers.get("fail"):
    fail(answers["fail"])
elif words[:2] == ["get", "--raw"]:
    answer = answers["paths"].get(words[2].partition("?")[0])
    if answer is None:
        fail('Error from server (NotFound): the server could not find the requested resource')
    if "error" in answer:
        fail(answer["error"])
    sys.stdout.write(selected(answer["text"], words[2].partition("?")[2]))
elif words[:2] == ["config", "view"]:
    sys.stdout.write(answers["namespace"])
elif words[0] == "logs":
    sys.stdout.write("the log of " + " ".join(words[1:]) + "\\n")
elif words[0] in ("apply", "create"):
    names = [json.loads(line)["metadata"].get("name", "") for line in sys.stdin]
    for name in names:
        for word, text in answers["warns"].items():
            if word in name:
                sys.stderr.write("Warning: " + text + "\\n")
    refused = [text for name in names for word, text in answers["refuses"].items() if word in name]
    if refused:
        fail("\\n".join(refused))
else:
    fail("error: unknown command " + " ".join(words))
"""


class FakeKubectl:
    """A kubectl in a folder of PATH that answers as it is told."""

    def __init__(self, folder: Path, namespace: str = "ft-status") -> None:
        self.folder, self.namespace = folder, namespace
        self.answers: dict[str, Any] = {"namespace": namespace, "paths": {}, "refuses": {}, "warns": {}}
        folder.mkdir()
        program = folder / "kubectl"
        program.write_text(_KUBECTL.format(python=sys.executable))
        program.chmod(0o755)
        self.serve(recorded())
        self.answer("/apis/batch/v1/namespaces/{namespace}/jobs", items=[])
        self.answer("/api/v1/namespaces/{namespace}", value={"kind": "Namespace", "metadata": {}})

    def serve(self, bodies: Mapping[str, list[Body]]) -> None:
        for kind, path in _PATHS.items():
            self.answer(path, items=bodies[kind])

    def answer(self, path: str, *, items: Any = None, value: Any = None, error: str = "") -> None:
        """Answer at a path: a list of items, any value, a text as it is, or an error."""
        value = {"kind": "SomeList", "items": items} if value is None else value
        text = value if isinstance(value, str) else json.dumps(value)
        self.answers["paths"][path.format(namespace=self.namespace)] = {"error": error} if error else {"text": text}
        self._write()

    def at(self, kind: str, **answer: Any) -> None:
        self.answer(_PATHS[kind], **answer)

    def log(self, pod: str, text: str) -> None:
        self.answer(f"/api/v1/namespaces/{{namespace}}/pods/{pod}/log", value=text)

    def set(self, **answers: Any) -> None:
        self.answers |= answers
        self._write()

    def calls(self) -> list[list[str]]:
        calls = self.folder / "calls"
        return [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []

    def _write(self) -> None:
        (self.folder / "answers.json").write_text(json.dumps(self.answers))

    @property
    def path(self) -> str:
        return f"{self.folder}{os.pathsep}{os.environ['PATH']}"
