"""Validation of vLLM's arguments: names, types, choices and bounds, then what arguments need of each other.

vLLM checks them itself, minutes into a pod's life, when the image is pulled and the weights are fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from ftgen.diagnostics import Diagnostic, error
from ftgen.trainers.surface import Argument, WrongType, cast
from ftgen.trainers.vllm import Surface, surface
from ftgen.validation.arguments import UNKNOWN, WRONG_TYPE, WRONG_VALUE, problem_of, shown, suggestion, wrong_choice

_ADAPTER = "it follows from the run: trainer.merge=false keeps its adapter, which is served beside the base"
OWNED: Mapping[str, str] = {
    "api_key": "set serving.api_key",
    "chat_template": "set serving.chat_template",
    "config": "set its content under serving.args",
    "dtype": "set serving.dtype",
    "enable_lora": _ADAPTER,
    "gpu_memory_utilization": "set serving.memory_utilization",
    "grpc": "leave grpc out: the probes ask for HTTP",
    "headless": "leave headless out: one pod serves alone",
    "hf_token": "set 'serving.env.HF_TOKEN={secret: NAME, key: KEY}'",
    "host": "leave host out: the server listens on all addresses of its pod",
    "lora_modules": _ADAPTER,
    "max_lora_rank": _ADAPTER,
    "max_model_len": "set serving.context",
    "model": "leave model out: what is served is the run's result",
    "port": "set serving.port",
    "served_model_name": "set serving.served_name",
    "tensor_parallel_size": "set hardware.devices",
    "uds": "leave uds out: the service reaches a port",
}
"""Arguments that ftgen sets itself, with what to do instead."""

# `ParallelConfig` (vllm/config/parallel.py) multiplies these, and `tensor_parallel_size` takes all cards of the pod.
_MULTIPLIERS = ("data_parallel_size", "nnodes", "pipeline_parallel_size", "prefill_context_parallel_size")
# `validate_parsed_serve_args` (vllm/entrypoints/openai/cli_args.py).
_NEEDS = {"enable_auto_tool_choice": "tool_call_parser", "enable_log_outputs": "enable_log_requests"}


def check_serving_arguments(args: Mapping[str, Any], version: str) -> list[Diagnostic]:
    """Return the diagnostics of `serving.args`.

    Args:
        args: arguments by name, as the user typed them.
        version: release of vLLM.

    Returns:
        Unknown names and those that ftgen sets itself (FT201), wrong types (FT202), and values that vLLM refuses
        (FT203), in the order of the arguments; then what arguments need of each other.

    Raises:
        KeyError: the release is unknown.
    """
    release = surface(version)
    problems = {name: _own_problem(name, value, release, args) for name, value in args.items()}
    found = [problem for problem in problems.values() if problem is not None]
    sound = {name: value for name, value in args.items() if problems[name] is None}
    return found + list(_together(sound, args))


def _subject(name: str) -> str:
    return f"serving.args.{name}"


def _own_problem(name: str, value: Any, release: Surface, args: Mapping[str, Any]) -> Diagnostic | None:
    if name in OWNED:
        return error(UNKNOWN, f"ftgen sets {name} itself", _subject(name), "", OWNED[name])
    argument = release.arguments.get(name)
    if argument is None:
        headline, help_ = unknown_argument(name, release)
        return error(UNKNOWN, headline, _subject(name), "", help_)
    return (
        problem_of(argument, value, _subject(name))
        or _wrong_item(argument, value)
        or _unregistered(argument, value, release, args)
    )


def unknown_argument(name: str, release: Surface) -> tuple[str, str]:
    """Return what there is to say of a name that is no argument of vLLM, and the help."""
    return f"vLLM {release.version} has no argument {shown(name)}", _cure(name, release)


def _cure(name: str, release: Surface) -> str:
    switch = name.replace("-", "_").removeprefix("no_")
    if switch != name and "bool" in (known.types if (known := release.arguments.get(switch)) else ()):
        return f"write {switch}: {'false' if name.startswith('no') else 'true'}"
    return suggestion(name, release.arguments.keys() - OWNED)


def _wrong_item(argument: Argument, value: Any) -> Diagnostic | None:
    """Refuse an item of a list that is no plain value of the argument's type: each becomes a word of its own."""
    items = value if isinstance(value, (list, tuple)) and not argument.json else ()
    wrong = [item for item in items if not _is_word(argument, item)]
    if not wrong:
        return None
    wanted = "a whole number" if "int" in argument.types else "a text"
    headline = f"an item of {argument.name} is {wanted}, not {wrong[0]!r}"
    return error(WRONG_TYPE, headline, _subject(argument.name), repr(wrong[0]), f"write {wanted} for each item")


def _is_word(argument: Argument, item: Any) -> bool:
    if "str" in argument.types:
        return isinstance(item, (str, int, float)) and not isinstance(item, bool)
    try:
        cast(replace(argument, types=argument.types - {"list", "null"}), item)
    except WrongType:
        return False
    return True


def _unregistered(argument: Argument, value: Any, release: Surface, args: Mapping[str, Any]) -> Diagnostic | None:
    """Refuse a parser that the release does not have, unless a plugin may bring it."""
    registry = release.registered.get(argument.name)
    if registry is None or not value or args.get(registry.plugin):
        return None
    return wrong_choice(replace(argument, choices=registry.names), value, _subject(argument.name))


def _together(sound: Mapping[str, Any], args: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """Yield what is wrong between arguments whose own values are right."""
    for name in _MULTIPLIERS:
        if str(sound.get(name, 1)) not in {"1", "None"}:
            headline = f"{name} multiplies the cards, which tensor parallelism already takes all"
            yield error(
                WRONG_VALUE, headline, _subject(name), str(sound[name]), f"leave {name} out: set hardware.devices"
            )
    for name, needed in _NEEDS.items():
        if sound.get(name) and not args.get(needed):
            help_ = f"set serving.args.{needed}"
            yield error(WRONG_VALUE, f"{name} needs {needed}", _subject(name), str(sound[name]), help_)
