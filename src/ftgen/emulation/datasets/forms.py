"""The forms of a row, and the example that LLaMA-Factory makes of each (llamafactory/data/converter.py).

A key that a row lacks is null, because the reader makes a table of the rows.  Whether any row has it is known when all
are read; `Converter.absent` keeps what was asked for and was not there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ftgen.emulation.datasets import kinds
from ftgen.emulation.datasets.entry import Entry
from ftgen.emulation.datasets.kinds import Kind

USER, ASSISTANT, OBSERVATION, FUNCTION, SYSTEM = "user", "assistant", "observation", "function", "system"
Message = tuple[str, Any]
"""Role and content."""
Row = Mapping[str | None, Any]
"""Values by column; nothing stands under None, which a column that the entry leaves out is."""

_ANSWERING = (ASSISTANT, FUNCTION)
_TURNS = ((USER, OBSERVATION), _ANSWERING)


class Fault(Exception):  # noqa: N818 - a fact about the data, not a malfunction
    """What ends LLaMA-Factory's loading."""

    def __init__(self, kind: Kind, text: str) -> None:
        """Keep the kind, and what is wrong with the row."""
        super().__init__(text)
        self.kind, self.text = kind, text


class Example:
    """What a form makes of a row.

    Attributes:
        prompt: the messages before the answer.
        response: the answer; two of them for pairs and labelled rows.
        system: the system message as it stands in the row.
        tools: the tools as they stand in the row.
        media: whether the row has images, videos or audio.
        why: kind and text of the reason where prompt and response are empty because the row is broken.
        odd_role: role of a chosen or rejected answer that is no assistant's.
    """

    __slots__ = ("media", "odd_role", "prompt", "response", "system", "tools", "why")

    def __init__(self, prompt: list[Message], response: list[Message], system: Any = "", tools: Any = "") -> None:
        """Begin with what every form has."""
        self.prompt, self.response, self.system, self.tools = prompt, response, system, tools
        self.media = False
        self.why: tuple[Kind, str] | None = None
        self.odd_role = ""


class Converter:
    """Conversion of rows by an entry's form.

    Attributes:
        entry: names of columns and tags.
        absent: paths of keys that were asked for and that some row lacked; a name of None is one that the entry lacks.
    """

    def __init__(self, entry: Entry) -> None:
        """Begin with nothing absent."""
        self.entry = entry
        self.absent: set[tuple[str | None, ...]] = set()
        self._roles: dict[Any, str] = {
            entry.user_tag: USER,
            entry.assistant_tag: ASSISTANT,
            entry.observation_tag: OBSERVATION,
            entry.function_tag: FUNCTION,
            entry.system_tag: SYSTEM,
        }
        answering = (entry.assistant_tag, entry.function_tag)
        self._turns = ((entry.user_tag, entry.observation_tag), answering)
        self._accepted = _ANSWERING if entry.formatting == "openai" else answering

    @property
    def convert(self) -> Callable[[Row], Example]:
        """Return the conversion of the entry's form; it raises `Fault`."""
        return {"alpaca": self._alpaca, "sharegpt": self._sharegpt, "openai": self._openai}[self.entry.formatting]

    def _value(self, row: Row, column: str | None) -> Any:
        if column in row:
            return row[column]
        self.absent.add((column,))
        return None

    # alpaca

    def _alpaca(self, row: Row) -> Example:
        entry = self.entry
        prompt = self._history(row) if entry.history else []
        parts = []
        for column in (entry.prompt, entry.query):
            if column and (part := self._value(row, column)):
                if type(part) is not str:
                    raise Fault(kinds.SHAPE, f"{column} is {_named(part)}, and no text")
                parts.append(part)
        prompt.append((USER, "\n".join(parts)))
        system = self._value(row, entry.system) if entry.system else ""
        tools = self._value(row, entry.tools) if entry.tools else ""
        example = Example(prompt, self._answers(row), system, tools)
        example.media = self._has_media(row)
        return example

    def _history(self, row: Row) -> list[Message]:
        pairs, messages = self._value(row, self.entry.history), []
        for pair in pairs if isinstance(pairs, list) else ():
            if not (isinstance(pair, (list, str, dict)) and len(pair) == 2):  # noqa: PLR2004 - question and answer
                raise Fault(kinds.SHAPE, f"a part of {self.entry.history} is no pair of question and answer")
            question, answer = tuple(pair)
            messages += [(USER, question), (ASSISTANT, answer)]
        return messages

    def _answers(self, row: Row) -> list[Message]:
        entry = self.entry
        if entry.kto_tag and isinstance(label := self._value(row, entry.kto_tag), bool):
            answer, nothing = (ASSISTANT, self._value(row, entry.response)), (ASSISTANT, "")
            return [answer, nothing] if label else [nothing, answer]
        if entry.ranking:
            chosen = self._value(row, entry.chosen)
            if isinstance(chosen, str) and isinstance(rejected := self._value(row, entry.rejected), str):
                return [(ASSISTANT, chosen), (ASSISTANT, rejected)]
        if entry.response and isinstance(answer := self._value(row, entry.response), str):
            return [(ASSISTANT, answer)]
        return []

    # sharegpt

    def _sharegpt(self, row: Row) -> Example:
        entry = self.entry
        opened, messages, system = self._opened(row)
        if not opened:
            system = self._value(row, entry.system) if entry.system else ""
        turns: list[Message] = []
        why = None
        for place, message in enumerate(messages):
            role = self._part(message, entry.role_tag)
            if role not in self._turns[place % 2]:
                why = (kinds.ROLES, f"message {place + 1} is from {_shown(role)}, where {_turn(place)} speaks")
                break
            turns.append((self._roles[role], self._part(message, entry.content_tag)))
        return self._example(row, turns, why, system, self._value(row, entry.tools) if entry.tools else "")

    def _example(
        self, row: Row, turns: list[Message], why: tuple[Kind, str] | None, system: Any, tools: Any
    ) -> Example:
        entry = self.entry
        if bool(entry.ranking) is (len(turns) % 2 == 0):
            expected = "an odd number, as the last one asks" if entry.ranking else "an even number"
            why = why or (kinds.COUNT, f"the conversation has {len(turns)} messages, and not {expected}")
        if why:
            example = Example([], [], system, tools)
            example.why = why
        else:
            example = self._told(row, turns, system, tools)
        example.media = self._has_media(row)
        return example

    def _told(self, row: Row, turns: list[Message], system: Any, tools: Any) -> Example:
        """Return the example of a conversation in order."""
        entry = self.entry
        if entry.kto_tag and isinstance(label := self._value(row, entry.kto_tag), bool):
            answer, nothing = turns[-1:], [(ASSISTANT, "")]
            return Example(turns[:-1], answer + nothing if label else nothing + answer, system, tools)
        if entry.ranking and isinstance(chosen := self._value(row, entry.chosen), dict):
            rejected = self._value(row, entry.rejected)
            if isinstance(rejected, dict):
                pair = [self._answer(chosen, entry.chosen), self._answer(rejected, entry.rejected)]
                example = Example(turns, [(role, content) for role, content, _ in pair], system, tools)
                example.odd_role = next((odd for _, _, odd in pair if odd), "")
                return example
        return Example(turns[:-1], turns[-1:], system, tools)

    def _answer(self, message: dict[str, Any], column: str | None) -> tuple[str, Any, str]:
        """Return role and content of a chosen or rejected message, and its own role where that is not in turn."""
        role = self._part(message, self.entry.role_tag, (column,))
        known = self._role(role, f"{column}")
        odd = "" if role in self._accepted else _shown(role)
        return known, self._part(message, self.entry.content_tag, (column,)), odd

    def _opened(self, row: Row) -> tuple[bool, list[Any], Any]:
        """Return whether a system message comes first, the messages after it, and its text."""
        entry = self.entry
        messages = self._value(row, entry.messages)
        if not isinstance(messages, list):
            raise Fault(kinds.SHAPE, f"{entry.messages} is {_named(messages)}, and no list of messages")
        if entry.system_tag and messages and self._part(messages[0], entry.role_tag) == entry.system_tag:
            return True, messages[1:], self._part(messages[0], entry.content_tag)
        return False, messages, None

    def _part(self, message: Any, tag: str | None, column: tuple[str | None, ...] = ()) -> Any:
        if not isinstance(message, dict):
            raise Fault(kinds.SHAPE, f"a message is {_named(message)}, and no mapping")
        if tag in message:
            return message[tag]
        self.absent.add((*(column or (self.entry.messages, "[]")), tag))
        return None

    def _role(self, role: Any, whose: str) -> str:
        """Return the role that a tag stands for; a tag that the entry leaves out stands for null."""
        if not isinstance(role, str | None) or role not in self._roles:
            raise Fault(kinds.SHAPE, f"{whose} is from {_shown(role)}, a role that the entry does not name")
        return self._roles[role]

    # openai

    def _openai(self, row: Row) -> Example:
        entry = self.entry
        opened, messages, system = self._opened(row)
        if not opened:
            system = row.get(entry.system, "") if entry.system else ""
        turns = self._merged(messages)
        why = None
        for place, (role, _) in enumerate(turns):
            if role not in _TURNS[place % 2]:
                why = (kinds.ROLES, f"message {place + 1} is from {role}, where {_turn(place)} speaks")
                break
        tools = row.get(entry.tools, "") if entry.tools else ""
        if isinstance(tools, (dict, list)):
            tools = json.dumps(tools)
        return self._example(row, turns, why, _thinking(system, tools), tools)

    def _merged(self, messages: list[Any]) -> list[Message]:
        """Return the turns, those of several tools as one; what tools say at the very end is left out."""
        entry = self.entry
        turns: list[Message] = []
        said: list[str] = []
        for message in messages:
            role, content = self._part(message, entry.role_tag), self._part(message, entry.content_tag)
            if role in self._turns[1] and (calls := message.get("tool_calls")):
                role, content = entry.function_tag, _calls(calls)
            if role == entry.observation_tag:
                said.append(content)
                continue
            if said:
                turns.append((OBSERVATION, _joined(said)))
                said = []
            turns.append((self._role(role, "a message"), content))
        return turns

    def _has_media(self, row: Row) -> bool:
        entry = self.entry
        if entry.images is None and entry.videos is None and entry.audios is None:
            return False
        found = [self._value(row, column) for column in (entry.images, entry.videos, entry.audios) if column]
        return any(media is not None and media != [] for media in found)


def _calls(calls: Any) -> str:
    if not (isinstance(calls, list) and all(isinstance(call, dict) and "function" in call for call in calls)):
        raise Fault(kinds.TOOLS, "tool_calls is no list of mappings with function")
    return json.dumps([call["function"] for call in calls])


def _joined(said: list[Any]) -> str:
    for content in said:
        if not isinstance(content, str):
            raise Fault(kinds.SHAPE, f"what a tool said is {_named(content)}, and no text")
    return "\n</tool_response>\n<tool_response>\n".join(said)


def _thinking(system: Any, tools: Any) -> Any:
    """Return the system message with the words that the form openai adds to it."""
    if system and not isinstance(system, str):
        raise Fault(kinds.SHAPE, f"the system message is {_named(system)}, and no text")
    if not system:
        return "" if tools else "detailed thinking off"
    return system + "\n"


def _turn(place: int) -> str:
    return "the assistant" if place % 2 else "the user"


def _named(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return names.get(type(value), "a mapping")


def _shown(role: Any) -> str:
    return f"{role[:40]!r}" if isinstance(role, str) else _named(role)
