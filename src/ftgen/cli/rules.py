"""Judge files of a site's own rules, as `ftgen check rules/` does: does each rule decide its samples as it says?"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from ftgen import pipeline
from ftgen.cli import request
from ftgen.cli.arguments import Arguments
from ftgen.diagnostics import Diagnostic, Rejected, error, warning
from ftgen.validation import Context, site
from ftgen.validation.site import CONFIG, NO_RULES, Sample, SiteRule

CODE = "FT788"
_OUTCOMES = {True: "accepted", False: "refused"}


def judge(name: str, arguments: Arguments, context: Context) -> tuple[Diagnostic, ...]:
    """Return what is wrong with the rules of a file: samples with another verdict, rules without a refused sample.

    Raises:
        Rejected: FT787, a rule cannot be read.
    """
    return tuple(d for rule in site.rules_of([Path(name)]).rules for d in _of_rule(rule, arguments, context))


def _of_rule(rule: SiteRule, arguments: Arguments, context: Context) -> Iterator[Diagnostic]:
    if not rule.samples.get("refused"):
        headline = f"no sample shows that {rule.name} ever refuses anything"
        yield warning(CODE, headline, rule.name, "", "add one to its tests, below refused:").at(rule.place)
    for expected, samples in rule.samples.items():
        for sample, place in samples:
            if problem := _problem(rule, expected, sample, arguments, context):
                yield error(CODE, f"{rule.name}: {problem}", rule.name, "", _HELP).at(place, rule.place)


_HELP = "mend the sample, or the rule"


def _problem(rule: SiteRule, expected: str, sample: Sample, arguments: Arguments, context: Context) -> str:
    """Return how the verdict on a sample differs from the expected one; empty where it does not."""
    try:
        subjects = subjects_of(rule, sample, arguments, context)
    except Rejected as rejected:
        return f"the sample cannot be rendered: {rejected.diagnostics[0].headline}"
    except ValueError as problem:  # of shlex
        return f"the sample is no command line: {problem}"
    if not subjects:
        return f"the sample renders no {rule.texts['match']}"
    reads = [rule.read(subject) for subject in subjects]
    verdicts = [rule.verdict(read) for read in reads]
    if failed := next((verdict for verdict in verdicts if isinstance(verdict, str)), ""):
        return f"for the sample, {failed}"
    found = _OUTCOMES[all(verdicts)]
    return "" if found == expected else f"the sample is {found}, and {expected} was expected"


def subjects_of(rule: SiteRule, sample: Sample, arguments: Arguments, context: Context) -> list[Mapping[str, Any]]:
    """Return what a rule reads of a sample: an object as it would be stored, a configuration, or those of a job.

    Raises:
        Rejected: the overrides give no job.
        ValueError: the text is not made of words.
    """
    if isinstance(sample, str):
        return _rendered(rule, shlex.split(sample), arguments, context)
    if rule.kind == CONFIG:
        return [sample]
    api_version, kind = rule.kind
    return [site.stored({"apiVersion": api_version, "kind": kind, **sample}, context)]


def _rendered(rule: SiteRule, words: Sequence[str], arguments: Arguments, context: Context) -> list[Mapping[str, Any]]:
    """Compile the job of a command line without the site's own rules; return those of its parts that the rule reads."""
    with request.open_composer(replace(arguments, overrides=tuple(words))) as composer:
        composition = composer.compose(composer.parse(words))
        if rule.kind == CONFIG:
            return [composition.config]
        workspace = pipeline.Workspace(composer, own=NO_RULES)
        job = pipeline.compile_composition(composition, tuple(words), workspace)
    return [site.stored(o, context) for o in job.bundle.objects if (o["apiVersion"], o["kind"]) == rule.kind]
