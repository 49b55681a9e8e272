"""The rules against LLaMA-Factory's own parser, on random combinations of arguments.

Needs a Python with llamafactory installed: the one that runs the tests, or the one `FTGEN_TRAINER_PYTHON` names.
"""

import functools
import json
import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ftgen.diagnostics import Diagnostic, Severity
from ftgen.trainers.arguments import Surface, surface
from ftgen.validation.rules.trainer import arguments
from ftgen.validation.rules.trainer.check import check_arguments
from ftgen.validation.rules.trainer.setting import TRAINING, TrainingFacts

pytestmark = pytest.mark.slow

CASES = int(os.environ.get("FTGEN_TRAINER_CASES", "4000"))
ZERO = {
    f"z{stage}": {"zero_optimization": {"stage": stage}, "train_micro_batch_size_per_gpu": "auto"} for stage in (2, 3)
}

# What the parser decides on, with values on both sides of each of its conditions.
DOMAIN: dict[str, list[object]] = {
    "adapter_name_or_path": ["a", "a,b"],
    "badam_mode": ["layer", "ratio"],
    "bf16": [True],
    "bf16_full_eval": [True],
    "compute_accuracy": [True],
    "create_new_adapter": [True],
    "dataloader_num_workers": [0, 2],
    "dataloader_prefetch_factor": [2],
    "dataset": ["one", "one,two", ["one", "two"], None],
    "deepspeed": [ZERO["z2"], ZERO["z3"], json.dumps(ZERO["z3"])],
    "do_eval": [True],
    "do_predict": [True],
    "do_train": [False],
    "dpo_label_smoothing": [0.1],
    "eval_dataset": ["held", ["held"]],
    "eval_steps": [100, 250, 300, 0.1, 0.3, 1.5, 0],
    "eval_strategy": ["no", "steps", "epoch"],
    "export_quantization_bit": [4],
    "export_quantization_dataset": ["c4"],
    "finetuning_type": ["lora", "full", "freeze", "oft"],
    "fp16": [True],
    "fp16_full_eval": [True],
    "fp8": [True],
    "fsdp": ["full_shard", "offload", "full_shard offload", "full_shard shard_grad_op"],
    "galore_layerwise": [True],
    "apollo_layerwise": [True],
    "image_max_pixels": [10],
    "infer_backend": ["huggingface", "vllm", "sglang"],
    "interleave_probs": ["0.5,0.5", "1.0", [0.5, 0.5], "a,b"],
    "load_best_model_at_end": [True],
    "logging_steps": [0, 5, 1.5, 0.5],
    "logging_strategy": ["steps", "epoch", "no"],
    "loraplus_lr_ratio": [0.0, 16.0],
    "lr_scheduler_type": ["cosine", "reduce_lr_on_plateau"],
    "mask_history": [True],
    "max_samples": [10],
    "max_steps": [100],
    "mix_strategy": ["concat", "interleave_under"],
    "model_name_or_path": [None],
    "neat_packing": [True],
    "pissa_init": [True],
    "predict_with_generate": [True],
    "pref_loss": ["sigmoid", "orpo", "simpo", "ipo"],
    "project": [""],
    "pure_bf16": [True],
    "quantization_bit": [4, 8],
    "quantization_device_map": ["auto"],
    "ref_model_quantization_bit": [2, 4],
    "report_to": ["none", "mlflow", "wandb", ["wandb", "mlflow"], "trackio", ["tensorboard"]],
    "resize_vocab": [True],
    "resume_from_checkpoint": ["x"],
    "rope_scaling": ["yarn"],
    "reward_model": ["r"],
    "reward_model_quantization_bit": [2, 8],
    "reward_model_type": ["lora", "full"],
    "save_steps": [100, 500, 0.6, 0.5, 1.5],
    "save_strategy": ["no", "steps", "epoch", "best"],
    "split_special_tokens": [True],
    "stage": ["pt", "sft", "rm", "ppo", "dpo", "kto"],
    "streaming": [True],
    "tf32": [True],
    "torch_empty_cache_steps": [0, 4],
    "train_on_prompt": [True],
    "use_apollo": [True],
    "use_badam": [True],
    "use_dora": [True],
    "use_fast_tokenizer": [False],
    "use_galore": [True],
    "use_llama_pro": [True],
    "use_rslora": [True],
    "use_unsloth": [True],
    "val_size": [0.0, 0.1, 500, 1],
    "video_min_pixels": [1_000_000],
    "warmup_steps": [-1, 10],
}
# Refused after the parser: by PEFT, the import of PPO, `export_model`, the Trainer, and by no one at all.
LATER = {
    ("FT205", "trainer.args.do_train"),
    ("FT213", "trainer.args.oft_rank"),
    ("FT215", "trainer.args.stage"),
    ("FT230", "trainer.export.export_dir"),
    ("FT230", "trainer.export.quantization_bit"),
    ("FT233", "trainer.args.save_strategy"),
}
BASE = {"model_name_or_path": "m", "do_train": True, "dataset": "one", "output_dir": "nowhere", "report_to": "none"}


def combination(rng: random.Random, share: float) -> dict[str, object]:
    chosen = {name: rng.choice(values) for name, values in DOMAIN.items() if rng.random() < share}
    return BASE | chosen


def refused_at_once(args: dict[str, object], of: Surface, command: str) -> list[str]:
    facts = TrainingFacts(bf16=True, compute_capability=8.0)
    names = {rule.code for rule in TRAINING.rules if rule.check.__module__ == arguments.__name__}
    found = [d for d in check_arguments(args, of, facts, command) if d.severity is Severity.ERROR and d.code in names]
    return [f"{d.code} {d.subject}: {d.headline}" for d in found if not is_later(d, args)]


def is_later(found: Diagnostic, args: dict[str, object]) -> bool:
    match found.code, found.headline:
        case "FT217", "ZeRO-3 loads one adapter":
            return True
        case "FT230", "merge the adapter before quantizing":
            return True
        case "FT232", _:  # the gradient scaler's, unless bf16 is on as well
            return found.help == "set fp16: false" and "pure_bf16" in found.headline
        case "FT239", "FSDP and DeepSpeed exclude each other":  # the Trainer's
            return True
        case "FT239", "FSDP cannot spread a reward model's float32 head with half-precision weights":  # torch's
            return True
    return (found.code, found.subject) in LATER


def verdicts(cases: list[dict[str, object]]) -> tuple[dict[str, str], list[str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    python = os.environ.get("FTGEN_TRAINER_PYTHON", sys.executable)
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    driver = str(Path(__file__).with_name("real_parser.py"))
    done = subprocess.run([python, driver, port], input=lines, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    first, *rest = done.stdout.splitlines()
    return json.loads(first), [json.loads(line) for line in rest]


@pytest.mark.parametrize("command", ["train", "export"])
@pytest.mark.parametrize("share", [0.02, 0.05, 0.1])
def test_rules_refuse_what_the_parser_refuses(command, share):
    rng = random.Random(f"{command}{share}")
    of = surface(_installed())
    known = {name for name, argument in of.arguments.items() if command in argument.commands}
    cases = [{n: v for n, v in combination(rng, share).items() if n in known} for _ in range(CASES // 6)]
    versions, found = verdicts([{"args": case, "command": command} for case in cases])
    assert versions["llamafactory"] == of.version
    ours = [refused_at_once(case, of, command) for case in cases]
    differ = [
        {"args": {k: v for k, v in case.items() if BASE.get(k) != v}, "parser": theirs, "rules": mine}
        for case, theirs, mine in zip(cases, found, ours, strict=True)
        if bool(theirs) != bool(mine)
    ]
    print(f"{command}: {len(cases)} cases, {sum(map(bool, found))} refused by the parser, {len(differ)} differ")
    assert differ == []


@functools.cache
def _installed() -> str:
    versions, _ = verdicts([])
    return versions["llamafactory"]
