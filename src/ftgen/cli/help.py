"""`--help`, `--hydra-help`, `--version`: printed without composing a configuration."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from ftgen import __version__
from ftgen.cli import groups
from ftgen.cli.arguments import RENDER, VERBS, Arguments, parser
from ftgen.config import catalog
from ftgen.text.lines import visible

_USAGE = """\
ftgen writes VolcanoJob manifests for fine-tuning, from configuration groups.

  ftgen [VERB] [OVERRIDES] [FLAGS]
"""

# Verbs by what a user is about; each group is read at a glance.
GROUPS = {
    "write": (RENDER, "serve", "lock", "import", "export", "image"),
    "look": ("plan", "preview", "diff", "compare", "check", "data", "explain"),
    "publish": ("publish", "archive", "stop", "rerun", "gc", "rebuild", "tune"),
    "live": ("status", "logs", "facts"),
    "tools": ("init", "groups", "schema"),
}

_KEYS = """\
Choose with GROUP=OPTION (add a group that is not in the defaults list with +GROUP=OPTION), set values with
KEY=VALUE. `ftgen --cfg job` shows all keys, `ftgen explain KEY` where one comes from.
"""

# By verb: the words after `ftgen VERB`, and examples with their effect.
SYNTAX: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    RENDER: (
        "[OVERRIDES]",
        (
            ("ftgen hardware=ascend trainer.lr=1e-4", "one job, below out/"),
            ("ftgen -m model=qwen3-0.6b,qwen3-8b trainer.lr=1e-4,2e-4", "a sweep of four"),
            ("ftgen +experiment=qwen3-identity-vgpu -o -", "a ready recipe, as a stream for kubectl"),
            ("ftgen hardware=ascend --cfg job -p trainer", "what would be compiled, without compiling"),
        ),
    ),
    "groups": (
        "[GROUP]",
        (("ftgen groups", "every group and option"), ("ftgen groups hardware --json", "one group, for tools")),
    ),
    "explain": (
        "KEY [OVERRIDES] | FILE:LINE | CODE",
        (
            (
                "ftgen explain trainer.lr +experiment=qwen3-identity-vgpu",
                "what a key means, every layer that set it, and the one that holds",
            ),
            ("ftgen explain trainer.args.warmup_ratio", "an argument of the trainer's release"),
            ("ftgen explain hardware", "who chose the option of a group"),
            (
                "ftgen explain out/sft/job-sft-1234abcd.yaml:80",
                "from a line of a manifest back to the keys that made it",
            ),
            ("ftgen explain FT280", "what a rule refuses, why, and what to write instead"),
        ),
    ),
    "schema": (
        "[GROUP] | import CRD.yaml",
        (
            ("ftgen schema > config.schema.json", "for conf/config.yaml and experiments"),
            ("ftgen schema hardware > hardware.schema.json", "for the options in conf/hardware/"),
            ("ftgen schema import crd.yaml", "check against the cluster's own CRD from now on (schemas/)"),
        ),
    ),
    "init": (
        "[DIR] [KEY=VALUE…]",
        (
            ("ftgen init trainings", "a new directory; on a terminal, a few questions"),
            ("ftgen init . cluster.registry=registry.lab.example storage=nfs --ci gitlab", "answered by words"),
            ("ftgen init trainings --from job.yaml", "with a job that exists as its first experiment"),
        ),
    ),
    "plan": (
        "[OVERRIDES]",
        (
            ("ftgen plan -m model=qwen3-0.6b,qwen3-8b", "every job of a sweep, before anything is written"),
            ("ftgen plan -m trainer.lr=1e-4,2e-4 --page plan.html", "the same as a page, for a review"),
        ),
    ),
    "preview": (
        "[OVERRIDES] | RUN | FILE",
        (
            (
                "ftgen preview hardware=ascend hardware.nodes=2 storage=nfs",
                "both pods side by side, before anything runs",
            ),
            ("ftgen preview sft-1a2b3c4d --json", "of a committed run, for programs"),
            ("ftgen preview job.yaml", "of any manifest, whoever wrote it"),
            ("ftgen preview -m trainer.lr=1e-4,2e-4", "what is different for each run of a sweep"),
        ),
    ),
    "export": (
        "kustomize | policy [OVERRIDES]",
        (
            ("ftgen export kustomize hardware=ascend -o deploy", "the job as a base with its overlays as components"),
            ("ftgen export policy -o policies", "your rules, and some of ftgen's, as admission policies"),
        ),
    ),
    "check": (
        "PATH…",
        (
            ("ftgen check manifests/", "any manifests, whoever wrote them"),
            ("ftgen check manifests/ facts.yaml", "and whether the cluster has room for them"),
            ("ftgen check --server out", "the same, and what the API server says of them"),
            ("ftgen check rules/", "the samples beside your own rules"),
        ),
    ),
    "data": (
        "PATH|URL [OVERRIDES]",
        (
            ("ftgen data train.jsonl", "one file, as the default trainer reads it"),
            (
                "ftgen data ~/data/dialogues trainer=dpo-lora trainer.cutoff_len=2048",
                "a checkout, for DPO",
            ),
            ("ftgen data https://git.example.com/team/data.git --format html > data.html", "a repository, as a page"),
        ),
    ),
    "facts": (
        "",
        (
            ("ftgen facts -o facts.yaml", "what ftgen check and cluster.facts.snapshot weigh jobs against"),
            ("ftgen facts -n research", "with the quotas of one namespace, for who may not read all"),
        ),
    ),
    "diff": (
        "[OVERRIDES] | OLD NEW",
        (
            ("ftgen diff trainer.lr=1e-5", "what rendering would change, and how"),
            ("ftgen diff old/ new/ --format html -o diff.html", "what differs between two folders, as a page"),
        ),
    ),
    "publish": (
        "[OVERRIDES]",
        (
            ("ftgen publish --repo . --branch main --path jobs", "render into a GitOps repository and commit"),
            ("ftgen publish --repo . --branch main --page change.html", "the same, and what it changes as a page"),
        ),
    ),
    "archive": ("RUN…", (("ftgen archive sft-1a2b3c4d", "a run that has ended never starts again"),)),
    "stop": ("RUN…", (("ftgen stop sft-1a2b3c4d", "take the guards away; again, once synchronised: remove the file"),)),
    "rerun": ("RUN… [OVERRIDES]", (("ftgen rerun sft-1a2b3c4d", "the same training as sft-1a2b3c4d-r2"),)),
    "tune": (
        "STUDY [OVERRIDES]",
        (
            (
                "ftgen tune lr --repo . --branch main --objective eval_loss 'trainer.lr=tag(log, interval(1e-5,1e-3))'",
                "begin a study: the first round of runs, as one commit",
            ),
            ("ftgen tune lr --repo . --branch main", "the next round, by the results that MLflow has"),
            ("ftgen tune lr --repo . --branch main --results results.csv", "by results of your own"),
            ("ftgen tune lr --repo . --branch main --show", "every trial, and the best one"),
        ),
    ),
    "gc": ("", (("ftgen gc -o training", "finished runs, and claims that no live job names"),)),
    "status": (
        "[RUN…]",
        (
            ("ftgen status", "every run of out/, and what keeps it from running"),
            (
                "ftgen status --repo ~/clusters --branch main --path training/lab --watch",
                "of a repository, until Ctrl-C",
            ),
            ("ftgen status 'ablation/*' --json", "some, for programs"),
            ("MLFLOW_TRACKING_URI=https://mlflow.example.com ftgen status --mlflow", "with MLflow's state of each"),
        ),
    ),
    "logs": ("RUN", (("ftgen logs sft-1a2b3c4d", "follow what the failed rank says, or rank 0"),)),
    "serve": (
        "RUN|FILE [OVERRIDES]",
        (
            ("ftgen serve sft-1a2b3c4d", "a Deployment and a Service with vLLM, on the card that trained"),
            ("ftgen serve lr2e-4 serving=kserve hardware=full-gpu", "the winner of a sweep, by KServe on a card"),
            ("ftgen serve sft-1a2b3c4d --repo . --branch main --path jobs", "commit it beside its run"),
        ),
    ),
    "image": (
        "[OVERRIDES] [image.NAME=VALUE…]",
        (
            ("ftgen image hardware=ascend -o .", "a Dockerfile with LLaMA-Factory, and the name to build it under"),
            ("ftgen image image.BASE_IMAGE=registry.example.com/base:1", "another base, or any other ARG"),
        ),
    ),
    "rebuild": (
        "[FILE]",
        (
            ("ftgen rebuild -o training", "is every run of the tree what its configuration renders to?"),
            ("ftgen rebuild out/sft/job-sft-1a2b3c4d.yaml", "is this one, and what differs?"),
        ),
    ),
    "lock": (
        "[OVERRIDES]",
        (
            ("ftgen lock", "the commits and digests of what the default job fetches and runs"),
            ("ftgen lock -m model=qwen3-0.6b,qwen3-8b", "of every job of a sweep"),
            ("ftgen lock --upgrade --check", "what has moved since; exit 1 if anything has"),
        ),
    ),
    "compare": ("[OVERRIDES]", (("ftgen compare hardware=nvidia-vgpu,ascend", "the same job on both"),)),
}

_HYDRA = """\
Hydra's flags in ftgen
  --cfg job, -p, --resolve   as in Hydra: a single value is printed bare, a part below its # @package line
  --cfg hydra|all            as in Hydra, with the settings that ftgen has: no folders, logging or launchers
  --info, -i                 defaults, defaults-tree, searchpath, config, plugins, all: Hydra's lines and columns,
                             without those of Hydra's own groups, which ftgen has none of
  --multirun, -m             expands sweeps by Hydra's grammar and order, and writes one manifest a job
  --run, -r                  the default
  --config-dir, -cd          searched first: its options shadow the packaged ones of the same name
  --config-path, -cp         replaces the packaged configuration
  --config-name, -cn         as in Hydra
  --shell-completion, -sc    as in Hydra, for bash, zsh, fish: eval "$(ftgen -sc install=bash)"; uninstall=, query=
  --experimental-rerun       not there: a manifest carries what rebuilds it, and nothing is pickled

Hydra's overrides keep their meaning: key=value, +key=value, ++key=value, ~key, group=option, group@package=option,
quotes, lists, mappings, ${interpolation}, a,b, choice(), range(), glob(), sort(), shuffle(), tag(), casts, and
extend_list(a,b) of Hydra 1.4 on every release: key=extend_list(a,b) appends to a list, or to none;
hydra.sweeper.params and hydra.searchpath in the primary file or on the command line.

Interpolations: ${key}, OmegaConf's ${oc.…}, and ${hydra:…} for what --cfg hydra shows. The same configuration gives
the same bytes, so that ${now:…}, ${hydra:runtime.cwd}, ${hydra:job.num} and the like are refused.

hydra/sweeper=NAME with --multirun renders the jobs that an installed sweeper would launch; one that waits for results,
as an optimiser does, is refused. Launchers, callbacks, output folders and logging are Hydra's business with running
jobs: ftgen writes manifests and leaves nothing else behind. It says so where a configuration chooses one, and of every
setting of the node hydra that is typed in vain; hydra.job.env_set sets no variable of a job (hardware.env does). A
header (# @package) that Hydra would read past, because a comment stands above it, is refused.
"""


def run(arguments: Arguments) -> int:
    """Print the version or the help."""
    if arguments.flags.version:
        print(f"ftgen {__version__}")  # noqa: T201
    elif arguments.flags.help:
        sys.stdout.write(_as_called("\n".join(_blocks(arguments))))
    else:
        sys.stdout.write(_HYDRA)
    return 0


def _as_called(text: str) -> str:
    """Name the command in usages and examples as it was called: kubectl runs the plug-in under a name of its own."""
    is_plugin = Path(sys.argv[0]).name == "kubectl-ftgen"
    return _COMMAND.sub("kubectl ftgen", text) if is_plugin else text


_COMMAND = re.compile(r"(?<=^  )ftgen(?= )|^ftgen(?= .*\[FLAGS\]$)|(?<=`)ftgen(?= )", re.MULTILINE)


def _blocks(arguments: Arguments) -> Iterable[str]:
    verb = arguments.verb
    words, examples = SYNTAX.get(verb, ("[OVERRIDES]", ()))
    if verb == RENDER:
        yield _USAGE
        yield from _verbs()
    else:
        yield f"ftgen {verb} {words} [FLAGS]\n\n  {VERBS[verb]}\n"
    if examples:
        yield "examples\n" + _table(examples)
    yield _flags(verb)
    if verb == RENDER:
        options = catalog.groups(arguments.search_path())
        yield f"{_KEYS}\n{visible(groups.listing(options))}"


def _verbs() -> Iterable[str]:
    """Yield the verbs by their groups, all in the same columns."""
    lines = iter(_table([(verb, VERBS[verb]) for verbs in GROUPS.values() for verb in verbs]).splitlines(keepends=True))
    for title, verbs in GROUPS.items():
        yield f"{title}\n{''.join(next(lines) for _ in verbs)}"


def _flags(verb: str) -> str:
    return "\n".join(f"{title}\n{_table(rows)}" for title, rows in sections(verb))


def sections(verb: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the flags by their groups, long names first, each with what it does."""
    action_groups = parser(verb)._action_groups  # noqa: SLF001 - argparse has no public list
    found = [(str(g.title), [_row(a) for a in g._group_actions if _is_shown(a)]) for g in action_groups]  # noqa: SLF001 - idem
    return [(title, rows) for title, rows in found if rows]


def _is_shown(action: argparse.Action) -> bool:
    return bool(action.option_strings) and action.help != argparse.SUPPRESS


def _row(action: argparse.Action) -> tuple[str, str]:
    names = ", ".join(sorted(action.option_strings, key=len, reverse=True))
    value = (
        "" if action.nargs == 0 else f" {'|'.join(map(str, action.choices)) if action.choices else action.dest.upper()}"
    )
    return f"{names}{f' [{value[1:]}]' if action.nargs == '?' else value}", str(action.help or "")


_WIDEST_LEFT = 44


def _table(rows: Sequence[tuple[str, str]]) -> str:
    """Format two columns; put the second on the next line where the first is too wide."""
    width = (
        max(len(left) for left, _ in rows if len(left) <= _WIDEST_LEFT)
        if any(len(left) <= _WIDEST_LEFT for left, _ in rows)
        else 0
    )
    return "".join(
        f"  {left.ljust(width)}  {right}\n" if len(left) <= width else f"  {left}\n  {' ' * width}  {right}\n"
        for left, right in rows
    )
