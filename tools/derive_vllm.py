"""Derive the arguments of `vllm serve` from vLLM's source distribution on PyPI, without importing it.

`schemas/vllm/<version>.json` holds, one argument a line, what `vllm serve` of that release accepts: types, choices,
bounds, and defaults that are plain values; the names of its parsers of tool calls and of reasoning; and the release of
vllm-ascend that serves with it on Ascend, whose Dockerfile names the vLLM that it installs. `SOURCES.json` names both
archives with their digests, and the digest of each derived file.

    python -m tools.derive_vllm                  write the files
    python -m tools.derive_vllm --check          derive again, fail on any difference
    python -m tools.derive_vllm --offline-check  compare the files with SOURCES.json only
    ... --archives DIR                           keep the archives there instead of fetching them anew

The source distribution is a tenth of the wheel's size, and pip cannot fetch it without building it, which takes torch:
its file is read from the index itself.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import tarfile
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from tools.surfaces import Sources, Surfaces, alternatives, field_keywords, source_list, text_of, value_of

# vLLM's release -> the final release of vllm-ascend for it.  The newest such pair, so that one set of arguments is
# checked whichever card serves; vllm-ascend has release candidates only for later releases of vLLM.
RELEASES = {"0.23.0": "0.23.0"}

SDISTS = {
    ("vllm", "0.23.0"): "760269db3d9611e12e524681df1bca0977d5d2f5fcb4481cc34d33efc4ae7ff5",
    ("vllm-ascend", "0.23.0"): "a58db76eaffcf328b13b315a0db3a57d381a8947d01057ddcefe4ad02372b242",
}
INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple")

MODULES = r"vllm/(config/\w+|engine/arg_utils|entrypoints/chat_utils|entrypoints/openai/(cli_args|models/protocol))\.py"
# What `vllm serve` registers, in the order in which it does: the module, and the function of a class or of the module.
REGISTERS = (
    ("vllm/entrypoints/openai/cli_args.py", "make_arg_parser"),
    ("vllm/engine/arg_utils.py", "EngineArgs.add_cli_args"),
    ("vllm/engine/arg_utils.py", "AsyncEngineArgs.add_cli_args"),
)
FRONTEND = ("BaseFrontendArgs", "FrontendArgs")
REGISTRIES = {
    "tool_call_parser": ("vllm/tool_parsers/__init__.py", "_TOOL_PARSERS_TO_REGISTER", "tool_parser_plugin"),
    "reasoning_parser": ("vllm/reasoning/__init__.py", "_REASONING_PARSERS_TO_REGISTER", "reasoning_parser_plugin"),
}
# What `human_readable_int` of vllm/utils/argparse_utils.py takes beside plain numbers.
SUFFIXED = r"\d+(\.\d+)?[kmgt]|\d+[KMGT]"
READERS = {"human_readable_int": SUFFIXED, "human_readable_int_or_auto": rf"{SUFFIXED}|[Aa][Uu][Tt][Oo]"}
BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
SCALARS = ("int", "float", "str", "bool")
SECRET = re.compile(r"(^|_)(token|api_key)$")

Described = dict[str, Any]


# ---------------------------------------------------------------- types


class Types(Struct, frozen=True):
    """Reads annotations as vLLM's `_compute_kwargs` (engine/arg_utils.py) does, in its order of precedence."""

    sources: Sources
    suffixed: Mapping[str, str]

    def describe(self, name: str, annotation: ast.expr) -> Described:
        """The type of an argument's values, and its choices."""
        hints = [hint for part in alternatives(annotation) for hint in self._expanded(part)]
        words = {ast.unparse(hint) for hint in hints}
        nullable = {"null"} if "None" in words else set[str]()
        found = self._described(name, [hint for hint in hints if ast.unparse(hint) != "None"], words)
        return {**found, "type": sorted({*found["type"], *nullable})}

    def _described(self, name: str, hints: list[ast.expr], words: set[str]) -> Described:  # noqa: PLR0911 - a case a type
        literals = [hint for hint in hints if _outer(hint) == "Literal"]
        lists = [hint for hint in hints if _outer(hint) in {"tuple", "list", "set"}]
        if any(self._is_dataclass(word) for word in words):
            return {"type": ["dict"]}
        if words == {"bool", "str", "None"} or "bool" in words:
            return {"type": ["bool", "str"], "bare": True} if "str" in words else {"type": ["bool"]}
        if literals:
            return self._literal(literals[0], open_ended="str" in words)
        if lists:
            return self._list(lists[0])
        if numbers := words & {"int", "float"}:
            return {"type": [min(numbers, key=SCALARS.index)], **self._pattern(name)}
        if any(_outer(hint) == "dict" for hint in hints):
            return {"type": ["dict", *(["str"] if "str" in words else [])]}
        members = [values for word in words if (values := self.sources.members(word))]
        if members and all(isinstance(value, int) for value in members[0].values()):
            return {"type": ["int"], "choices": list(members[0].values())}
        return {"type": ["str"]}

    def _pattern(self, name: str) -> Described:
        return {"pattern": self.suffixed[name]} if name in self.suffixed else {}

    def _literal(self, hint: ast.expr, *, open_ended: bool) -> Described:
        values = list(dict.fromkeys(self._values(hint)))
        kinds = sorted({type(value).__name__ for value in values})
        return {"type": kinds} if open_ended else {"type": kinds, "choices": values}

    def _list(self, hint: ast.expr) -> Described:
        """A list, or one item of it: argparse takes one or more (`nargs="+"`)."""
        assert isinstance(hint, ast.Subscript)  # noqa: S101 - vLLM itself refuses a list without its items' type
        item = hint.slice.elts[0] if isinstance(hint.slice, ast.Tuple) else hint.slice
        inner = self.describe("", item)
        kinds = [kind for kind in inner["type"] if kind in SCALARS] or ["str"]
        kind = "str" if "str" in kinds else kinds[0]
        return {"type": ["list", kind], **({"words": inner["choices"]} if "choices" in inner else {})}

    def _values(self, hint: ast.expr) -> Iterator[Any]:
        """The values of a Literal, whose members may be names of Literals."""
        assert isinstance(hint, ast.Subscript)  # noqa: S101 - a bare Literal is no annotation
        for part in hint.slice.elts if isinstance(hint.slice, ast.Tuple) else [hint.slice]:
            if isinstance(part, ast.Constant):
                yield part.value
            else:
                (expanded,) = self._expanded(part)
                yield from self._values(expanded)

    def _expanded(self, hint: ast.expr) -> list[ast.expr]:
        """What a name of a type stands for; `Annotated` and `SkipValidation` without their notes."""
        if _outer(hint) in {"Annotated", "SkipValidation"} and isinstance(hint, ast.Subscript):
            inner = hint.slice.elts[0] if isinstance(hint.slice, ast.Tuple) else hint.slice
            return [more for part in alternatives(inner) for more in self._expanded(part)]
        named = self.sources.assigned.get(hint.id, []) if isinstance(hint, ast.Name) else []
        meant = next((value for value in named if isinstance(value, ast.Subscript | ast.BinOp)), None)
        return [more for part in alternatives(meant) for more in self._expanded(part)] if meant is not None else [hint]

    def _is_dataclass(self, name: str) -> bool:
        node = self.sources.classes.get(name)
        return node is not None and any("config" in ast.unparse(by).split("(")[0] for by in node.decorator_list)


def _outer(hint: ast.expr) -> str:
    return ast.unparse(hint.value if isinstance(hint, ast.Subscript) else hint).rsplit(".", maxsplit=1)[-1]


# ---------------------------------------------------------------- registrations


class Parser(Struct):
    """Reads the statements that register arguments, and keeps what they register.

    Attributes:
        types: how annotations are read.
        arguments: what was registered so far, by name.
        keywords: the dictionaries of keywords by the variable that holds them: those of a class, or of one field.
    """

    types: Types
    arguments: dict[str, Described] = field(default_factory=dict)
    keywords: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self, statements: list[ast.stmt]) -> None:
        """Read statements in their order; both branches of a condition, of which help alone takes the other."""
        for statement in statements:
            match statement:
                case ast.If(_, body, orelse):
                    self.run([*body, *orelse])
                case ast.Assign([ast.Name(name)], value):
                    self._bind(name, value)
                case ast.Assign([ast.Subscript(owner, ast.Constant(key))], value):
                    self._change(owner, str(key), value)
                case ast.AugAssign(ast.Subscript(owner, ast.Constant("choices"))):
                    self._entry(owner).pop("words", None)  # it takes more than these
                case ast.Delete([ast.Subscript(owner, ast.Constant("nargs"))]):
                    self._entry(owner)["single"] = True
                case ast.Expr(ast.Call(ast.Attribute(_, "add_argument"), names, keywords)):
                    self._register(names, keywords)
                case _:
                    pass

    def fields(self, name: str) -> dict[str, Described]:
        """The keywords of every field of a configuration class, as `get_kwargs` gives them."""
        node = self.types.sources.classes[name]
        found: dict[str, Described] = {}
        for statement in node.body:
            match statement:
                case ast.AnnAssign(ast.Name(key), annotation, value) if not _is_internal(annotation, value):
                    found[key] = {**self.types.describe(key, annotation), **self._limits(value), "group": name}
        return found

    def _limits(self, value: ast.expr | None) -> Described:
        keywords = field_keywords(value)
        limits = {BOUNDS[key]: value_of(bound, self.types.sources) for key, bound in keywords.items() if key in BOUNDS}
        default = keywords.get("default", keywords.get("default_factory")) if keywords else value
        return {**limits, **self._default(default)}

    def _default(self, value: ast.expr | None) -> Described:
        """The default if it is a plain value; nothing where only a running vLLM could say."""
        if isinstance(value, ast.Name) and value.id in {"list", "dict"}:
            return {"default": [] if value.id == "list" else {}}
        if isinstance(value, ast.Constant):
            return {"default": value.value}
        found = value_of(value, self.types.sources) if value is not None else None
        return {} if found is None or isinstance(value, ast.Call) else {"default": found}

    def _bind(self, name: str, value: ast.expr) -> None:
        match value:
            case ast.Call(ast.Name("get_kwargs"), [ast.Name(cls)]):
                self.keywords[name] = self.fields(cls)
            case ast.Subscript(ast.Name(owner), ast.Constant(key)) if owner in self.keywords:
                self.keywords[name] = self.keywords[owner][str(key)]
            case _:
                pass

    def _entry(self, owner: ast.expr) -> Described:
        """The keywords that `kwargs`, or `kwargs["field"]`, holds."""
        if isinstance(owner, ast.Subscript) and isinstance(owner.slice, ast.Constant):
            found: Described = self._entry(owner.value).setdefault(str(owner.slice.value), {})
            return found
        return self.keywords.setdefault(ast.unparse(owner), {})

    def _change(self, owner: ast.expr, key: str, value: ast.expr) -> None:
        if key == "type" and "json.loads" in ast.unparse(value):
            self._entry(owner)["json"] = True
        if key == "action" and ast.unparse(value) == "'append'":
            self._entry(owner)["single"] = True

    def _register(self, names: list[ast.expr], keywords: list[ast.keyword]) -> None:
        options = [text for name in names if isinstance(text := value_of(name, self.types.sources), str)]
        option = next((text for text in options if text.startswith("--")), None)
        if option is not None:
            given = {keyword.arg: keyword.value for keyword in keywords if keyword.arg}
            spread = next((keyword.value for keyword in keywords if keyword.arg is None), None)
            described = self._spread(spread) if spread is not None else self._written(given)
            self.arguments[option.removeprefix("--").replace("-", "_")] = described

    def _spread(self, value: ast.expr) -> Described:
        """`**kwargs["field"]`, or `**{**kwargs["field"], "default": None}`."""
        if isinstance(value, ast.Dict) and value.keys[0] is None:
            return {**self._spread(value.values[0]), **self._default(value.values[1])}
        return self._entry(value)

    def _written(self, keywords: Mapping[str, ast.expr]) -> Described:
        action = ast.unparse(keywords.get("action", ast.Constant("")))
        bare = action == "'store_true'"
        kind = (
            "bool" if bare or "BooleanOptionalAction" in action else ast.unparse(keywords.get("type", ast.Name("str")))
        )
        default = keywords.get("default", ast.Constant(False if bare else None))
        if isinstance(default, ast.Attribute):
            default = ast.Constant(value=False)
        choices = value_of(keywords["choices"], self.types.sources) if "choices" in keywords else None
        return {
            "type": [kind, *(["null"] if value_of(default, self.types.sources) is None else [])],
            "group": "serve",
            **self._default(default),
            **({"choices": choices} if choices else {}),
            **({"bare": True} if bare else {}),
        }


def _is_internal(annotation: ast.expr, value: ast.expr | None) -> bool:
    text = ast.unparse(annotation)
    return text.startswith(("ClassVar", "InitVar")) or "init" in field_keywords(value)


def finished(name: str, described: Described) -> Described:
    """An argument as the file has it: `single` and `json` tell how its value is written on the command line."""
    entry = {key: value for key, value in described.items() if key not in {"single", "json"}}
    kinds = set(entry["type"])
    single, as_json = described.get("single", False), described.get("json", False)
    if as_json:
        kinds = (kinds & {"null"}) | ({"list"} if "list" in kinds else {"dict"})
        entry |= {"json": True} if single else {}
    elif single:
        kinds -= {"list"}
    if entry.get("default", 0) is None:
        kinds |= {"null"}
    return {**entry, "type": sorted(kinds), **({"secret": True} if SECRET.search(name) else {})}


# ---------------------------------------------------------------- archives


def sdist(folder: Path, package: str, version: str) -> Path:
    """A pinned source distribution, or a failure when its digest is another."""
    name = f"{package.replace('-', '_')}-{version}.tar.gz"
    file = folder / name
    if not file.exists():
        asked = urllib.request.Request(  # noqa: S310 - the package index
            f"{INDEX.rstrip('/')}/{package}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
        )
        with urllib.request.urlopen(asked) as answer:  # noqa: S310 - the package index
            url = next(each["url"] for each in json.load(answer)["files"] if each["filename"] == name)
        with urllib.request.urlopen(url) as answer, file.open("wb") as written:  # noqa: S310 - what the index names
            shutil.copyfileobj(answer, written)
    if (digest := hashlib.sha256(file.read_bytes()).hexdigest()) != SDISTS[package, version]:
        raise SystemExit(f"{name}: sha256 {digest} is not the pinned {SDISTS[package, version]}")
    return file


def texts(archive: Path, pattern: str) -> dict[str, str]:
    """The texts of the files of a source distribution that match, by their path below its folder."""
    found: dict[str, str] = {}
    with tarfile.open(archive) as members:
        for member in members:
            path = member.name.partition("/")[2]
            content = members.extractfile(member) if re.fullmatch(pattern, path) else None
            if content is not None:
                found[path] = content.read().decode()
    return dict(sorted(found.items()))


# ---------------------------------------------------------------- one release


def surface(folder: Path, version: str) -> dict[str, Any]:
    """Everything the generator knows of one release."""
    registries = "|".join(re.escape(path) for path, _, _ in REGISTRIES.values())
    modules = texts(sdist(folder, "vllm", version), f"{MODULES}|{registries}")
    return {
        "version": version,
        "ascend": _ascend(folder, version),
        "arguments": arguments(modules),
        "registered": {name: _registered(modules[path], *rest) for name, (path, *rest) in REGISTRIES.items()},
    }


def arguments(modules: Mapping[str, str]) -> dict[str, Described]:
    """The arguments of `vllm serve`, by name."""
    sources = Sources()
    for text in modules.values():
        sources.add(text)
    parser = Parser(Types(sources, _suffixed(modules["vllm/engine/arg_utils.py"])))
    for cls in FRONTEND:
        fields = parser.keywords["frontend_kwargs"] = parser.fields(cls)
        parser.run(function(modules["vllm/entrypoints/openai/cli_args.py"], f"{cls}._customize_cli_kwargs"))
        parser.arguments |= {name: {**entry, "group": "serve"} for name, entry in fields.items()}
    for path, name in REGISTERS:
        parser.run(function(modules[path], name))
    return {name: finished(name, entry) for name, entry in parser.arguments.items()}


def function(text: str, name: str) -> list[ast.stmt]:
    """The statements of a function, `name` or `Class.name`."""
    body: list[ast.stmt] = ast.parse(text).body
    for part in name.split("."):
        body = next(
            node for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == part
        ).body
    return body


def _suffixed(text: str) -> dict[str, str]:
    """The names that `_compute_kwargs` reads with a reader of numbers such as 8k, with what that reader takes."""
    found: dict[str, str] = {}
    for node in ast.walk(ast.Module(function(text, "_compute_kwargs"), [])):
        match node:
            case ast.If(ast.Compare(ast.Name("name"), _, [names]), [ast.Assign(_, ast.Name(reader)), *_]) if (
                reader in READERS
            ):
                values = value_of(names, Sources())
                found |= dict.fromkeys([values] if isinstance(values, str) else values, READERS[reader])
            case _:
                pass
    return found


def _registered(text: str, table: str, plugin: str) -> dict[str, Any]:
    """The names that a table registers, and the argument whose module may register more."""
    sources = Sources()
    sources.add(text)
    (node,) = sources.assigned[table]
    assert isinstance(node, ast.Dict)  # noqa: S101 - a release that moved the table must fail loudly
    return {"names": sorted(value_of(key, sources) for key in node.keys if key is not None), "plugin": plugin}


def _ascend(folder: Path, version: str) -> str:
    """The release of vllm-ascend that is made for a release of vLLM, as its Dockerfile says."""
    release = RELEASES[version]
    (dockerfile,) = texts(sdist(folder, "vllm-ascend", release), "Dockerfile").values()
    if f"ARG VLLM_TAG=v{version}\n" not in dockerfile:
        raise SystemExit(f"vllm-ascend {release} installs another vLLM than {version}")
    return release


def derive(archives: Path) -> dict[str, str]:
    """File name -> text, SOURCES.json included."""
    files = {f"{version}.json": text_of(surface(archives, version)) for version in RELEASES}
    sdists = {f"{p}-{v}": {"package": p, "version": v, "sha256": d} for (p, v), d in SDISTS.items()}
    return {**files, "SOURCES.json": source_list(sdists, files)}


SURFACES = Surfaces("vllm", derive)

if __name__ == "__main__":
    raise SystemExit(SURFACES.main(__doc__))
