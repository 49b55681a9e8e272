"""Run LLaMA-Factory's own parser on arguments: one JSON object a line in, one verdict a line out.

Run by a Python that has llamafactory installed.  The process poses as the only rank of a torchrun run on an
Ampere card, and as one whose image holds every optional package.
"""

import contextlib
import importlib.metadata
import json
import os
import sys

os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", MASTER_ADDR="127.0.0.1", MASTER_PORT=sys.argv[1])
os.environ.update(HF_HUB_OFFLINE="1", LLAMAFACTORY_VERBOSITY="ERROR", DISABLE_VERSION_CHECK="1")
os.environ.update(ACCELERATE_USE_CPU="true", DS_ACCELERATOR="cpu")


def pose() -> None:
    """Answer hardware and package questions as the image would."""
    from llamafactory.hparams import parser
    from transformers import training_args

    for module in (parser, training_args):
        module.is_torch_bf16_gpu_available = lambda: True
    training_args.is_torch_tf32_available = lambda: True
    parser.check_version = lambda *_, **__: None


def verdict(args: dict, command: str) -> str:
    """The parser's refusal, or the empty string."""
    from accelerate.state import PartialState
    from llamafactory.hparams import get_infer_args, get_train_args
    from transformers.integrations import unset_hf_deepspeed_config

    PartialState._reset_state()
    unset_hf_deepspeed_config()
    try:
        get_train_args(args) if command == "train" else get_infer_args(args)
    except Exception as error:  # noqa: BLE001 - every way to refuse counts
        return f"{type(error).__name__}: {error}"
    return ""


def main() -> None:
    out = os.fdopen(os.dup(1), "w")
    with contextlib.redirect_stdout(sys.stderr):
        pose()
        versions = {name: importlib.metadata.version(name) for name in ("llamafactory", "transformers")}
        out.write(json.dumps(versions) + "\n")
        for line in sys.stdin:
            case = json.loads(line)
            out.write(json.dumps(verdict(case["args"], case["command"])) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
