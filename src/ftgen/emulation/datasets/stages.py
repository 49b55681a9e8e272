"""What a training stage does with an example (llamafactory/data/processor, data/template.py, data/formatter.py)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from ftgen.emulation.datasets import kinds
from ftgen.emulation.datasets.forms import FUNCTION, Example, Fault, Message
from ftgen.emulation.datasets.kinds import Kind

Dropped = tuple[Kind, str]
"""Kind and text of the reason for which a row is left out."""

_THOUGHT = re.compile(r"<think>\n.*?\n</think>\n\n", re.DOTALL)
_CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)


class Stage(Struct, frozen=True):
    """Stage of a training as the loader knows it.

    Attributes:
        name: `pt`, `sft`, `rm` (of reward models and DPO alike), `kto` or `ppo`.
        multimodal: whether the chat template takes images and the like.
        plain_tools: whether it writes tools in LLaMA-Factory's default format, which asks for their parameters.
    """

    name: str
    multimodal: bool = False
    plain_tools: bool = False

    @property
    def decide(self) -> Callable[[Example], Dropped | None]:
        """Return the function that accepts an example, or says why it is dropped; it raises `Fault`."""
        return {"pt": self._pretrain, "sft": self._supervised, "rm": self._pairwise, "kto": self._feedback}.get(
            self.name, self._unsupervised
        )

    def _pretrain(self, example: Example) -> Dropped | None:
        if not example.prompt:
            kind, text = example.why or (kinds.COUNT, "the conversation is empty")
            raise Fault(kind_of_failure(kind), text)
        _require_text(example.prompt[0][1])
        return None

    def _supervised(self, example: Example) -> Dropped | None:
        if len(example.prompt) % 2 != 1 or len(example.response) != 1:
            return _reason(example, 1)
        self._encode([*example.prompt, example.response[0]], example)
        return None

    def _pairwise(self, example: Example) -> Dropped | None:
        if len(example.prompt) % 2 != 1 or len(example.response) < 2:  # noqa: PLR2004 - chosen and rejected
            return _reason(example, 2)
        for answer in example.response[:2]:
            self._encode([*example.prompt, answer], example)
        return None

    def _feedback(self, example: Example) -> Dropped | None:
        if len(example.prompt) % 2 != 1 or len(example.response) < 2:  # noqa: PLR2004 - the answer and nothing
            return _reason(example, 0)
        first, second = example.response[:2]
        self._encode([*example.prompt, first if first[1] else second], example)
        return None

    def _unsupervised(self, example: Example) -> Dropped | None:
        if len(example.prompt) % 2 != 1:
            return _reason(example, 1)
        self._encode([*example.prompt, *(example.response if len(example.response) == 1 else ())], example)
        return None

    def _encode(self, messages: Sequence[Message], example: Example) -> None:
        """Refuse what the chat template refuses."""
        if example.media and not self.multimodal:
            raise Fault(kinds.MEDIA, "it has images, videos or audio, and the template is one of text")
        for role, content in messages:
            if role == FUNCTION:
                _require_call(content)
            elif type(content) is not str:
                _require_text(content)
        if example.tools:
            _require_tools(example.tools, plain=self.plain_tools)
        if example.system and not isinstance(example.system, str):
            raise Fault(kinds.SHAPE, "the system message is no text")


def kind_of_failure(kind: Kind) -> Kind:
    """Return the kind to report where a row that other stages drop ends the loading."""
    return kinds.SHAPE if kind in {kinds.ROLES, kinds.COUNT} else kind


def neighbour(example: Example) -> str:
    """Return why the row after this one cannot be trained on with KTO; empty if it can.

    LLaMA-Factory pairs each prompt with the answer of the row before (`FeedbackDatasetProcessor`), dropped or not.
    """
    answers = example.response
    if not answers:
        return "the row before has no answer"
    if not answers[0][1] and len(answers) == 1:
        return "the row before has neither label nor answer"
    content = answers[0][1] or answers[1][1]
    return "" if isinstance(content, str) else "the answer of the row before is no text"


def _reason(example: Example, wanted: int) -> Dropped:
    """Return why the example is dropped."""
    if example.why:
        return example.why
    if not example.prompt:
        return kinds.COUNT, "the conversation is empty"
    if wanted == 0:
        return kinds.LABEL, "its label is neither true nor false"
    if wanted == 1 and len(example.response) > 1:
        return kinds.STAGE_ROW, "it is labelled or ranked, and the stage wants one answer"
    return (kinds.PAIR, "it has not both a chosen and a rejected answer") if wanted > 1 else _NO_ANSWER


_NO_ANSWER = (kinds.ANSWER, "its answer is no text")


def _require_text(content: Any) -> None:
    if not isinstance(content, str):
        raise Fault(kinds.CONTENT, f"the content of a message is {'null' if content is None else 'no text'}")


def _require_call(content: Any) -> None:
    """Refuse a function call that `FunctionFormatter` cannot read."""
    _require_text(content)
    call = _CALL.search(content)
    text = call[1] if call else _THOUGHT.sub("", content) if _THOUGHT.search(content) else content
    calls = _json(text, "a function call is no JSON")
    for each in calls if isinstance(calls, list) else [calls]:
        if not (isinstance(each, dict) and "name" in each and "arguments" in each):
            raise Fault(kinds.TOOLS, "a function call is no mapping with name and arguments")


def _require_tools(tools: Any, *, plain: bool) -> None:
    """Refuse tools that `ToolFormatter` cannot read; what a template's own format wants of a tool is not asked."""
    if not isinstance(tools, str):
        raise Fault(kinds.TOOLS, "the tools are no text of JSON")
    listed = _json(tools, "the tools are no JSON")
    if not isinstance(listed, (list, dict, str)):
        raise Fault(kinds.TOOLS, "the tools are no list")
    for tool in listed:
        if not isinstance(tool, dict):
            raise Fault(kinds.TOOLS, "a tool is no mapping")
        if plain:
            _require_parameters(tool.get("function") if tool.get("type") == "function" else tool)


def _require_parameters(tool: Any) -> None:
    """Refuse a tool that `DefaultToolUtils` cannot describe."""
    parameters = tool.get("parameters") if isinstance(tool, dict) else None
    properties = parameters.get("properties") if isinstance(parameters, dict) else None
    if not isinstance(properties, dict) or not all(isinstance(each, dict) for each in properties.values()):
        raise Fault(kinds.TOOLS, "a tool has no mapping parameters.properties, which the template describes")
    if not isinstance(tool.get("name"), str):
        raise Fault(kinds.TOOLS, "a tool has no name")


def _json(text: str, problem: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Fault(kinds.TOOLS, problem) from None
