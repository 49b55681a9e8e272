"""The kinds of findings about a data set: FT700 to FT739, each with its page.

`tools/rule_pages.py` writes docs/rules/data.md from this table.  An error is what ends LLaMA-Factory's loading, and so
the training; a warning is a row that it drops, or that teaches something nobody meant; a note is a fact about the set.
"""

from __future__ import annotations

from dataclasses import dataclass

from ftgen.diagnostics import Severity


@dataclass(frozen=True, slots=True)
class Kind:
    """Kind of finding.

    Attributes:
        code: stable identifier.
        name: its name, in words.
        severity: see `Severity`.
        page: what is wrong, why, and what to write, as the page shows it.
    """

    code: str
    name: str
    severity: Severity
    page: str


def _error(code: str, name: str, page: str) -> Kind:
    return Kind(code, name, Severity.ERROR, page)


def _warning(code: str, name: str, page: str) -> Kind:
    return Kind(code, name, Severity.WARNING, page)


def _note(code: str, name: str, page: str) -> Kind:
    return Kind(code, name, Severity.NOTE, page)


UNREADABLE = _error(
    "FT700",
    "unreadable data",
    """A file of the data set cannot be read.

    It is missing, no regular file, outside of the data set's folder, or a row of it is larger than 16 MiB.""",
)
ENTRY = _error(
    "FT701",
    "no entry in dataset_info.json",
    """dataset_info.json does not describe the data set that the job trains on.

    LLaMA-Factory finds files and columns by the entry of that name and ends where there is none. A repository in plain
    Hugging Face layout needs one as well; the option's `dataset.info` is written where the repository has none.

    Write: the entry into the repository's dataset_info.json, or `dataset.info` in the option.""",
)
STAGE = _error(
    "FT702",
    "data of another stage",
    """The entry describes data of another stage than the trainer's.

    Reward models and DPO read entries with `ranking: true`, all other stages those without; LLaMA-Factory refuses the
    rest before it reads a row.

    Write: `ranking: true` in the entry of chosen and rejected answers, or another trainer.""",
)
POINTER = _error(
    "FT703",
    "pointer in place of data",
    """The file is a pointer of git-lfs: the data itself was not fetched.

    Write: `git lfs pull` in the clone, then name its folder.""",
)
FILE_TYPES = _error(
    "FT704",
    "files of several types",
    """The entry names a folder whose files are not all of one type that LLaMA-Factory reads.

    It takes the type of the first file (arrow, csv, json, jsonl, parquet, txt) for all, and ends if another differs; a
    README or a subfolder counts.

    Write: a folder that holds the data's files alone.""",
)
ENCODING = _error(
    "FT705",
    "data that is not UTF-8",
    """The bytes of a row are not UTF-8, or a JSON array begins with a byte order mark.

    Rows of a JSON Lines file may follow such a mark; the reader of arrays ends there.

    Write: the file again as UTF-8 without a mark.""",
)
SYNTAX = _error(
    "FT706",
    "broken JSON",
    """The row is not JSON as LLaMA-Factory's readers take it.

    One broken row ends the loading of the whole set, whatever `max_samples` says.

    Why: a comma after the last value, a line break within a text, a row cut off, half of a surrogate pair, one key
    twice.""",
)
TYPES = _error(
    "FT707",
    "values of different types",
    """A value has another type than the same key had in the rows before.

    A data set is a table: a column holds texts, or numbers, or lists, never both. Null goes with all of them.""",
)
COLUMN = _error(
    "FT708",
    "column that no row has",
    """The entry names a column that no row has.

    A `columns` mapping in the entry replaces all defaults, and every column that it names must exist; without one,
    `instruction`, `input` and `output` must, or `conversations`.

    Write: the columns as they are called in the data, or leave out those that it has not.""",
)
LATE_COLUMN = _error(
    "FT709",
    "column that comes late",
    """A key occurs for the first time after the first 10 MiB of the data, or in another file than the first.

    The data is read in parts of that size; the first one fixes columns and types for all.

    Write: the key into the first row, with null.""",
)
DATES = _error(
    "FT710",
    "texts read as dates",
    """Every value of the column looks like a date, so that the reader makes dates of them, which are no texts.

    Write: at least one value that is no bare date, or a JSON array instead of JSON Lines.""",
)
SHAPE = _error(
    "FT711",
    "row of another shape",
    """The row has not the shape that its form (alpaca, sharegpt, openai) asks for, and conversion ends with an error.

    A text is another value, the messages are no list of mappings, a pair of the history has not two parts, a role of
    the form openai is unknown.""",
)
CONTENT = _error(
    "FT712",
    "message without text",
    """The content of a message is null or no text, which the chat template refuses.

    Write: an empty text where nothing is said.""",
)
TOOLS = _error(
    "FT713",
    "tools that are not JSON",
    """The tools of a row, or a function call in it, are not the JSON text that the chat template writes anew.

    Tools are a text that holds a JSON list of mappings (the form openai also takes the list itself); a function call
    is a text that holds `{"name": …, "arguments": …}` or a list of these.""",
)
MEDIA = _error(
    "FT714",
    "media for a model of text",
    """The row has images, videos or audio, and the chat template is one of text.

    Write: a model and a template that see, or leave the column out of the entry.""",
)
NOTHING = _error(
    "FT715",
    "nothing to train on",
    """No row is left: the set is empty, or every row is dropped.""",
)
LATE_VALUE = _error(
    "FT716",
    "value that comes late",
    """The first thousand rows that a process converts have only null in a column, and later ones do not.

    Converted rows are written a thousand at a time; the first thousand fix the type. `preprocessing_num_workers`
    processes take a part of the set each.

    Write: an empty text instead of null.""",
)
NEIGHBOUR = _error(
    "FT717",
    "row without label beside others",
    """For KTO, LLaMA-Factory pairs each prompt with the answer of the row before, and ends where that has none.

    A row that would only be dropped so ends the whole training.

    Write: remove the rows that are dropped.""",
)
ROLES = _warning(
    "FT720",
    "roles out of turn",
    """The row is dropped: the roles of its messages do not alternate.

    The user (or an observation) speaks first and at every odd place, the assistant (or a function call) at every even
    one; a system message may come first.""",
)
COUNT = _warning(
    "FT721",
    "wrong number of messages",
    """The row is dropped: a conversation ends with an answer, so that the number of its messages is even.

    For chosen and rejected answers the messages end with the question, and their number is odd.""",
)
ANSWER = _warning(
    "FT722",
    "no answer",
    """The row is dropped: its answer is null or no text.""",
)
LABEL = _warning(
    "FT723",
    "no label",
    """The row is dropped: its KTO label is neither true nor false.

    Write: `true` or `false`; 1, 0 and "true" are none.""",
)
STAGE_ROW = _warning(
    "FT737",
    "row of another stage",
    """The row is dropped: it is labelled or ranked, and the stage trains on one answer.""",
)
PAIR = _warning(
    "FT724",
    "incomplete pair",
    """The row is dropped: it has not both a chosen and a rejected answer.

    Both are texts in the form alpaca, and messages in sharegpt and openai.""",
)
ONE_LABEL = _warning(
    "FT725",
    "one label only",
    """All KTO labels are the same; the loss compares both kinds.""",
)
SAME_PAIR = _warning(
    "FT726",
    "equal pair",
    """Chosen and rejected answer are the same, so that nothing is learned from the pair.""",
)
EMPTY_ANSWER = _warning(
    "FT727",
    "empty answer",
    """The answer is empty: the model learns to say nothing.""",
)
EMPTY_PROMPT = _warning(
    "FT728",
    "empty prompt",
    """The prompt, or for pre-training the document, is empty.""",
)
DUPLICATE = _warning(
    "FT729",
    "duplicate",
    """The same row is trained on and evaluated, or may be.

    With `eval_dataset`, it is in both sets; with `val_size`, it is there twice, and a split at random puts the two on
    either side. Evaluation then measures memory.""",
)
ANSWER_CUT = _warning(
    "FT730",
    "answer lost to cutoff_len",
    """`cutoff_len` leaves nothing of the answer, or of the last one.""",
)
CUT = _note(
    "FT731",
    "row cut by cutoff_len",
    """The row has more tokens than `cutoff_len`; LLaMA-Factory cuts it.

    Tokens are those of the texts; the marks of the chat template add a few for each message.""",
)
UNUSED = _note(
    "FT732",
    "rows beyond max_samples",
    """`max_samples` (1000, if nobody sets it) leaves rows out. They are read all the same.""",
)
SPLITS = _warning(
    "FT733",
    "files and README differ",
    """The README describes other files than the entry reads.

    LLaMA-Factory does not read the README. An entry that names a folder reads every file in it, so that rows for
    evaluation are trained on; a file that the README names may be missing.

    Write: a folder for each split, or the file itself in the entry.""",
)
UNJUDGED = _note(
    "FT734",
    "not judged",
    """Something that only the trainer can tell: images and the like of models that see, formats that ftgen does not
    read, sets on a hub.""",
)
FIRST_MESSAGE = _warning(
    "FT735",
    "only the first message",
    """Pre-training reads the first message of a conversation, and nothing else of the row.

    Write: the form alpaca with one text column, `columns: {prompt: text}`.""",
)
ROLE_KEPT = _warning(
    "FT736",
    "answer of another role",
    """The chosen or rejected answer is not the assistant's, and LLaMA-Factory trains on it all the same.""",
)

LIBRARY = _warning(
    "FT738",
    "library that is missing",
    """Parquet files and tokens need libraries that ftgen itself does not.

    Write: `pip install 'ftgen[data]'`.""",
)

KINDS = tuple(sorted((value for value in list(globals().values()) if isinstance(value, Kind)), key=lambda k: k.code))
"""Every kind, by code."""
