"""The kinds of findings about a data set: FT700 to FT739, each with its page.

`tools/rule_pages.py` writes docs/rules/data.md from this table.  An error is what ends LLaMA-Factory's loading, and so
the training; a warning is a row that it drops, or that teaches something nobody meant; a note is a fact about the set.
"""

from __future__ import annotations

import re

from msgspec import Struct

from ftgen.diagnostics import Severity


class Kind(Struct, frozen=True):
    """Kind of finding.

    Attributes:
        code: stable identifier.
        name: its name, in words.
        severity: see `Severity`.
        page: what is wrong, why, and what to write, as the page shows it.
        dropped: whether LLaMA-Factory drops a row of this kind.
    """

    code: str
    name: str
    severity: Severity
    page: str
    dropped: bool = False

    @property
    def help(self) -> str:
        """Return what the page says to write, on one line; empty if it says nothing."""
        written = _WRITE.search(self.page)
        return " ".join(written[1].replace("`", "").split()).rstrip(".") if written else ""


_WRITE = re.compile(r"Write: (.*?)(?:\n\n|\Z)", re.DOTALL)


def _error(code: str, name: str, page: str) -> Kind:
    return Kind(code, name, Severity.ERROR, page)


def _dropped(code: str, name: str, page: str) -> Kind:
    return Kind(code, name, Severity.WARNING, page, dropped=True)


def _warning(code: str, name: str, page: str) -> Kind:
    return Kind(code, name, Severity.WARNING, page)


def _note(code: str, name: str, page: str) -> Kind:
    return Kind(code, name, Severity.NOTE, page)


UNREADABLE = _error(
    "FT700",
    "unreadable data",
    """A file of the data set cannot be read.

    It is missing, no regular file, a link out of the data set's folder, or a row of it is larger than 16 MiB.

    Refused: an entry with `file_name: nowhere.jsonl`; a FIFO in the folder

    Write: a `file_name` that is there, and rows that are smaller.""",
)
ENTRY = _error(
    "FT701",
    "no entry in dataset_info.json",
    """dataset_info.json does not describe the data set that the job trains on.

    LLaMA-Factory finds files and columns by the entry of that name and ends where there is none. A repository in plain
    Hugging Face layout needs one as well; the option's `dataset.info` is written where the repository has none.

    Refused: a folder with `data/train.parquet` and a README alone

    Write: the entry into the repository's dataset_info.json, or `dataset.info` in the option.""",
)
STAGE = _error(
    "FT702",
    "data of another stage",
    """The entry describes data of another stage than the trainer's.

    Reward models and DPO read entries with `ranking: true`, all other stages those without; LLaMA-Factory refuses the
    rest before it reads a row.

    Refused: `trainer=dpo-lora` on an entry without `ranking`

    Write: `ranking: true` in the entry of chosen and rejected answers, or another trainer.""",
)
POINTER = _error(
    "FT703",
    "pointer in place of data",
    """The file is a pointer of git-lfs: the data itself was not fetched.

    Refused: `version https://git-lfs.github.com/spec/v1` as the first line of train.jsonl

    Write: `git lfs pull` in the clone, then name its folder.""",
)
FILE_TYPES = _error(
    "FT704",
    "files of several types",
    """The entry names a folder whose files are not all of one type that LLaMA-Factory reads.

    It takes the type of the first file (arrow, csv, json, jsonl, parquet, txt) for all, and ends if another differs; a
    README or a subfolder counts.

    Refused: `file_name: data` where data/ holds train.jsonl and README.md

    Write: a folder that holds the data's files alone.""",
)
ENCODING = _error(
    "FT705",
    "data that is not UTF-8",
    """The bytes of a row are not UTF-8, or a JSON array begins with a byte order mark.

    Rows of a JSON Lines file may follow such a mark; the reader of arrays ends there.

    Refused: a file in GBK or UTF-16

    Write: the file again as UTF-8 without a mark.""",
)
SYNTAX = _error(
    "FT706",
    "broken JSON",
    """The row is not JSON as LLaMA-Factory's readers take it.

    One broken row ends the loading of the whole set, whatever `max_samples` says.

    Why: a comma after the last value, a line break within a text, a row cut off, half of a surrogate pair, one key
    twice.

    Refused: `{"instruction": "a", "output": "b",}`

    Write: each row as a JSON writer writes it, one a line.""",
)
TYPES = _error(
    "FT707",
    "values of different types",
    """A value has another type than the same key had in the rows before.

    A data set is a table: a column holds texts, or numbers, or lists, never both. Null goes with all of them.

    Refused: `{"output": "4"}`, and in a later row `{"output": 4}`

    Write: every value of a column in the same type: `"4"`.""",
)
COLUMN = _error(
    "FT708",
    "column that no row has",
    """The entry names a column that no row has.

    A `columns` mapping in the entry replaces all defaults, and every column that it names must exist; without one,
    `instruction`, `input` and `output` must, or `conversations`.

    Refused: `{"instruction": "a", "output": "b"}` without `columns`, which asks for `input` as well

    Write: the columns as they are called in the data, or leave out those that it has not.""",
)
LATE_COLUMN = _error(
    "FT709",
    "column that comes late",
    """A key occurs for the first time after the first 10 MiB of the data, or in another file than the first.

    The data is read in parts of that size; the first one fixes columns and types for all.

    Refused: a key `system` that only rows after the first 10 MiB have

    Write: the key into the first row, with null.""",
)
DATES = _error(
    "FT710",
    "texts read as dates",
    """Every value of the column looks like a date, so that the reader makes dates of them, which are no texts.

    Refused: `{"instruction": "When?", "output": "2024-05-01"}` in every row

    Write: at least one value that is no bare date, or a JSON array instead of JSON Lines.""",
)
SHAPE = _error(
    "FT711",
    "row of another shape",
    """The row has not the shape that its form (alpaca, sharegpt, openai) asks for, and conversion ends with an error.

    A text is another value, the messages are no list of mappings, a pair of the history has not two parts, a role of
    the form openai is unknown.

    Refused: `{"instruction": ["a", "b"]}`; `"conversations": "hello"`

    Write: the form as LLaMA-Factory's data README shows it, or the entry for the form that it is.""",
)
CONTENT = _error(
    "FT712",
    "message without text",
    """The content of a message is null or no text, which the chat template refuses.

    Refused: `{"from": "gpt", "value": null}`

    Write: an empty text where nothing is said.""",
)
TOOLS = _error(
    "FT713",
    "tools that are not JSON",
    """The tools of a row, or a function call in it, are not the JSON text that the chat template writes anew.

    Tools are a text that holds a JSON list of mappings (the form openai also takes the list itself); a function call
    is a text that holds `{"name": …, "arguments": …}` or a list of these.

    Refused: `"tools": [{"name": "f"}]`, a list in place of a text

    Write: the list as a text: `"tools": "[{\"name\": \"f\", …}]"`.""",
)
MEDIA = _error(
    "FT714",
    "media for a model of text",
    """The row has images, videos or audio, and the chat template is one of text.

    Refused: `"images": ["cat.png"]` with `template: qwen3`

    Write: a model and a template that see, or leave the column out of the entry.""",
)
NOTHING = _error(
    "FT715",
    "nothing to train on",
    """No row is left: the set is empty, every row is dropped, or packing makes no block of a short text.

    Refused: an empty file; `output: null` in every row; 1000 tokens of text, and `cutoff_len: 2048` in pre-training

    Write: rows that the stage trains on.""",
)
LATE_VALUE = _error(
    "FT716",
    "value that comes late",
    """The first thousand rows that a process converts lack what later ones have, or a thousand in a row are dropped.

    Converted rows are written a thousand at a time; the first thousand fix the types, and of a column that is null, or
    of messages that are none, no type is known. `preprocessing_num_workers` processes take a part of the set each, in
    order, so that of eight rows each has one to itself.  Several data sets are joined in the same way.

    Refused: `system: null` in the first thousand rows, and a text in the next

    Write: an empty text instead of null; remove rows that are dropped.""",
)
NEIGHBOUR = _error(
    "FT717",
    "row without label beside others",
    """For KTO, LLaMA-Factory pairs each prompt with the answer of the row before, and ends where that has none.

    A row that would only be dropped so ends the whole training.

    Refused: a conversation with roles out of turn, under `trainer.args.stage=kto`

    Write: remove the rows that are dropped.""",
)
OUTSIDE = _warning(
    "FT718",
    "data out of the folder",
    """The entry names a file out of the data set's folder, which is not read here.

    `prepare` ends where a repository's entry does so; the job's own `dataset.info` may.

    Refused: `file_name: ../train.jsonl`

    Write: a `file_name` that lies in the folder.""",
)
ROLES = _dropped(
    "FT720",
    "roles out of turn",
    """The row is dropped: the roles of its messages do not alternate.

    The user (or an observation) speaks first and at every odd place, the assistant (or a function call) at every even
    one; a system message may come first.

    Refused: two messages of `human`, one after the other

    Write: the messages in turn: join those of one speaker.""",
)
COUNT = _dropped(
    "FT721",
    "wrong number of messages",
    """The row is dropped: a conversation ends with an answer, so that the number of its messages is even.

    For chosen and rejected answers the messages end with the question, and their number is odd.

    Refused: a conversation that ends with a question

    Write: the answer, or leave out the question.""",
)
ANSWER = _dropped(
    "FT722",
    "no answer",
    """The row is dropped: its answer is null or no text.

    Refused: `{"instruction": "a", "output": null}`

    Write: the answer, or leave out the row.""",
)
LABEL = _dropped(
    "FT723",
    "no label",
    """The row is dropped: its KTO label is neither true nor false.

    Refused: `"label": "true"`

    Write: `true` or `false`; 1, 0 and "true" are none.""",
)
STAGE_ROW = _dropped(
    "FT737",
    "row of another stage",
    """The row is dropped: it is labelled or ranked, and the stage trains on one answer.

    Refused: rows with `label` read as such (`kto_tag`) by `trainer=sft-lora`

    Write: an entry without `kto_tag`, or another trainer.""",
)
PAIR = _dropped(
    "FT724",
    "incomplete pair",
    """The row is dropped: it has not both a chosen and a rejected answer.

    Both are texts in the form alpaca, and messages in sharegpt and openai.

    Refused: `{"chosen": "a", "rejected": null}`

    Write: both answers, or leave out the row.""",
)
ONE_LABEL = _warning(
    "FT725",
    "one label only",
    """All KTO labels are the same; the loss compares both kinds.

    Refused: `"label": true` in every row

    Write: answers of both kinds.""",
)
SAME_PAIR = _warning(
    "FT726",
    "equal pair",
    """Chosen and rejected answer are the same, so that nothing is learned from the pair.

    Refused: `{"chosen": "yes", "rejected": "yes"}`

    Write: two answers that differ, or leave out the row.""",
)
EMPTY_ANSWER = _warning(
    "FT727",
    "empty answer",
    """The answer is empty: the model learns to say nothing.

    Refused: `{"instruction": "a", "output": ""}`

    Write: the answer, or leave out the row.""",
)
EMPTY_PROMPT = _warning(
    "FT728",
    "empty prompt",
    """The prompt, or for pre-training the document, is empty.

    Refused: `{"text": ""}`

    Write: the prompt, or leave out the row.""",
)
DUPLICATE = _warning(
    "FT729",
    "duplicate",
    """The same row is trained on and evaluated, or may be.

    With `eval_dataset`, it is in both sets; with `val_size`, it is there twice, and a split at random puts the two on
    either side. Evaluation then measures memory.

    Refused: the same row twice, with `val_size: 0.1`

    Write: the row once.""",
)
ANSWER_CUT = _warning(
    "FT730",
    "answer lost to cutoff_len",
    """`cutoff_len` leaves nothing of the answer, or of the last one.

    Refused: a prompt of 4000 tokens and `cutoff_len: 1024`, with turns after it

    Write: a larger `cutoff_len`, or shorter rows.""",
)
CUT = _note(
    "FT731",
    "row cut by cutoff_len",
    """The row has more tokens than `cutoff_len`; LLaMA-Factory cuts it.

    Tokens are those of the texts; the marks of the chat template add a few for each message.

    Refused: a row of 1500 tokens and `cutoff_len: 1024`

    Write: `trainer.cutoff_len=2048`, if the model and the card take it.""",
)
UNUSED = _note(
    "FT732",
    "rows beyond max_samples",
    """`max_samples` (1000, if nobody sets it; none for `pretrain`) leaves rows out. They are read all the same.

    Refused: 2000 rows, and `max_samples: 1000`

    Write: `trainer.args.max_samples=null`.""",
)
SPLITS = _warning(
    "FT733",
    "files and README differ",
    """The README describes other files than the entry reads.

    LLaMA-Factory does not read the README. An entry that names a folder reads every file in it, so that rows for
    evaluation are trained on; a file that the README names may be missing.

    Refused: `file_name: data`, where data/ holds train.jsonl and test.jsonl

    Write: a folder for each split, or the file itself in the entry.""",
)
UNJUDGED = _note(
    "FT734",
    "not judged",
    """Something that only the trainer can tell: images and the like of models that see, formats that ftgen does not
    read, sets on a hub.

    Refused: `hf_hub_url` in the entry

    Write: a file of JSON, CSV or Parquet, if it is to be judged here.""",
)
FIRST_MESSAGE = _warning(
    "FT735",
    "only the first message",
    """Pre-training reads the first message of a conversation, and nothing else of the row.

    Refused: `trainer=pretrain` on an entry with `formatting: sharegpt`

    Write: the form alpaca with one text column, `columns: {prompt: text}`.""",
)
ROLE_KEPT = _warning(
    "FT736",
    "answer of another role",
    """The chosen or rejected answer is not the assistant's, and LLaMA-Factory trains on it all the same.

    Refused: `"chosen": {"from": "human", "value": "a"}`

    Write: the assistant's role there.""",
)

LIBRARY = _warning(
    "FT738",
    "library that is missing",
    """Parquet files and tokens need libraries that ftgen itself does not.

    Refused: data/train.parquet, and no pyarrow

    Write: `pip install 'ftgen[data]'`.""",
)

ARGUMENTS = _error(
    "FT739",
    "arguments that say nothing",
    """The arguments of the training do not say how it reads data.

    They are no mapping, or one of them has a type that LLaMA-Factory does not take, or a value that it takes in vain:
    `mix_strategy: interleave_once` needs a newer release of `datasets` than LLaMA-Factory 0.9.5 allows (4.0.0).

    Refused: `--arguments train.yaml` with `cutoff_len: long`; `trainer.args.mix_strategy=interleave_once`

    Write: the YAML that `llamafactory-cli train` takes; `trainer.args.mix_strategy=interleave_over`.""",
)

KINDS = tuple(sorted((value for value in list(globals().values()) if isinstance(value, Kind)), key=lambda k: k.code))
"""Every kind, by code."""
