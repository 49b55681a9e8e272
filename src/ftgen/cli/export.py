"""`ftgen export FORM [OVERRIDES…]`: a job as a kustomization, or the rules as policies of the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from ftgen import lower, pipeline, schema
from ftgen.cli import output, request, writing
from ftgen.cli.arguments import Arguments, Usage
from ftgen.config.compose import Composer
from ftgen.diagnostics import Diagnostic, Rejected, error, note, require, warning
from ftgen.interop import kustomize, policy
from ftgen.lower import Inputs
from ftgen.pipeline import Compiled, Workspace
from ftgen.schema.conform import conform
from ftgen.spec import admit
from ftgen.trainers import llamafactory
from ftgen.validation import unreported
from ftgen.validation.site import SiteRule

KUSTOMIZE, POLICY = "kustomize", "policy"
Files = Mapping[str, bytes]


def run(arguments: Arguments) -> int:
    """Write a form of the job, or of the rules; write nothing if there is an error."""
    form = arguments.overrides[0] if arguments.overrides else ""
    if form not in _FORMS or arguments.flags.out == "-":
        raise Usage(f"export takes a form: ftgen export {'|'.join(_FORMS)} [OVERRIDES] [-o DIR]")
    if arguments.flags.multirun:
        raise Usage("export takes one job: name a point of the sweep, and leave out --multirun")
    own = replace(arguments, overrides=arguments.overrides[1:])
    try:
        return _export(own, form)
    except Rejected as rejected:
        return output.reject(rejected, own)


def _export(arguments: Arguments, form: str) -> int:
    with request.open_composer(arguments) as composer:
        files, found = _FORMS[form](composer, arguments)
        diagnostics = request.add_locations(composer, arguments, found)
    output.print_diagnostics(output.apply_strict(diagnostics, arguments), arguments)
    writing.write(files, arguments.out(form), arguments)
    return 0


def _kustomized(composer: Composer, arguments: Arguments) -> tuple[Files, Sequence[Diagnostic]]:
    job = pipeline.compile_job(composer, arguments.overrides)
    return kustomization(composer, job), job.diagnostics


def _policies(composer: Composer, arguments: Arguments) -> tuple[Files, Sequence[Diagnostic]]:
    """Return the policies of all rules that can be any, for the chosen cluster; say of each other why it cannot.

    Raises:
        Rejected: FT789, the cluster's release serves no policies; FT3xx, its schema refuses one; FT44x, a rule of the
            site's holds a secret, which its policy would publish.
    """
    from ftgen.validation.rules import all_rules, secrets  # noqa: PLC0415 - a kustomization asks no rule by name

    spec = admit(composer.compose(composer.parse(arguments.overrides)).config)
    cluster = spec.cluster
    volcano, kubernetes = cluster.volcano_version, cluster.kubernetes_version or ""
    _refuse_early(volcano, kubernetes)
    found = {rule: policy.of_site(rule) for rule in Workspace(composer).rules(spec.overlays).rules}
    policies = [*filter(None, found.values()), *policy.of_ftgen(all_rules().values())]
    objects = [o for each in policies for o in policy.objects(each, cluster.namespace)]
    require([d for o in objects for d in conform(o, volcano_version=volcano, kubernetes_version=kubernetes)])
    of_rules = ((rule, o) for rule, own in found.items() if own for o in policy.objects(own, cluster.namespace))
    said = [d.at(rule.place) for rule, o in of_rules for d in secrets.scan(o)]
    said += [_beyond_namespaces(rule) for rule in found if policy.is_unbounded(rule.kind)]
    leaked = require(unreported(said, spec.accepted))
    noticed = [*leaked, *(_no_policy(rule) for rule, own in found.items() if own is None)]
    return policy.files(policies, cluster.namespace), noticed


def _refuse_early(volcano: str, kubernetes: str) -> None:
    """Refuse releases that are none, or that serve no policies."""
    key, value = "cluster.volcano_version", volcano
    try:
        schema.release(volcano)
        key, value = "cluster.kubernetes_version", kubernetes
        release = schema.kubernetes_release(kubernetes, volcano)
    except ValueError as problem:
        raise Rejected([error("FT789", str(problem), key, value)]) from None
    if schema.find(policy.API_VERSION, "ValidatingAdmissionPolicy", volcano, None, release) is None:
        headline = f"Kubernetes {release} serves no {policy.API_VERSION} ValidatingAdmissionPolicy"
        help_ = f"a cluster has them since {policy.OLDEST}: set cluster.kubernetes_version"
        raise Rejected([error("FT789", headline, "cluster.kubernetes_version", release, help_)])


def _no_policy(rule: SiteRule) -> Diagnostic:
    headline = f"{rule.name} is no policy: it reads the configuration, which a cluster does not have"
    return note("FT789", headline, help="ftgen asks it wherever a job is rendered").at(rule.place)


def _beyond_namespaces(rule: SiteRule) -> Diagnostic:
    _, kind = rule.kind
    headline = f"{rule.name} holds for every {kind} of the cluster: the policy's selector of namespaces bounds none"
    return warning("FT789", headline, help="where that is meant, set allow.FT789=<reason>").at(rule.place)


_FORMS = {KUSTOMIZE: _kustomized, POLICY: _policies}


def kustomization(composer: Composer, job: Compiled) -> dict[str, bytes]:
    """Return the files of a compiled job's kustomization.

    Raises:
        Rejected: FT540, if it is no VolcanoJob, which overlays patch, or has no name.
    """
    spec = job.spec
    if spec.target != "vcjob":
        headline = "overlays are patches of a VolcanoJob, and this target is none"
        raise Rejected([error("FT540", headline, "target", spec.target, "choose target=vcjob")])
    scripts = composer.scripts(*spec.scripts)
    base = lower.lower(Inputs(spec, llamafactory.configurations(spec), job.identity, scripts))
    patches = Workspace(composer).patches(job.identity.choices, spec.overlays)
    return kustomize.kustomization_files(base, patches, job.name, spec.cluster.volcano_version)
