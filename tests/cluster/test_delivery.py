"""Delivery objects of Argo CD and Flux.

What points a reconciler at the tree is accepted where Argo CD or Flux is served.
"""

from __future__ import annotations

import pytest

from ftgen import pipeline
from ftgen.config.compose import Composer
from ftgen.output.delivery import GitSource
from ftgen.text import yamlio

from .site import Site

pytestmark = pytest.mark.cluster

SOURCE = GitSource("https://git.example.com/team/training.git", "refs/heads/main", "training/a")


@pytest.mark.parametrize(
    "words",
    [("delivery=argocd",), ("delivery=argocd", "delivery.application_set=true"), ("delivery=flux",)],
    ids=["applications", "application-set", "kustomizations"],
)
def test_its_objects_are_accepted(site: Site, composer: Composer, namespace: str, words: tuple[str, ...]) -> None:
    where = ("delivery.application=true", f"delivery.namespace={namespace}", f"cluster.namespace={namespace}")
    runs = pipeline.deliver([pipeline.compile_job(composer, [*words, *where])], SOURCE)
    objects = [yamlio.parse(text.decode(), path) for run in runs for path, text in run.files.items()]
    assert objects
    site.kubectl("apply", "--server-side", "-f", "-", objects=objects)
    again = site.kubectl.ask("diff", "--server-side", "-f", "-", objects=objects)
    assert (again.code, again.out) == (0, ""), again.err
