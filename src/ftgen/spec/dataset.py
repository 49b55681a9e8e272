"""Section `dataset`: the training data, set by an option of conf/dataset/."""

from typing import Literal

from ftgen.spec.types import Count, Flag, Folder, GitUrl, Identifier, Line, Quantity, Section, Text, repository_name


class DatasetInfo(Section):
    """An entry of LLaMA-Factory's dataset_info.json (see its data README).

    Attributes:
        file_name: file or folder of the rows, relative to the repository.
        formatting: layout of a row.
        ranking: whether rows hold ranked answers.
        subset: subset of the data set.
        split: split of the data set.
        folder: folder inside the repository.
        num_samples (rows): rows to take.
        columns: columns of the rows by their role.
        tags: names of keys and roles in conversations.
    """

    file_name: Line
    formatting: Literal["alpaca", "sharegpt", "openai"] | None = None
    ranking: Flag | None = None
    subset: Line | None = None
    split: Line | None = None
    folder: Line | None = None
    num_samples: Count | None = None
    columns: dict[str, Text] | None = None
    tags: dict[str, Text] | None = None


class Dataset(Section):
    """The training data: where it lies, and which training stages it serves.

    Attributes:
        name: name of the data set, as its entry in dataset_info.json; null: there is no data set.
        url: git repository of the data; null: it lies on the models volume already.
        revision: branch, tag or commit of the data; null: the repository's default branch.
        folder: folder of the data on the models volume; null: the repository's name.
        stages: LLaMA-Factory's training stages that the rows serve; empty: they are no rows of text.
        info: entry of dataset_info.json, where the repository has none.
        reasoning: whether the answers show their reasoning; null: nobody has said.
        size (bytes): size of the repository, to check free space with; null: unknown, and nothing is checked.
    """

    name: Line | None
    url: GitUrl | None
    revision: Identifier | None = None
    folder: Folder | None = None
    stages: tuple[Literal["pt", "sft", "rm", "dpo", "kto"], ...] = ()
    info: DatasetInfo | None = None
    reasoning: Flag | None = None
    size: Quantity | None = None

    @property
    def directory(self) -> str:
        """Return its folder on the models volume."""
        return self.folder or (repository_name(self.url) if self.url else self.name or "")
