"""What serves a result, as the source of its lines: where a value of its manifests comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from ftgen import runtime
from ftgen.config.compose import Composer
from ftgen.lower import Identity, Object, privileges
from ftgen.pipeline import Workspace
from ftgen.pipeline.serving import fit
from ftgen.pipeline.serving.compile import (
    compile_service,
    configure,
    folder,
    for_pods,
    lowered,
    patches_of,
    scripts_of,
    service_inputs,
    serving_of,
)
from ftgen.pipeline.serving.trained import TrainedRun, trained_run
from ftgen.provenance.dependencies import LoweringInput
from ftgen.spec import admit


class ServiceSource(LoweringInput, frozen=True):
    """Input of the lowering of a service; its specification is the one that was admitted.

    Attributes:
        run: run whose result is served.
    """

    run: TrainedRun

    def with_config(self, config: Any) -> ServiceSource:
        """Return the input with another configuration."""
        return replace(self, spec=admit(config))

    def group_of(self, script: str) -> str:
        """Return the group of options beside which a script lies."""
        return "serving" if script == serving_of(self.spec).script else "trainer"

    def objects(self) -> tuple[Object, ...]:
        """Return the objects of the service."""
        serving = serving_of(self.spec)
        spec, _ = fit.resolve(for_pods(self.spec, serving), serving)
        spec, _ = privileges.settle(spec, self.patches)
        identity = replace(self.identity, folder=folder(self.spec, serving, self.run))
        bundle, _ = lowered(service_inputs(self.spec, spec, self.run, identity, self.scripts), self.patches)
        return bundle.objects


def service_source(run: TrainedRun, composer: Composer, words: Sequence[str]) -> ServiceSource:
    """Compose the command line of a service into the input of its lowering.

    Raises:
        Rejected: the configuration itself is rejected.
    """
    workspace = Workspace(composer)
    configured = configure(composer, run, words, workspace)
    spec, composition = configured.trained, configured.composition
    name = folder(spec, serving_of(spec), run)
    identity = Identity(name, "", tuple(words), composition.choices, "", runtime.VERSION)
    patches = patches_of(spec, composition.choices, workspace)
    return ServiceSource(spec, identity, scripts_of(spec, composer.scripts), tuple(patches), run)


def compiled_again(manifest: Mapping[str, Any], composer: Composer) -> tuple[ServiceSource, str]:
    """Compile the service that a workload records; return the source of its lines, and its configuration's digest.

    Raises:
        Rejected: its configuration is now rejected, or it does not say which run it serves.
    """
    words = composer.request.overrides
    run = trained_run(manifest, "what serves")
    service = compile_service(composer, run, words, Workspace(composer))
    return service_source(run, composer, words), service.identity.digest
