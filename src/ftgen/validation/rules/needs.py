"""Rules over what a trainer needs of the configuration before anything can be derived from it."""

from __future__ import annotations

from collections.abc import Iterator

from ftgen.spec import Command, LlamaFactory, Spec
from ftgen.trainers import command
from ftgen.validation import Finding, rule
from ftgen.validation.rules import NEEDS, SERVED

_ANOTHER_TRAINER = "a trainer that is a command, such as trainer=yolo"


@rule("FT750", "llm-trainer-without-model", on=NEEDS)
def _model(spec: Spec) -> Iterator[Finding]:
    """A trainer of LLaMA-Factory without a base model.

    Refused: `model=none`.
    Write: a model (`ftgen groups model`), or a trainer that is a command and takes none.
    """
    if isinstance(spec.trainer, LlamaFactory) and spec.model.name is None:
        help_ = f"choose one of `ftgen groups model`, or {_ANOTHER_TRAINER}"
        yield Finding("LLaMA-Factory trains a language model, and there is no model", "model", "none", help_)


@rule("FT751", "llm-trainer-without-data", on=NEEDS)
def _dataset(spec: Spec) -> Iterator[Finding]:
    """A trainer of LLaMA-Factory without a data set.

    Refused: `dataset=none`.
    Write: a data set (`ftgen groups dataset`), or a trainer that is a command and takes none.
    """
    if isinstance(spec.trainer, LlamaFactory) and spec.dataset.name is None:
        help_ = f"choose one of `ftgen groups dataset`, or {_ANOTHER_TRAINER}"
        yield Finding("LLaMA-Factory trains on a data set, and there is none", "dataset", "none", help_)


@rule("FT752", "llm-trainer-without-language-model", on=NEEDS)
def _language_model(spec: Spec) -> Iterator[Finding]:
    """A model or a data set that lacks what LLaMA-Factory must know of it, such as an option made for another trainer.

    Only a trainer that is a command can do without chat template, number of parameters, data type, context and stages.

    Refused: `model=yolo26n trainer=sft-lora`.
    Write: a language model, or the missing keys in its option.
    """
    if not isinstance(spec.trainer, LlamaFactory):
        return
    for section, part, keys in (
        ("model", spec.model, _OF_LANGUAGE_MODELS),
        ("dataset", spec.dataset, ("stages",)),
    ):
        missing = [key for key in keys if part.name and not getattr(part, key)]
        if missing:
            headline = f"LLaMA-Factory must know the {', '.join(missing)} of {part.name}, and nothing says it"
            subject = f"{section}.{missing[0]}" if len(missing) == 1 and len(keys) > 1 else section
            help_ = f"choose another {section}, or set {', '.join(f'{section}.{key}' for key in missing)}"
            yield Finding(headline, subject, part.name, help_)


_OF_LANGUAGE_MODELS = ("template", "parameters", "dtype", "context")


@rule("FT753", "folder-of-nothing", on=NEEDS)
def _reference(spec: Spec) -> Iterator[Finding]:
    """A command that refers to the folder of a model or a data set which the job does not have.

    Refused: `trainer=yolo model=none`, whose `trainer.args.model` is `$(MODEL_DIR)/…`.
    Write: a model, or another value for the argument: `trainer=yolo-scratch`, `trainer.args.model=yolo26n.yaml`.
    """
    if not isinstance(spec.trainer, Command):
        return
    asked = command.references(spec.trainer)
    for name, section, there in (
        ("MODEL_DIR", "model", spec.model.name),
        ("DATASET_DIR", "dataset", spec.dataset.name),
    ):
        if there is None and name in asked:
            headline = f"{asked[name]} refers to $({name}), and there is no {section}"
            yield Finding(headline, asked[name], help=f"choose one by {section}=…, or give {asked[name]} another value")


@rule("FT754", "trainer-of-one-node", on=NEEDS)
def _nodes(spec: Spec) -> Iterator[Finding]:
    """Several nodes for a trainer that works on one: each would do the whole training, and one would push it.

    Refused: `trainer=yolo hardware.nodes=2`.
    Write: `hardware.nodes=1`, with more cards in it: `hardware.devices=8`.
    """
    if isinstance(spec.trainer, Command) and not spec.trainer.several_nodes and spec.hardware.nodes > 1:
        headline = f"{spec.trainer.name} trains on one node, and {spec.hardware.nodes} are asked for"
        help_ = "write hardware.nodes=1, and more cards in it by hardware.devices"
        yield Finding(headline, "hardware.nodes", spec.hardware.nodes, help_)


@rule("FT755", "source-of-nothing", on=NEEDS)
def _nameless(spec: Spec) -> Iterator[Finding]:
    """A repository, revision or cache of a model that has no name, or of such a data set: nothing would be fetched.

    Refused: `model=none model.url=https://git.example.com/team/resnet50`.
    Write: `model.name=resnet50` beside it.
    """
    cache = spec.storage.cache
    if spec.model.name is None and cache is not None:
        headline = "storage.cache holds a model, and there is none"
        yield Finding(headline, "storage.cache", cache.uri, "choose a model, or other storage")
    for name, section in (("model", spec.model), ("dataset", spec.dataset)):
        for key in ("url", "revision") if section.name is None else ():
            if value := getattr(section, key):
                headline = f"{name}.{key} is set, and {name}.name is null: there is no {name}"
                yield Finding(headline, f"{name}.{key}", value, f"set {name}.name, or leave {name}.{key} null")


@rule("FT758", "language-model-for-images", on=NEEDS)
def _images(spec: Spec) -> Iterator[Finding]:
    """A language model, or rows of text, for a framework of images, which ends when it looks for its own files.

    Refused: `trainer=yolo model=qwen3-0.6b`, where no `.pt` lies; `trainer=yolo dataset=identity-alauda`.
    Write: `model=yolo26n`, `dataset=coco8-images`, or options of your own without `template` and `stages`.
    """
    package = spec.trainer.package if isinstance(spec.trainer, Command) else None
    if package not in _OF_IMAGES:
        return
    for section, name, key, is_text in (
        ("model", spec.model.name, "template", spec.model.template is not None),
        ("dataset", spec.dataset.name, "stages", bool(spec.dataset.stages)),
    ):
        if name and is_text:
            headline = f"{package} learns from images, and {name} is of text: it has {section}.{key}"
            yield Finding(headline, section, name, f"choose another {section} (`ftgen groups {section}`)")


_OF_IMAGES = frozenset({"ultralytics"})
"""Values of `trainer.package` whose frameworks read images alone."""


@rule("FT757", "result-that-is-no-language-model", on=SERVED)
def _language(spec: Spec) -> Iterator[Finding]:
    """A result that is no language model, which is what vLLM serves.

    A command on a language model (`trainer=command model=qwen3-0.6b`) is taken to leave one.

    Refused: `ftgen serve RUN` of a run with `trainer=yolo`.
    Write: nothing; ONNX or Triton serve such a result, from the branch that the run pushed.
    """
    if any(getattr(spec.model, key) is None for key in ("name", *_OF_LANGUAGE_MODELS)):
        trainer = spec.trainer.name if isinstance(spec.trainer, Command) else spec.trainer.framework
        of = f" of {spec.model.name}" if spec.model.name else ""
        headline = f"the result of {trainer}{of} is no language model, and vLLM serves nothing else"
        yield Finding(headline, "model", spec.model.name or "none", "serve it by what its framework brings")
