"""Section `serving`: what serves the result of a run, set by an option of conf/serving/ for `ftgen serve`."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from ftgen.spec.types import (
    Count,
    EnvValue,
    FileName,
    Identifier,
    Image,
    Line,
    Natural,
    SecretReference,
    Section,
    ShellFile,
)
from ftgen.text import kube


def _service_name(value: str) -> str:
    if not kube.is_dns1123_label(value) or value[0].isdigit():
        raise ValueError("must be at most 63 lower-case letters, digits and dashes, and begin with a letter")
    return value


def _file_within(value: str) -> str:
    if value.startswith("/") or ".." in value.split("/"):
        raise ValueError("must be a file below the result's folder, such as chat_template.jinja")
    return value


class Runtime(Section):
    """vLLM for one vendor's cards.

    Attributes:
        image: image that holds vLLM.
        source: shell files of the image that set up the accelerator's libraries.
    """

    image: Image
    source: tuple[ShellFile, ...] = ()


class Serving(Section):
    """What serves a run's result, and how: vLLM by a Deployment or an InferenceService.

    Attributes:
        kind: objects that serve: a Deployment with a Service, or an InferenceService of KServe.
        version: release of vLLM whose arguments are checked.
        runtimes: vLLM by option of the group hardware, else by its vendor; null: it does not run there.
        image: image that holds vLLM, instead of the runtime's.
        mode: what KServe calls a service without Knative: Standard from 0.16 on, RawDeployment before.
        script: script of conf/serving/ that starts it.
        name: name of the service and its objects; null: the run's name without the hash of its content.
        revision: branch, tag or commit of the result's repository; null: the branch that the run pushed.
        replicas: pods that serve.
        surge: pods beside the replicas while a new revision rolls in; 0: an old pod ends before its successor starts.
        context (tokens): longest sequence, prompt and answer together; null: what the model was made for.
        concurrency (sequences): sequences of that length for which the cards must have room at once.
        dtype: type in which the model computes; auto: the weights' own, or float16 for cards without bfloat16.
        memory_utilization: part of each card, or of its share, that vLLM takes.
        served_name: name by which requests ask for the model; null: the service's name.
        chat_template: file of the result with a chat template; null: the tokenizer's own.
        api_key: reference to a Secret with the key that requests must bring; null: none.
        port: port of the container.
        startup (seconds): how long loading the weights may take before the pod is started again.
        grace_period (seconds): time for answers that are under way when the pod ends.
        env: environment variables of vLLM; {secret: NAME, key: KEY} takes one from a Secret.
        args: arguments of `vllm serve` by their own names.
    """

    kind: Literal["deployment", "kserve"]
    version: Identifier
    runtimes: dict[str, Runtime | None] = {}
    image: Image | None = None
    mode: Literal["Standard", "RawDeployment"] = "Standard"
    script: FileName
    name: Annotated[Line, AfterValidator(_service_name)] | None = None
    revision: Identifier | None = None
    replicas: Count
    surge: Natural
    context: Count | None = None
    concurrency: Count
    dtype: Literal["auto", "bfloat16", "float16", "float32"]
    memory_utilization: Annotated[float, Field(ge=0.01, le=1)]
    served_name: Line | None = None
    chat_template: Annotated[Line, AfterValidator(_file_within)] | None = None
    api_key: SecretReference | None = None
    port: Annotated[Count, Field(le=65535)]
    startup: Count
    grace_period: Natural
    env: dict[str, EnvValue] = {}
    args: dict[str, Any] = {}
