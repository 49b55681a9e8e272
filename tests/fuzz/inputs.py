"""What is tried: command lines by Hydra's grammar, files by their own, and both taken apart.

Each function of `KINDS` draws one `Case`; its seeds are files that ftgen wrote or carries, so that most of an input is
sound and gets deep before the odd part is met.
"""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.fuzz import odd
from tests.fuzz.case import Case

from ftgen import pipeline, runtime
from ftgen.cli.arguments import FORMS, VERBS
from ftgen.config import catalog
from ftgen.config.compose import Composer, Request, compose
from ftgen.output.tree import Lock, Run, dump_lock, object_of
from ftgen.output.tree.lock import AssignedName, Entry
from ftgen.output.tree.plan import sha256
from ftgen.pipeline.serving import CompiledService, TrainedRun, compile_service
from ftgen.sweeping.space import Parameter
from ftgen.text import yamlio
from ftgen.tuning import Study, Trial, TrialState

Draw = st.DrawFn
Kind = Callable[[Draw], Case]

HERE = Path(__file__).parents[1]

# --- seeds ----------------------------------------------------------------------------------------------

OPTIONS = catalog.groups([runtime.conf_dir()])
CHOICES = [f"{group}={option}" for group, options in OPTIONS.items() for option in options]


def _paths(value: object, prefix: str = "") -> list[str]:
    inner = value.items() if isinstance(value, dict) else ()
    return [prefix, *(path for key, held in inner for path in _paths(held, f"{prefix}.{key}" if prefix else str(key)))]


KEYS = [
    *filter(None, _paths(compose(Request(config_path=runtime.conf_dir(), config_name="serve")).config)),
    *OPTIONS,
    "trainer.args.lora_rank",
    "trainer.args.seed",
    "hardware.env.A",
    "sweep",
    "sweep.axes",
    "sweep.name",
    "sweep.zip",
    "sweep.exclude",
    "sweep.include",
    "sweep.sample",
    "sweep.shuffle",
    "sweep.alias",
    "sweep.optional",
    "sweep.max_parallel",
    "hydra.sweeper.params",
    "hydra.searchpath",
    "hydra.mode",
    "hydra.job.name",
    "hydra/launcher",
]
SERVING_KEYS = [key for key in KEYS if key.startswith("serving")]


_NOWHERE = Request(directory=Path("/nonexistent"))
_RUN = ["storage.workspace.claim=w", "model.output_url=https://git.example.com/team/result"]


def _files(runs: Sequence[Run]) -> Mapping[str, str]:
    """The files of runs, by their place below the root of a tree, with its index."""
    files = {path: content for run in runs for path, content in run.files.items()}
    entries = {p: Entry(sha256(c), object_of(c), run.identity, run.name) for run in runs for p, c in run.files.items()}
    lock = Lock(entries, {run.identity: AssignedName(run.name) for run in runs})
    return {**{path: content.decode() for path, content in files.items()}, "ftgen.lock": dump_lock(lock).decode()}


@cache
def _tree() -> Mapping[str, str]:
    """The files of a rendered tree, by their place below its root, the index among them."""
    return _files([pipeline.compile_job(Composer(_NOWHERE), _RUN).run])


@cache
def _manifest() -> str:
    return next(text for path, text in _tree().items() if "/job-" in path)


@cache
def _name() -> str:
    return next(iter(json.loads(_tree()["ftgen.lock"])["runs"].values()))["name"]


@cache
def _manifests() -> list[str]:
    files = [HERE / "check" / "data" / "reference.yaml", *sorted((HERE / "interop" / "shapes").glob("*.yaml"))]
    return [_manifest(), *(file.read_text(encoding="utf-8") for file in files), *_services().values()]


@cache
def _served_tree() -> Mapping[str, str]:
    """The files of a rendered tree with a run and what serves its result."""
    job = pipeline.compile_job(Composer(_NOWHERE), _RUN)
    return _files([job.run, _service(job.name).run])


@cache
def _services() -> Mapping[str, str]:
    """A Deployment with its Service and ConfigMap, an InferenceService, and an adapter's Deployment, as streams."""
    ways = {"deployment": [], "kserve": ["serving=kserve"], "adapter": ["trainer.merge=false", "hardware.devices=2"]}
    compiled = {name: _service("sft-qwen3-0-6b-1a2b3c4d", *words) for name, words in ways.items()}
    return {name: "---\n".join(c.decode() for c in each.files.values()) for name, each in compiled.items()}


def _service(run: str, *words: str) -> CompiledService:
    composer = Composer(replace(_NOWHERE, config_name="serve"))
    return compile_service(composer, TrainedRun(run, ()), [*_RUN, *words], pipeline.Workspace(composer))


@cache
def _configuration() -> Mapping[str, str]:
    """The packaged configuration files, which a user's own of the same name shadow."""
    folder = runtime.conf_dir()
    return {f"conf/{p.relative_to(folder)}": p.read_text(encoding="utf-8") for p in sorted(folder.rglob("*.yaml"))}


@cache
def _overlays() -> Mapping[str, str]:
    folder = runtime.overlays_dir()
    return {f"overlays/{p.relative_to(folder)}": p.read_text(encoding="utf-8") for p in sorted(folder.rglob("*.yaml"))}


CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: jobs.batch.volcano.sh}
spec:
  group: batch.volcano.sh
  names: {kind: Job, listKind: JobList, plural: jobs, singular: job}
  scope: Namespaced
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          apiVersion: {type: string}
          kind: {type: string}
          metadata: {type: object}
          spec:
            type: object
            required: [tasks]
            properties:
              minAvailable: {type: integer, format: int32, minimum: 0}
              queue: {type: string, pattern: '^[a-z]+$', maxLength: 63}
              tasks:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  properties:
                    name: {type: string, enum: [a, b]}
                    replicas: {type: integer, x-kubernetes-int-or-string: true}
                    template: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""
DOCKER = (
    "docker run -itd --rm --name npu-sft --ipc=host --shm-size 64g -u 0:0 --device /dev/davinci0 --gpus all "
    "-v /data/models:/models:ro -v cache:/root/.cache -e A=1 -e TOKEN -w /app --memory 256g --cpus 48 --privileged "
    "--network host -p 80:80 --cap-add SYS_PTRACE --ulimit memlock=-1 registry.example.com/llm:1 train 'a b' $HOME"
)
JOURNAL = [["a/b.yaml", "0", None, "0" * 64], ["ftgen.lock", "1", "0" * 64, "1" * 64]]
SCHEMA = {"type": "object", "properties": {"spec": {"$ref": "#/$defs/spec"}}, "$defs": {"spec": {"type": "object"}}}

# --- odd values -----------------------------------------------------------------------------------------

WORDS = st.text(st.characters(blacklist_categories=("Cs",)), max_size=12)
ODD = st.sampled_from(odd.ODD).map(copy.deepcopy)
SCRAPS = st.sampled_from(odd.SCRAPS)


@st.composite
def scrambled(draw: Draw, text: str, most: int = 3) -> str:
    """The text with pieces put in, taken out, and written twice."""
    for _ in range(draw(st.integers(1, most))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.integers(0, 40)))
        how = draw(st.integers(0, 3))
        put = (draw(SCRAPS), "", text[at:end] * 2, draw(WORDS))[how]
        text = text[:at] + put + text[at if how == 0 else end :]
    return text


@st.composite
def altered(draw: Draw, value: Any, most: int = 3) -> Any:
    """The plain value with some of its entries replaced, taken away, renamed, or written twice."""
    whole = [copy.deepcopy(value)]
    for _ in range(draw(st.integers(1, most))):
        node: Any = whole
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            key = draw(st.sampled_from(keys))
            if not isinstance(node[key], dict | list) or not node[key] or draw(st.integers(0, 4)) == 0:
                break
            node = node[key]
        how = draw(st.integers(0, 5))
        if how == 0 and node is not whole:
            del node[key]
        elif how == 1 and isinstance(node, dict):
            node[draw(st.one_of(WORDS, ODD.filter(lambda odd: isinstance(odd, str)), st.sampled_from(keys)))] = node[
                key
            ]
        elif how == 2 and isinstance(node, list) and node is not whole:
            node.append(node[key])
        elif how == 3:
            node[key] = draw(st.sampled_from(_neighbours(whole[0])))
        else:
            node[key] = draw(ODD)
        if not isinstance(whole[0], dict | list) or not whole[0]:
            break
    return whole[0]


def _neighbours(value: Any) -> list[Any]:
    """Values of other places of the same document, which have a shape that is right elsewhere."""
    found: list[Any] = []

    def walk(node: Any) -> None:
        if len(found) < 40:
            found.append(copy.deepcopy(node))
            for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
                walk(inner)

    walk(value)
    return found


@lru_cache(maxsize=256)
def _parsed(text: str) -> list[Any]:
    return yamlio.parse_all(text, "seed")


@st.composite
def yaml_text(draw: Draw, text: str) -> str:
    """A YAML text, altered by its structure, by its characters, or both."""
    how = draw(st.integers(0, 3))
    documents = _parsed(text)
    if how and documents:
        changed = [draw(altered(each)) if isinstance(each, dict | list) and each else each for each in documents]
        text = "---\n".join(map(_dumped, changed))
    return draw(scrambled(text)) if how in {0, 3} else text


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _dumped(value: Any) -> str:
    try:
        return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    except UnicodeEncodeError:  # lone surrogates, which JSON can spell
        return json.dumps(value)


@st.composite
def json_text(draw: Draw, value: Any) -> str:
    how = draw(st.integers(0, 4))
    if how == 0:
        return draw(
            st.sampled_from(
                ["", "[" * 100_000, '{"a":' * 100_000, "null", "1", '"a"', "9" * 5000, "NaN", "{", "\udcff"]
            )
        )
    text = json.dumps(draw(altered(value)) if how > 1 else value)
    return draw(scrambled(text)) if how in {1, 4} else text


# --- words of the command line --------------------------------------------------------------------------

ATOMS = st.one_of(
    st.sampled_from(odd.ATOMS),
    st.sampled_from([option for options in OPTIONS.values() for option in options]),
    st.integers().map(str),
    st.floats().map(str),
    WORDS,
)
DEEP = st.sampled_from(
    [
        "[" * 200,
        "[" * 9 + "]" * 9,
        "{a:" * 200,
        "{a:" * 9 + "1" + "}" * 9,
        "[" * 300 + "]" * 300,
        "{a:" * 300 + "1" + "}" * 300,
    ]
)


def _called(words: st.SearchStrategy[list[str]]) -> st.SearchStrategy[str]:
    return st.tuples(st.sampled_from(odd.FUNCTIONS), words).map(lambda call: f"{call[0]}({','.join(call[1])})")


def _around(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(inner, max_size=3)
    return st.one_of(
        several.map(lambda items: f"[{','.join(items)}]"),
        several.map(",".join),
        st.lists(st.tuples(ATOMS, inner), max_size=2).map(
            lambda items: "{" + ",".join(f"{k}:{v}" for k, v in items) + "}"
        ),
        _called(several),
        inner.map(lambda text: f"'{text}'"),
    )


VALUES = st.one_of(ATOMS, ATOMS, st.recursive(ATOMS, _around, max_leaves=4), DEEP)
SIGNS = st.sampled_from(["", "", "", "", "+", "++", "~"])
NAMES = st.one_of(st.sampled_from(KEYS), st.sampled_from(KEYS), st.sampled_from(KEYS), WORDS)
TAILS = st.sampled_from(["", "", "", "", ".x", "@", "@x", "@a.b", "@_global_", "@a:b", "[0]", ".0", "/x", ":x"])
SWEPT = st.sampled_from(odd.SWEPT)
CALLS = st.tuples(
    st.sampled_from([*OPTIONS, "trainer.lr", "trainer.args.lora_target", "name", "+sweep"]),
    _called(st.lists(st.recursive(ATOMS, _around, max_leaves=3), max_size=3)),
).map("=".join)


@st.composite
def overrides(draw: Draw) -> str:
    how = draw(st.integers(0, 9))
    if how < 3:
        return draw(st.sampled_from(CHOICES))
    word = draw(SWEPT) if how == 3 else f"{draw(SIGNS)}{draw(NAMES)}{draw(TAILS)}={draw(VALUES)}"
    return draw(scrambled(word, 1)) if how == 4 else word


HOSTILE = st.sampled_from(odd.HOSTILE)
FILES: Mapping[str, Any] = {
    "loop": {"link": "loop"},
    "nowhere": {"link": "missing"},
    "pipe": {"fifo": True},
    "folder": {"folder": True},
    "empty": "",
    "file": "a: 1\n",
    "huge": {"size": 20 * 2**30},
    "link": {"link": "../outside"},
}
_OUT = {"link": "../outside/new"}
# What a clone may bring in place of the folders that nobody names.
BESIDE = st.sampled_from(
    [{}, {}, {}, *({name: _OUT} for name in ("out", "conf", "overlays", "rules", "schemas", "policy", "kustomize"))]
)
FLAGS = st.sampled_from(odd.FLAGS)
PATHS = st.tuples(
    st.sampled_from(["-o", "-cd", "-cp", "-cn", "-p", "--repo", "--branch", "--path", "--cluster"]), HOSTILE
).map(list)
FORM = st.sampled_from([*([] for _ in range(4)), *(["--format", form] for form in FORMS), ["--strict"], ["-q"]])


@st.composite
def words(draw: Draw, most: int = 2) -> list[str]:
    found: list[str] = draw(st.lists(overrides(), max_size=most))
    for flags in draw(st.lists(FLAGS, max_size=2)):
        found += flags
    return found


# --- kinds of input -------------------------------------------------------------------------------------

ALONE = [verb for verb in VERBS if verb != "lock"]
"""Verbs that ask no server of the configuration."""

KINDS: dict[str, tuple[int, Kind]] = {}
"""Name -> how often it is drawn, and the kind."""


def kind(weight: int) -> Callable[[Kind], Kind]:
    def note(made: Kind) -> Kind:
        KINDS[made.__name__.lstrip("_")] = weight, made
        return made

    return note


@kind(5)
def _overrides(draw: Draw) -> Case:
    return Case(("-o", "-", *draw(st.lists(overrides(), min_size=1, max_size=3))))


@kind(6)
def _nonsense(draw: Draw) -> Case:
    return Case(
        tuple(draw(st.lists(st.one_of(WORDS, HOSTILE, FLAGS.map(lambda f: f[0]), SCRAPS), min_size=1, max_size=4)))
    )


@kind(4)
def _verbs(draw: Draw) -> Case:
    verb = draw(st.sampled_from(ALONE))
    subject = draw(
        st.sampled_from([[], [], [draw(st.sampled_from(KEYS))], ["out"], [_name()], ["import"], ["kustomize"]])
    )
    return Case((verb, *subject, *draw(words())), files=draw(BESIDE))


@kind(3)
def _sweeps(draw: Draw) -> Case:
    verb = draw(
        st.sampled_from([["-o", "-"], ["plan"], ["diff"], ["plan", "--format", "html"], ["compare"], ["--cfg=all"], []])
    )
    axes = draw(st.lists(st.one_of(SWEPT, CALLS), min_size=1, max_size=2))
    return Case((*verb, "-m", "--limit", "9", *axes, *draw(words(1))), files=draw(BESIDE))


@kind(3)
def _shown(draw: Draw) -> Case:
    what = draw(
        st.sampled_from([["--cfg", "job"], ["--cfg", "all"], ["--cfg", "hydra"], ["-i"], ["--info=defaults-tree"]])
    )
    package = draw(st.one_of(st.just([]), NAMES.map(lambda name: ["-p", name])))
    resolved = draw(st.sampled_from([[], ["--resolve"]]))
    return Case((*what, *package, *resolved, *draw(st.lists(overrides(), max_size=2))))


@kind(24)
def _check(draw: Draw) -> Case:
    text = draw(yaml_text(draw(st.sampled_from(_manifests()))))
    terms = draw(st.sampled_from([[], [], ["--cluster", "alauda"], ["--volcano-version", "newest"]]))
    if draw(st.booleans()):
        return Case(("check", "-", *terms, *draw(FORM)), stdin=text)
    return Case(("check", "a.yaml", *terms, *draw(FORM)), files={"a.yaml": text})


@kind(6)
def _preview(draw: Draw) -> Case:
    text = draw(yaml_text(draw(st.sampled_from(_manifests()))))
    terms = draw(st.sampled_from([[], ["--json"], ["--all"]]))
    return Case(("preview", "a.yaml", *terms, *draw(FORM)), files={"a.yaml": text})


@kind(14)
def _differ(draw: Draw) -> Case:
    seed = draw(st.sampled_from(_manifests()))
    old, new = (draw(st.one_of(st.just(seed), yaml_text(seed))) for _ in range(2))
    form = draw(
        st.sampled_from([[], ["--json"], ["--format", "markdown"], ["--format", "html"], ["--format", "sarif"]])
    )
    return Case(("diff", "old.yaml", "new.yaml", *form), files={"old.yaml": old, "new.yaml": new})


# A line is explained by many lowerings: a second, a hundred times what another verb takes.
_TREES = st.sampled_from([*odd.TREES * 8, ["explain", "FILE:40"]])


def _in_tree(verb: list[str]) -> tuple[str, ...]:
    """The words of a verb that is about the rendered run."""
    file = next(f"out/{path}" for path in _tree() if "/job-" in path)
    return tuple(word.replace("NAME", _name()).replace("FILE", file) for word in verb)


@kind(12)
def _index(draw: Draw) -> Case:
    """A tree with an index that ftgen did not write so."""
    held = json.loads(_tree()["ftgen.lock"])
    held["files"]["sft-qwen3-0-6b/x.yaml"] = {
        **next(iter(held["files"].values())),
        "state": draw(st.sampled_from(["archived", "stopping", "orphaned"])),
    }
    files = {f"out/{path}": text for path, text in _tree().items()}
    return Case(_in_tree(draw(_TREES)), files={**files, "out/ftgen.lock": draw(json_text(held))})


@kind(8)
def _tree_files(draw: Draw) -> Case:
    """A tree whose files are not as its index has them, or are as a changed index has them."""
    files = dict(_tree())
    path = draw(st.sampled_from([path for path in files if path != "ftgen.lock"]))
    text = draw(yaml_text(files[path]))
    files[path] = text
    if draw(st.booleans()):
        held = json.loads(files["ftgen.lock"])
        held["files"][path]["sha256"] = sha256(text.encode("utf-8", "surrogateescape"))
        files["ftgen.lock"] = json.dumps(held)
    return Case(_in_tree(draw(_TREES)), files={f"out/{name}": held for name, held in files.items()})


@kind(4)
def _journal(draw: Draw) -> Case:
    staged = draw(st.sampled_from(["a: 1\n", {"link": "../../outside/kept"}, {"fifo": True}, {"folder": True}]))
    files: dict[str, Any] = {f"out/{path}": text for path, text in _tree().items()}
    files |= {
        "out/.ftgen-stage/journal": draw(json_text(JOURNAL)),
        "out/.ftgen-stage/0": staged,
        "out/a": draw(st.sampled_from(["x", {"link": "../outside"}])),
    }
    return Case(_in_tree(draw(_TREES)), files=files)


@kind(4)
def _rebuild(draw: Draw) -> Case:
    """A manifest that says odd things of what it was rendered from."""
    document = copy.deepcopy(_parsed(_manifest())[-1])
    annotations = document["metadata"]["annotations"]
    said = json.dumps(draw(st.lists(overrides(), max_size=2)))
    place = json.dumps({"name": "s", "label": "a", "swept": ["trainer.lr"]})
    annotations["ftgen.dev/overrides"] = draw(st.one_of(st.just(said), st.just(said), ODD, json_text(["name=x"])))
    if draw(st.booleans()):
        annotations["ftgen.dev/sweep"] = draw(st.one_of(json_text(json.loads(place)), ODD))
    annotations["ftgen.dev/version"] = draw(st.one_of(st.just("0.1.0"), ODD))
    text = _dumped(document)
    verb = draw(st.sampled_from([["rebuild", "a.yaml"], ["rebuild", "a.yaml"], ["check", "a.yaml"]]))
    return Case((*verb, *draw(FORM)), files={"a.yaml": text})


@kind(1)
def _explain(draw: Draw) -> Case:
    if draw(st.booleans()):
        return Case(("explain", draw(NAMES), *draw(words())))
    text = draw(st.one_of(st.just(_manifest()), yaml_text(_manifest())))
    return Case(("explain", f"a.yaml:{draw(st.integers(0, 200))}", *draw(words(1))), files={"a.yaml": text})


@kind(2)
def _import(draw: Draw) -> Case:
    text = draw(yaml_text(draw(st.sampled_from(_manifests()))))
    if draw(st.booleans()):
        return Case(("import", "-", *draw(st.sampled_from([[], ["-o", "."]]))), stdin=text)
    return Case(("import", "a.yaml", *draw(words(1))), files={"a.yaml": text})


@kind(3)
def _docker(draw: Draw) -> Case:
    line = draw(scrambled(DOCKER, 4))
    if draw(st.booleans()):
        return Case(("import", "--", *line.split(" ")))
    return Case(("import", "run.sh"), files={"run.sh": f"#!/bin/sh\n{line}\n"})


@kind(12)
def _resource_definitions(draw: Draw) -> Case:
    return Case(("schema", "import", "crd.yaml", *draw(FORM)), files={"crd.yaml": draw(yaml_text(CRD))})


@kind(8)
def _imported_schemas(draw: Draw) -> Case:
    files = {
        "schemas/batch.volcano.sh/job_v1alpha1.json": draw(json_text(SCHEMA)),
        "a.yaml": draw(st.sampled_from(_manifests())),
    }
    verb = draw(
        st.sampled_from([["check", "a.yaml"], ["check", "a.yaml"], ["-o", "-"], ["export", "kustomize", "-o", "k"]])
    )
    return Case(tuple(verb), files=files)


_READS = st.sampled_from(odd.READS)
_SERVES = st.sampled_from(odd.SERVES)


@kind(4)
def _configuration_files(draw: Draw) -> Case:
    path = draw(st.sampled_from([*_configuration()]))
    group, _, option = path.removeprefix("conf/").removesuffix(".yaml").rpartition("/")
    chosen = [f"{'+' if group in {'experiment', 'sweep'} else ''}{group}={option}"] if group else []
    text = draw(yaml_text(_configuration()[path]))
    if path == "conf/serve.yaml" or group == "serving":
        return Case(("serve", "a.yaml", *draw(_SERVES), *chosen), files={path: text, "a.yaml": _manifest()})
    line = {"COMP_LINE": f"ftgen {' '.join(chosen)} {draw(st.sampled_from(KEYS))}="}
    verb = draw(_READS)
    return Case((*verb, *(() if "-sc" in verb else chosen)), files={path: text}, env=line)


@kind(3)
def _scripts(draw: Draw) -> Case:
    name = draw(st.sampled_from(["trainer/train", "trainer/prepare", "serving/serve"]))
    text = (runtime.conf_dir() / f"{name}.sh").read_text(encoding="utf-8")
    how = draw(
        st.sampled_from(
            [draw(scrambled(text)), {"link": "loop"}, {"fifo": True}, {"folder": True}, "", {"size": 2**34}]
        )
    )
    verb = ["serve", "a.yaml", *draw(_SERVES)] if name == "serving/serve" else draw(_READS)
    return Case(tuple(verb), files={f"conf/{name}.sh": how, "a.yaml": _manifest()})


@kind(3)
def _overlay_files(draw: Draw) -> Case:
    path = draw(st.sampled_from([*_overlays()]))
    group, option, *_ = path.removeprefix("overlays/").split("/")
    packs = ["hardware=ascend"] if option in {"driver", "rank_table"} else [f"{group}={option}"]
    name = draw(st.one_of(st.just("x.yaml"), st.sampled_from(["\udcff.yaml", "a b.yaml", ".yaml", "x.json", "x.yml"])))
    place = f"overlays/{group}/{option if option not in {'driver', 'rank_table'} else 'ascend'}/{name}"
    verb = draw(
        st.sampled_from(
            [["-o", "-"], ["-o", "-"], ["export", "kustomize"], ["plan"], ["explain", "overlays"], ["serve", "a.yaml"]]
        )
    )
    return Case((*verb, *packs), files={place: draw(yaml_text(_overlays()[path])), "a.yaml": _manifest()})


@kind(3)
def _pins(draw: Draw) -> Case:
    """Pins of what the job holds, as they may come with a clone; nothing is left to ask about."""
    words = ["dataset.url=null", f"model.revision={'a' * 40}", "hardware.image=h.example/a:1"]
    verb = draw(
        st.sampled_from([["-o", "-"], ["plan", "--locked"], ["lock", "--check"], ["explain", "hardware.image"]])
    )
    return Case((*verb, *words), files={"conf/pins.yaml": draw(yaml_text(_PINS))})


_PINS = f"""\
version: 1
git:
- {{url: https://h.example/a, revision: main, commit: {"a" * 40}}}
images:
- {{image: h.example/a:1, digest: sha256:{"b" * 64}}}
"""


@kind(4)
def _site_rules(draw: Draw) -> Case:
    """Rules of a site, as they may come with a clone."""
    rules = copy.deepcopy(_parsed(_RULES)[0])
    rule = draw(st.sampled_from(rules["rules"]))
    key = draw(st.sampled_from(["expression", "when", "messageExpression"]))
    rule[key] = draw(st.one_of(_CEL, scrambled(rule.get(key, "object.spec"))))
    text = _dumped(draw(st.one_of(st.just(rules), altered(rules))))
    text = draw(st.one_of(st.just(text), st.just(text), scrambled(text)))
    verb = draw(
        st.sampled_from(
            [["-o", "-"], ["check", "a.yaml"], ["check", "rules"], ["check", "rules", "--json"], ["export", "policy"]]
        )
    )
    return Case((*verb, *draw(words(1))), files={"rules/a.yaml": text, "a.yaml": _manifest()})


_RULES = """\
rules:
- name: ours
  match: VolcanoJob
  when: "'kubectl' in object.metadata.labels || has(object.metadata.name)"
  expression: object.spec.tasks.all(t, t.template.spec.containers.all(c, c.image.startsWith('h.example/')))
  message: every image comes from h.example
  messageExpression: "'not ' + object.spec.tasks[0].template.spec.containers[0].image"
  help: set cluster.registry
  tests: {accepted: [cluster.registry=h.example], refused: [hardware.image=x.example/a:1]}
- name: slow
  match: config
  expression: double(config.trainer.lr) <= 0.001
  message: a learning rate above 0.001
  severity: warning
  tests: {accepted: [trainer.lr=1e-3], refused: [trainer.lr=0.01]}
- name: claims
  match: v1/PersistentVolumeClaim
  expression: quantity(object.spec.resources.requests.storage).isLessThan(quantity('1Ti'))
  message: less than a tebibyte
"""
_CEL = st.sampled_from(odd.CEL)


@kind(4)
def _studies(draw: Draw) -> Case:
    """A study in a tree that ftgen did not write so, and results that say odd things."""
    files: dict[str, Any] = dict(_studied())
    if draw(st.booleans()):
        files["out/lr/lr.ftgen-study"] = draw(json_text(json.loads(files["out/lr/lr.ftgen-study"])))
    files["results"] = draw(st.one_of(scrambled(_RESULTS), json_text({"run": "a", "value": 1}), st.just(_RESULTS)))
    asked = draw(
        st.sampled_from(
            [
                ["--show"],
                ["--show", "--json"],
                ["--results", "results"],
                ["--results", "results", "--prune", "median"],
                ["--results", "results", "--json", draw(SWEPT)],
                ["--objective", draw(st.one_of(WORDS, st.just("loss"))), f"trainer.lr={draw(VALUES)}"],
            ]
        )
    )
    return Case(("tune", "lr", "-o", "out", *asked), files=files)


@cache
def _studied() -> Mapping[str, str]:
    """A study with two trials and its index; the runs of the trials are no longer there."""
    space = {"trainer.lr": Parameter("float", 1e-5, 1e-3, log=True), "trainer.args.seed": Parameter("int", 1, 9)}
    done = Trial(0, {"trainer.lr": 1e-4, "trainer.args.seed": 3}, "a", TrialState.COMPLETE, 0.5)
    trials = (done, Trial(1, {"trainer.lr": 2e-4, "trainer.args.seed": 4}, "b"))
    said = ("trainer.lr=tag(log,interval(1e-5,1e-3))", "trainer.args.seed=range(1,10)")
    study = Study("lr", "eval_loss", "minimize", "tpe", 0, said, (), space, 4, 2, trials=trials)
    run = Run("lr", "", "lr/study/*", {study.path: study.dump()})
    return {f"out/{path}": text for path, text in _files([run]).items()}


_RESULTS = """\
{"run": "b", "value": 0.25}
{"run": "a", "state": "failed"}
{"run": "b", "reported": {"1": 0.5, "2": 0.4}}
"""


@kind(4)
def _serving_overlays(draw: Draw) -> Case:
    """Overlays of what serves: their own kinds, and those of the pod."""
    documents = [each for text in _services().values() for each in _parsed(text)]
    patch = draw(st.sampled_from([each for each in documents if each["kind"] != "ConfigMap"]))
    way = draw(st.sampled_from(["deployment", "kserve"]))
    files = {f"overlays/serving/{way}/x.yaml": _dumped(draw(altered(patch))), "a.yaml": _manifest()}
    return Case(("serve", "a.yaml", f"serving={way}", *draw(_SERVES)), files=files)


@kind(8)
def _completion(draw: Draw) -> Case:
    line = "ftgen " + " ".join(
        draw(st.lists(st.one_of(overrides(), FLAGS.map(" ".join), st.sampled_from([*VERBS, *KEYS])), max_size=3))
    )
    env = {
        "COMP_LINE": draw(st.one_of(st.just(line), scrambled(line, 1))),
        "COMP_POINT": draw(st.sampled_from(["", "3", "-1", "²", "9" * 5000, "٣", "x"])),
    }
    shown = {name: text.replace("\0", "") for name, text in env.items()}
    return Case(("-sc", f"query={draw(st.sampled_from(['bash', 'zsh', 'fish', 'x', '']))}"), env=shown)


GIT_FILES = st.sampled_from(odd.GIT_FILES)


@kind(1)
def _repositories(draw: Draw) -> Case:
    """Folders that look like repositories."""
    at = [
        "--repo",
        draw(st.sampled_from([".", "repo", "folder", "repo/.git"])),
        "--branch",
        draw(st.sampled_from(["main", "x", "a/b"])),
    ]
    verb = draw(st.sampled_from([["publish"], ["gc"], ["diff"], ["stop", _name()], ["rerun", _name()]]))
    files = {
        **FILES,
        draw(st.sampled_from([".git", "repo/.git"])): draw(GIT_FILES),
        "folder/HEAD": draw(st.sampled_from(["ref: refs/heads/main\n", "x", {"fifo": True}])),
    }
    return Case((*verb, *at, *draw(st.sampled_from([[], ["--push"], ["--path", "a"]]))), files=files)


@kind(5)
def _places(draw: Draw) -> Case:
    """Paths that name no ordinary file."""
    verb = draw(
        st.sampled_from(
            [
                *(
                    ["check"],
                    ["diff"],
                    ["rebuild"],
                    ["import"],
                    ["schema", "import"],
                    ["explain"],
                    ["groups"],
                    ["image"],
                    ["gc"],
                ),
                *(["export", "kustomize"], [], ["archive", "x"], ["plan"], ["--cfg", "job"], ["--help"], ["publish"]),
            ]
        )
    )
    subject = (
        draw(st.lists(HOSTILE, min_size=1, max_size=2))
        if verb and verb[0] in {"check", "diff", "rebuild", "import", "schema", "explain"}
        else []
    )
    put = {
        draw(
            st.sampled_from(
                [
                    "conf",
                    "conf/config.yaml",
                    "conf/hardware",
                    "conf/hardware/x.yaml",
                    "overlays",
                    "out",
                    "out/ftgen.lock",
                    "schemas",
                    "a.yaml",
                ]
            )
        ): draw(st.sampled_from([*FILES.values()]))
    }
    return Case(
        (*verb, *subject, *draw(st.one_of(st.just([]), PATHS))), files={**FILES, **(put if draw(st.booleans()) else {})}
    )


_ENVIRONMENTS = st.sampled_from(odd.ENVIRONMENTS)
_STATES = st.sampled_from(["open", "closed", "full", "unread"])


@kind(5)
def _circumstances(draw: Draw) -> Case:
    """Streams that are closed, full or unread, and environments that lack what one relies on."""
    verb = draw(
        st.one_of(
            st.sampled_from(
                [["groups"], ["--help"], ["--version"], ["check", "-"], ["import", "-"], ["-x"], ["explain", "name"]]
            ),
            st.sampled_from(
                [["-o", "-"], ["check", "a.yaml"], ["-sc", "query=zsh"], ["gc"], ["diff", "a.yaml", "b.yaml"], []]
            ),
        )
    )
    return Case(
        (*verb, *draw(FORM)),
        files={"a.yaml": _manifest(), "b.yaml": "a: 1\n"},
        env=draw(_ENVIRONMENTS),
        stdin=draw(st.sampled_from([None, "", _manifest(), "\udcff", "a: [", DOCKER])),
        stdout=draw(_STATES),
        stderr=draw(_STATES),
        gone=draw(st.sampled_from([False, False, True])),
    )


@st.composite
def serving_words(draw: Draw) -> list[str]:
    """Words of `serve`: most are about the service, some about anything, the last say what is printed."""
    own = st.tuples(SIGNS, st.sampled_from(SERVING_KEYS), VALUES).map("{0[0]}{0[1]}={0[2]}".format)
    found = draw(st.lists(st.one_of(own, st.sampled_from(odd.SERVED), overrides()), max_size=3))
    return [*found, *draw(_SERVES), *draw(FORM)]


@kind(8)
def _serve(draw: Draw) -> Case:
    """A run that is served by its name, its file or standard input, with odd words."""
    path = next(f"out/{path}" for path in _tree() if "/job-" in path)
    subject = draw(st.sampled_from([_name(), path, "sft-qwen3-0-6b", "-", "-", draw(HOSTILE)]))
    files = {f"out/{name}": text for name, text in _tree().items()}
    return Case(("serve", subject, *draw(serving_words())), files={**FILES, **files}, stdin=_manifest())


@kind(8)
def _serve_files(draw: Draw) -> Case:
    """A manifest that says odd things of the run to serve, or of the service that it is."""
    seed = draw(st.sampled_from([_manifest(), *_services().values()]))
    document = copy.deepcopy(_parsed(seed)[-1])
    said = json.dumps([*_RUN, *draw(st.lists(overrides(), max_size=2))])
    annotations = document["metadata"]["annotations"]
    annotations["ftgen.dev/overrides"] = draw(st.one_of(st.just(said), st.just(said), ODD, json_text(_RUN)))
    if draw(st.booleans()):
        annotations["ftgen.dev/serves"] = draw(st.one_of(json_text({"run": "a-1a2b3c4d", "base": "a"}), ODD))
    if draw(st.booleans()):
        annotations["ftgen.dev/sweep"] = draw(st.one_of(json_text({"name": "s", "label": "a", "swept": []}), ODD))
    text = draw(yaml_text(seed)) if draw(st.integers(0, 3)) == 0 else _dumped(document)
    verb = draw(st.sampled_from([["serve", "a.yaml", *draw(_SERVES)], ["serve", "a.yaml"], ["rebuild", "a.yaml"]]))
    return Case((*verb, *draw(FORM)), files={"a.yaml": text})


_SERVED_TREES = st.sampled_from([*odd.SERVED_TREES * 8, ["explain", "FILE:40"]])


@kind(8)
def _served_trees(draw: Draw) -> Case:
    """A tree with a service whose files or index are not as ftgen wrote them, and the verbs for trees."""
    files = dict(_served_tree())
    path = draw(st.sampled_from([*files]))
    held = json.loads(files["ftgen.lock"])
    files[path] = draw(json_text(held) if path == "ftgen.lock" else yaml_text(files[path]))
    if path != "ftgen.lock" and draw(st.booleans()):
        held["files"][path]["sha256"] = sha256(files[path].encode("utf-8", "surrogateescape"))
        files["ftgen.lock"] = json.dumps(held)
    workload = next(f"out/{path}" for path in files if "/deployment-" in path)
    verb = [word.replace("FILE", workload).replace("NAME", _name()) for word in draw(_SERVED_TREES)]
    return Case(tuple(verb), files={f"out/{name}": text for name, text in files.items()})


# --- data sets ------------------------------------------------------------------------------------------

_ROWS: dict[str, Any] = {
    "alpaca": {"instruction": "a", "input": "b", "output": "c", "system": "d", "history": [["e", "f"]]},
    "sharegpt": {
        "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}],
        "system": "c", "tools": "[]",
    },
    "openai": {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
    "ranked": {
        "conversations": [{"from": "human", "value": "a"}],
        "chosen": {"from": "gpt", "value": "b"}, "rejected": {"from": "gpt", "value": "c"},
    },
    "pairs": {"instruction": "a", "input": "b", "chosen": "c", "rejected": "d"},
    "kto": {"instruction": "a", "input": "b", "output": "c", "label": True},
    "corpus": {"text": "a"},
}  # fmt: skip
_SUITS: dict[str, list[str]] = {
    "alpaca": [], "sharegpt": ["dataset=hf-sharegpt"], "openai": ["dataset=hf-sharegpt", "trainer=sft-full"],
    "ranked": ["trainer=dpo-lora", "dataset=preference-pairs"], "corpus": ["trainer=pretrain", "dataset=corpus"],
    "pairs": ["trainer=dpo-lora", "dataset=preference-pairs"],
    "kto": ["dataset=kto-feedback", "trainer=dpo-lora", "trainer.args.stage=kto"],
}  # fmt: skip
"""Words of a training that reads rows of a form."""
_ROLES = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
_INFO: dict[str, Any] = {
    "identity_alauda": {"file_name": "d.jsonl", "columns": {"prompt": "instruction", "response": "output"}},
    "b": {"file_name": "data", "formatting": "sharegpt", "ranking": True, "num_samples": 3, "tags": _ROLES},
}
_CARD = """\
configs:
- config_name: default
  data_files:
  - {split: train, path: data/train*.jsonl}
  - {split: test, path: [d.jsonl, data/*]}
- data_files: d.json
- data_files: {train: d.csv, test: ["*.csv"]}
"""
_ARGUMENTS: dict[str, Any] = {
    "stage": "sft", "dataset": "identity_alauda,b", "eval_dataset": "b", "template": "qwen3", "cutoff_len": 2048,
    "max_samples": 10, "val_size": 0.1, "preprocessing_num_workers": 2, "mix_strategy": "interleave_under",
    "interleave_probs": "0.5,0.5", "streaming": False, "packing": True, "tool_format": "qwen",
}  # fmt: skip
_TOKENIZER: dict[str, Any] = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
    "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"a": 0, "[UNK]": 1}, "unk_token": "[UNK]"},
}  # fmt: skip
FORMS_OF_ROWS = st.sampled_from([*_ROWS])
_ENCODINGS = st.sampled_from(["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252"])


@st.composite
def row_file(draw: Draw, form: str) -> tuple[str, str]:
    """Name and text of a file of rows, half of them all sound; each sort of file is spoilt in its own way."""
    row = _ROWS[form]
    one = st.just(row) if draw(st.booleans()) else st.one_of(st.just(row), altered(row), ODD)
    rows = draw(st.lists(one, min_size=1, max_size=5))
    name = draw(st.sampled_from(["d.json", "d.jsonl", "d.jsonl", "d.csv", "d.csv", "d.txt", "d.parquet", "d.arrow"]))
    lines = [draw(st.sampled_from([json.dumps, _unescaped]))(each) for each in rows]
    text = f"[{','.join(lines)}]" if draw(st.booleans()) else "\n".join(lines)
    if name == "d.csv":
        cells = [[_cell(value) for value in each.values()] for each in rows if isinstance(each, dict)]
        text = "\n".join(draw(st.sampled_from([",", ",", ";", "\t"])).join(each) for each in [[*row], *cells])
    return name, draw(spoilt(_as_parquet(row) if name == "d.parquet" else text))


def _as_parquet(row: Mapping[str, Any]) -> str:
    """Return a row as a Parquet file where pyarrow is installed; else ftgen reads none, whatever it holds."""
    if find_spec("pyarrow") is None:
        return "PAR1"
    pyarrow, written = import_module("pyarrow"), io.BytesIO()
    import_module("pyarrow.parquet").write_table(pyarrow.Table.from_pylist([{**row, "history": None}]), written)
    return written.getvalue().decode("utf-8", "surrogateescape")


def _unescaped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\udcff", "")


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n') else text


@st.composite
def spoilt(draw: Draw, text: str) -> str:
    """The text as it is, with pieces put in or taken out, in another encoding, or many times over."""
    how = draw(st.integers(0, 9))
    if how == 0:
        return text.encode(draw(_ENCODINGS), "replace").decode("utf-8", "surrogateescape")
    if how == 1:
        return text * draw(st.integers(0, 50))
    return draw(scrambled(text)) if how < 5 else text


@kind(4)
def _data(draw: Draw) -> Case:
    """A file of odd rows, in each of the forms of a row and of a file."""
    form = draw(FORMS_OF_ROWS)
    name, text = draw(row_file(form))
    words = draw(st.lists(st.one_of(st.sampled_from(odd.DATA), overrides()), max_size=2))
    return Case(("data", name, *_SUITS[form], *words), files={name: text})


@kind(4)
def _data_folders(draw: Draw) -> Case:
    """A folder as a repository's checkout has it: what describes the data is odd, or the names are."""
    form = draw(FORMS_OF_ROWS)
    (name, text), other = draw(row_file(form)), draw(row_file(draw(FORMS_OF_ROWS)))
    held = copy.deepcopy(_INFO)
    held["identity_alauda"]["file_name"] = draw(st.one_of(st.just(name), HOSTILE))
    if draw(st.booleans()):
        held["identity_alauda"] = {"file_name": name, **draw(st.sampled_from(odd.ENTRIES))}
    files: dict[str, Any] = {**FILES, name: text, f"data/{other[0]}": other[1]}
    files["dataset_info.json"] = draw(st.one_of(st.just(json.dumps(held)), json_text(held)))
    if draw(st.booleans()):
        files["README.md"] = draw(
            st.one_of(st.just(f"---\n{_CARD}---\n"), spoilt(f"---\n{draw(yaml_text(_CARD))}---\n"))
        )
    if draw(st.integers(0, 3)) == 0:
        files["tokenizer.json"] = draw(json_text(_TOKENIZER))
    path = draw(st.sampled_from([".", ".", ".", name, draw(HOSTILE)]))
    if draw(st.booleans()):
        suited = [*_SUITS[form], "dataset.name=identity_alauda"]
        return Case(("data", path, *suited, *draw(st.lists(st.sampled_from(odd.DATA), max_size=2))), files=files)
    files["train.yaml"] = draw(st.one_of(st.just(json.dumps(_ARGUMENTS)), yaml_text(json.dumps(_ARGUMENTS))))
    shown = draw(st.sampled_from([[], ["--json"], ["--format", "html"], ["--strict"]]))
    return Case(("data", path, "--arguments", "train.yaml", *shown), files=files)


@kind(1)
def _again(draw: Draw) -> Case:
    """A second command in the same process."""
    verbs = [[verb] for verb in ALONE if verb not in {"render", "import"}]
    first = draw(st.sampled_from([*verbs, ["-x"], ["--cfg", "job"], ["-o", "-", "trainer.lr=["], ["-sc"], ["--help"]]))
    return Case(
        tuple(draw(st.sampled_from([["-o", "-"], ["gc"], ["check", "a.yaml"], ["--cfg", "job"]]))),
        before=(tuple(first),),
        files={"a.yaml": _manifest()},
    )


@st.composite
def cases(draw: Draw, names: tuple[str, ...] = ()) -> Case:
    """A case of some kind; of these kinds, where any are named."""
    pool = [name for name, (weight, _) in KINDS.items() for _ in range(weight) if not names or name in names]
    name = draw(st.sampled_from(pool))
    case = KINDS[name][1](draw)
    return Case(**{**{field: getattr(case, field) for field in case.__dataclass_fields__}, "why": name})
