"""What is tried: command lines by Hydra's grammar, files by their own, and both taken apart.

Each function of `KINDS` draws one `Case`; its seeds are files that ftgen wrote or carries, so that most of an input is
sound and gets deep before the odd part is met.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from tests.fuzz import odd
from tests.fuzz.case import Case

from ftgen import pipeline, project
from ftgen.cli.arguments import FORMS, VERBS
from ftgen.config import catalog
from ftgen.config.compose import Composer, Request, compose
from ftgen.output.tree import Lock, dump_lock, object_of
from ftgen.output.tree.lock import AssignedName, Entry
from ftgen.output.tree.plan import sha256
from ftgen.text import yamlio

Draw = st.DrawFn
Kind = Callable[[Draw], Case]

HERE = Path(__file__).parents[1]

# --- seeds ----------------------------------------------------------------------------------------------

OPTIONS = catalog.groups([project.conf_dir()])
CHOICES = [f"{group}={option}" for group, options in OPTIONS.items() for option in options]


def _paths(value: object, prefix: str = "") -> list[str]:
    inner = value.items() if isinstance(value, dict) else ()
    return [prefix, *(path for key, held in inner for path in _paths(held, f"{prefix}.{key}" if prefix else str(key)))]


KEYS = [
    *filter(None, _paths(compose(Request(config_path=project.conf_dir())).config)),
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


@cache
def _tree() -> Mapping[str, str]:
    """The files of a rendered tree, by their place below its root, the index among them."""
    job = pipeline.compile_job(Composer(Request(directory=Path("/nonexistent"))), ["storage.workspace.claim=w"])
    run = job.run
    entries = {p: Entry(sha256(c), object_of(c), run.identity, run.name) for p, c in run.files.items()}
    lock = Lock(entries, {run.identity: AssignedName(run.name)})
    return {**{p: c.decode() for p, c in run.files.items()}, "ftgen.lock": dump_lock(lock).decode()}


@cache
def _manifest() -> str:
    return next(text for path, text in _tree().items() if "/job-" in path)


@cache
def _name() -> str:
    return next(iter(json.loads(_tree()["ftgen.lock"])["runs"].values()))["name"]


@cache
def _manifests() -> list[str]:
    files = [HERE / "check" / "data" / "reference.yaml", *sorted((HERE / "importing" / "shapes").glob("*.yaml"))]
    return [_manifest(), *(file.read_text(encoding="utf-8") for file in files)]


@cache
def _configuration() -> Mapping[str, str]:
    """The packaged configuration files, which a user's own of the same name shadow."""
    folder = project.conf_dir()
    return {f"conf/{p.relative_to(folder)}": p.read_text(encoding="utf-8") for p in sorted(folder.rglob("*.yaml"))}


@cache
def _overlays() -> Mapping[str, str]:
    folder = project.overlays_dir()
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


def _around(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(inner, max_size=3)
    return st.one_of(
        several.map(lambda items: f"[{','.join(items)}]"),
        several.map(",".join),
        st.lists(st.tuples(ATOMS, inner), max_size=2).map(
            lambda items: "{" + ",".join(f"{k}:{v}" for k, v in items) + "}"
        ),
        st.tuples(
            st.sampled_from(
                [
                    *(
                        "choice",
                        "range",
                        "glob",
                        "sort",
                        "shuffle",
                        "tag",
                        "interval",
                        "extend_list",
                        "int",
                        "float",
                        "str",
                    ),
                    *("bool", "json_str", "x", "range"),
                ]
            ),
            several,
        ).map(lambda call: f"{call[0]}({','.join(call[1])})"),
        inner.map(lambda text: f"'{text}'"),
    )


VALUES = st.one_of(ATOMS, ATOMS, st.recursive(ATOMS, _around, max_leaves=4), DEEP)
SIGNS = st.sampled_from(["", "", "", "", "+", "++", "~"])
NAMES = st.one_of(st.sampled_from(KEYS), st.sampled_from(KEYS), st.sampled_from(KEYS), WORDS)
TAILS = st.sampled_from(["", "", "", "", ".x", "@", "@x", "@a.b", "@_global_", "@a:b", "[0]", ".0", "/x", ":x"])
SWEPT = st.sampled_from(odd.SWEPT)


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
    verb = draw(st.sampled_from([*VERBS]))
    subject = draw(
        st.sampled_from([[], [], [draw(st.sampled_from(KEYS))], ["out"], [_name()], ["import"], ["kustomize"]])
    )
    return Case((verb, *subject, *draw(words())))


@kind(3)
def _sweeps(draw: Draw) -> Case:
    verb = draw(st.sampled_from([["-o", "-"], ["plan"], ["diff"], ["compare"], ["--cfg=all"], []]))
    axes = draw(st.lists(SWEPT, min_size=1, max_size=2))
    return Case((*verb, "-m", "--limit", "9", *axes, *draw(words(1))))


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


@kind(14)
def _differ(draw: Draw) -> Case:
    seed = draw(st.sampled_from(_manifests()))
    old, new = (draw(st.one_of(st.just(seed), yaml_text(seed))) for _ in range(2))
    form = draw(st.sampled_from([[], ["--json"], ["--format", "markdown"], ["--format", "sarif"]]))
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


@kind(4)
def _configuration_files(draw: Draw) -> Case:
    path = draw(st.sampled_from([*_configuration()]))
    group, _, option = path.removeprefix("conf/").removesuffix(".yaml").rpartition("/")
    chosen = [f"{'+' if group in {'experiment', 'sweep'} else ''}{group}={option}"] if group else []
    text = draw(yaml_text(_configuration()[path]))
    line = {"COMP_LINE": f"ftgen {' '.join(chosen)} {draw(st.sampled_from(KEYS))}="}
    verb = draw(_READS)
    return Case((*verb, *(() if "-sc" in verb else chosen)), files={path: text}, env=line)


@kind(3)
def _scripts(draw: Draw) -> Case:
    name = draw(st.sampled_from(["train", "prepare"]))
    text = (project.conf_dir() / "trainer" / f"{name}.sh").read_text(encoding="utf-8")
    how = draw(
        st.sampled_from(
            [draw(scrambled(text)), {"link": "loop"}, {"fifo": True}, {"folder": True}, "", {"size": 2**34}]
        )
    )
    return Case(tuple(draw(_READS)), files={f"conf/trainer/{name}.sh": how})


@kind(3)
def _overlay_files(draw: Draw) -> Case:
    path = draw(st.sampled_from([*_overlays()]))
    group, option, *_ = path.removeprefix("overlays/").split("/")
    packs = ["hardware=ascend"] if option in {"driver", "rank_table"} else [f"{group}={option}"]
    name = draw(st.one_of(st.just("x.yaml"), st.sampled_from(["\udcff.yaml", "a b.yaml", ".yaml", "x.json", "x.yml"])))
    place = f"overlays/{group}/{option if option not in {'driver', 'rank_table'} else 'ascend'}/{name}"
    verb = draw(st.sampled_from([["-o", "-"], ["-o", "-"], ["export", "kustomize"], ["plan"], ["explain", "overlays"]]))
    return Case((*verb, *packs), files={place: draw(yaml_text(_overlays()[path]))})


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


_ROW_KEYS = ["instruction", "input", "output", "system", "conversations", "from", "value", "chosen", "label", ""]
_FORMS = [
    "trainer=sft-lora", "trainer=pretrain", "trainer=dpo-lora", "dataset=kto-feedback", "dataset=hf-sharegpt",
    "dataset=preference-pairs", "dataset=corpus", "dataset.info.formatting=openai", "trainer.args.max_samples=null",
    "trainer.args.stage=kto", "trainer.args.val_size=0", "--json", "--strict",
]  # fmt: skip


@kind(3)
def _data(draw: Draw) -> Case:
    """A data set of odd rows, whole or spoilt, in each of the forms of a file."""
    row = st.dictionaries(st.sampled_from(_ROW_KEYS), st.one_of(ODD, st.lists(ODD, max_size=2)), max_size=5)
    lines = [json.dumps(each) for each in draw(st.lists(row, max_size=4))]
    text = draw(st.sampled_from(["\n".join(lines), f"[{','.join(lines)}]", f"[{','.join(lines)}", draw(SCRAPS)]))
    name = draw(st.sampled_from(["d.json", "d.jsonl", "d.csv", "d.txt", "d.parquet", "d.arrow", "d"]))
    info = draw(st.one_of(ODD, st.just({"identity_alauda": {"file_name": name, "columns": {"prompt": "instruction"}}})))
    files = {name: text, "dataset_info.json": json.dumps(info), "README.md": f"---\n{draw(SCRAPS)}\n---\n"}
    path = draw(st.one_of(st.sampled_from([name, ".", "nowhere"]), HOSTILE))
    return Case(("data", path, *draw(st.lists(st.sampled_from(_FORMS), max_size=2))), files=files)


@kind(1)
def _again(draw: Draw) -> Case:
    """A second command in the same process."""
    verbs = [[verb] for verb in VERBS if verb not in {"render", "import"}]
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
