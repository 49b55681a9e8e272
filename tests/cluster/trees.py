"""Folders of rendered files, given to a cluster as a user or a reconciler gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftgen.text import yamlio

from .kubectl import Answer, Kubectl
from .live import differences

JOB = "jobs.batch.volcano.sh"


@dataclass(frozen=True, slots=True)
class Tree:
    """The rendered files of one namespace."""

    kubectl: Kubectl
    namespace: str
    folder: Path

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files as ftgen lays them out."""
        for path, content in files.items():
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    @property
    def objects(self) -> list[dict[str, Any]]:
        """What the files hold."""
        return [yamlio.parse(f.read_text(encoding="utf-8"), str(f)) for f in sorted(self.folder.rglob("*.yaml"))]

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """The jobs among the objects."""
        return [each for each in self.objects if each["apiVersion"].startswith("batch.volcano.sh/")]

    def apply(self, *flags: str) -> dict[str, str]:
        """Apply all files, and return what kubectl says became of each object."""
        lines = self.kubectl("apply", "--recursive", "-f", str(self.folder), *flags)
        return dict(line.split(" ", 1) for line in lines)

    def diff(self) -> Answer:
        """Compare all files with the cluster as the server would store them."""
        return self.kubectl.ask("diff", "--recursive", "-f", str(self.folder))

    def live(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the live objects of the kinds and names in the files."""
        kinds = sorted({_kind(each) for each in self.objects})
        found = (o for kind in kinds for o in self.kubectl.items(kind, "--namespace", self.namespace))
        return {(_kind(each), each["metadata"]["name"]): each for each in found}

    def differences(self) -> list[str]:
        """Return what the cluster made of the objects, field by field."""
        live = self.live()
        return [
            line for each in self.objects for line in differences(each, live[_kind(each), each["metadata"]["name"]])
        ]

    def phases(self) -> dict[str, str]:
        """Return the phase of every job of the namespace; empty where no controller has looked at it."""
        found = self.kubectl.items(JOB, "--namespace", self.namespace)
        return {each["metadata"]["name"]: each.get("status", {}).get("state", {}).get("phase", "") for each in found}

    def unfinished(self) -> dict[str, str]:
        """Return the phases of the jobs that have not completed."""
        return {name: phase for name, phase in self.phases().items() if phase != "Completed"}


def _kind(manifest: Mapping[str, Any]) -> str:
    group = manifest["apiVersion"].rpartition("/")[0]
    return f"{manifest['kind']}.{group}" if group else manifest["kind"]
