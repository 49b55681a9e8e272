"""Each rule by name: what it refuses, on which argument, and the neighbours it lets pass."""

import pytest

from ftgen.diagnostics import Severity
from ftgen.trainers.arguments import surface
from ftgen.validation.rules.trainer.check import check_arguments
from ftgen.validation.rules.trainer.setting import EXPORT, TRAINING, TrainingFacts

GOOD = {
    "model_name_or_path": "/mnt/models/M",
    "do_train": True,
    "dataset": "one",
    "dataset_dir": "/data/D",
    "report_to": "none",
    "output_dir": "o",
}
Z2 = {"zero_optimization": {"stage": 2}}
Z3 = {"zero_optimization": {"stage": 3}}
FULL = {"finetuning_type": "full"}
PPO = {"stage": "ppo", "reward_model": "r"}
DPO = {"stage": "dpo", "adapter_name_or_path": "a"}
UNSLOTH = {"use_unsloth": True}
LAYERS = {"modules": frozenset({"q_proj", "k_proj", "v_proj", "o_proj"})}
KEPT = {"resumes": True}
TIED = {"tied": True, "merged": "m"}
MERGED = {"merged": "m", "merged_adapter": "o"}
CONVERTED = {"merged": "m", "merged_adapter": "o/pissa_converted"}
THERE = {"folders": ("/mnt/work", "/mnt/models/M", "/data/D"), "mounts": ("/mnt/work", "/mnt/models")}
ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

# rule, arguments, facts, the argument it is about
REFUSED = [
    ("model-required", {"model_name_or_path": None}, {}, "model_name_or_path"),
    ("work-required", {"dataset": None}, {}, "dataset"),
    ("work-required", {"do_train": False}, {}, "do_train"),
    ("validation-split", {"dataset": None, "val_size": 0.1}, {}, "val_size"),
    ("validation-split", {"eval_dataset": "e", "val_size": 0.1}, {}, "val_size"),
    ("evaluation-data", {"eval_strategy": "steps"}, {}, "eval_strategy"),
    ("evaluation-data", {"do_eval": True}, {}, "do_eval"),
    ("evaluation-data", {"predict_with_generate": True}, {}, "predict_with_generate"),
    ("interleave-probabilities", {"interleave_probs": "1.0"}, {}, "interleave_probs"),
    (
        "interleave-probabilities",
        {"interleave_probs": "0.5,0.5", "mix_strategy": "interleave_over"},
        {},
        "interleave_probs",
    ),
    (
        "interleave-probabilities",
        {"interleave_probs": "half", "mix_strategy": "interleave_over"},
        {},
        "interleave_probs",
    ),
    ("streaming-split", {"streaming": True, "max_steps": 9, "val_size": 0.1}, {}, "val_size"),
    ("streaming-split", {"streaming": True, "max_steps": 9, "max_samples": 5}, {}, "max_samples"),
    ("streaming-length", {"streaming": True}, {}, "max_steps"),
    ("streaming-length", {"streaming": True, "max_steps": 9, "tokenized_path": "t"}, {}, "tokenized_path"),
    ("prompt-masks", {"mask_history": True, "train_on_prompt": True}, {}, "mask_history"),
    ("supervised-only", {"stage": "dpo", "neat_packing": True}, {}, "neat_packing"),
    ("supervised-only", {"stage": "pt", "train_on_prompt": True}, {}, "train_on_prompt"),
    ("supervised-only", {"stage": "kto", "mask_history": True}, {}, "mask_history"),
    ("supervised-only", {"stage": "rm", "predict_with_generate": True, "val_size": 0.1}, {}, "predict_with_generate"),
    ("sizes", {"per_device_train_batch_size": 0}, {}, "per_device_train_batch_size"),
    ("sizes", {"lora_rank": 0}, {}, "lora_rank"),
    ("sizes", {"finetuning_type": "oft", "oft_rank": 8}, {}, "oft_rank"),
    ("sizes", {"finetuning_type": "oft", "oft_block_size": 0}, {}, "oft_rank"),
    ("reward-checkpoints", {"stage": "rm", "load_best_model_at_end": True}, {}, "load_best_model_at_end"),
    ("ppo", PPO, {}, "stage"),
    ("ppo", {"stage": "ppo"}, {}, "reward_model"),
    ("ppo", PPO | {"do_train": False, "do_eval": True, "val_size": 0.1}, {}, "do_train"),
    ("ppo", PPO | {"shift_attn": True}, {}, "shift_attn"),
    ("ppo", PPO | FULL, {}, "reward_model_type"),
    ("ppo", PPO | {"use_unsloth": True}, {}, "use_unsloth"),
    ("ppo", PPO | {"report_to": "mlflow"}, {}, "report_to"),
    ("helper-quantization", {"ref_model_quantization_bit": 2}, {}, "ref_model_quantization_bit"),
    ("adapter", FULL | {"adapter_name_or_path": "a"}, {}, "adapter_name_or_path"),
    ("adapter", {"finetuning_type": "oft", "adapter_name_or_path": "a"}, {}, "adapter_name_or_path"),
    ("adapter", {"adapter_name_or_path": "a,b", "deepspeed": Z3}, {}, "adapter_name_or_path"),
    ("quantized-training", FULL | {"quantization_bit": 4}, {}, "quantization_bit"),
    ("quantized-training", {"quantization_bit": 4, "pissa_init": True}, {}, "pissa_init"),
    ("quantized-training", {"quantization_bit": 4, "resize_vocab": True}, {}, "resize_vocab"),
    ("quantized-training", {"quantization_bit": 4, "fp8": True}, {}, "fp8"),
    (
        "quantized-training",
        {"quantization_bit": 4, "adapter_name_or_path": "a", "create_new_adapter": True},
        {},
        "create_new_adapter",
    ),
    ("quantized-training", {"quantization_bit": 4, "adapter_name_or_path": "a,b"}, {}, "adapter_name_or_path"),
    ("quantized-training", {"quantization_device_map": "auto"}, {}, "quantization_device_map"),
    ("lora-only", FULL | {"use_dora": True}, {}, "use_dora"),
    ("lora-only", FULL | {"use_rslora": True}, {}, "use_rslora"),
    ("lora-only", FULL | {"pissa_init": True}, {}, "pissa_init"),
    ("lora-only", FULL | {"loraplus_lr_ratio": 0.0}, {}, "loraplus_lr_ratio"),
    ("pissa", {"stage": "kto", "pissa_init": True}, {}, "pissa_init"),
    ("pissa", {"stage": "dpo", "pissa_init": True}, {}, "pissa_init"),
    ("pissa", {"pissa_init": True, "deepspeed": Z3}, {}, "pissa_init"),
    ("low-rank-optimizers", {"use_galore": True}, {}, "use_galore"),
    ("low-rank-optimizers", FULL | {"use_galore": True, "use_apollo": True}, {}, "use_apollo"),
    ("low-rank-optimizers-in-parallel", FULL | {"use_galore": True, "galore_layerwise": True}, {}, "galore_layerwise"),
    ("low-rank-optimizers-in-parallel", FULL | {"use_apollo": True, "apollo_layerwise": True}, {}, "apollo_layerwise"),
    ("low-rank-optimizers-in-parallel", FULL | {"use_badam": True, "badam_mode": "ratio"}, {}, "badam_mode"),
    ("low-rank-optimizers-in-parallel", FULL | {"use_badam": True, "deepspeed": Z2}, {}, "use_badam"),
    ("low-rank-optimizers-in-parallel", FULL | {"use_galore": True, "deepspeed": Z2}, {}, "use_galore"),
    ("llama-pro", FULL | {"use_llama_pro": True}, {}, "use_llama_pro"),
    ("llama-pro", {"use_llama_pro": True, "freeze_trainable_layers": 5}, {"layers": 28}, "freeze_trainable_layers"),
    ("label-smoothing", {"stage": "dpo", "pref_loss": "ipo", "dpo_label_smoothing": 0.1}, {}, "dpo_label_smoothing"),
    ("generation", {"do_predict": True, "val_size": 0.1}, {}, "do_predict"),
    ("generation", {"predict_with_generate": True, "val_size": 0.1, "deepspeed": Z3}, {}, "predict_with_generate"),
    ("generation", {"predict_with_generate": True, "val_size": 0.1, "compute_accuracy": True}, {}, "compute_accuracy"),
    ("zero3", {"pure_bf16": True, "deepspeed": Z3}, {}, "pure_bf16"),
    ("zero3", {"use_unsloth": True, "deepspeed": "/app/examples/deepspeed/ds_z3_config.json"}, {}, "use_unsloth"),
    ("zero3", {"use_kt": True, "deepspeed": '{"zero_optimization": {"stage": 3}}'}, {}, "use_kt"),
    ("inference-backend", {"infer_backend": "vllm"}, {}, "infer_backend"),
    ("export-target", {"export_quantization_bit": 4}, {}, "export_quantization_bit"),
    (
        "export-target",
        {"export_quantization_bit": 5, "export_quantization_dataset": "c4"},
        {},
        "export_quantization_bit",
    ),
    ("precision", {"fp16": True, "bf16": True}, {}, "fp16"),
    ("precision", {"fp16_full_eval": True, "bf16_full_eval": True}, {}, "fp16_full_eval"),
    ("precision", {"fp16": True, "pure_bf16": True}, {}, "fp16"),
    ("best-model", {"load_best_model_at_end": True}, {}, "load_best_model_at_end"),
    (
        "best-model",
        {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 300, "val_size": 0.1},
        {},
        "save_steps",
    ),
    (
        "best-model",
        {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 0.3, "val_size": 0.1},
        {},
        "save_steps",
    ),
    ("intervals", {"logging_steps": 0}, {}, "logging_steps"),
    ("intervals", {"save_steps": 1.5}, {}, "save_steps"),
    (
        "intervals",
        {"eval_strategy": "steps", "logging_strategy": "no", "logging_steps": 0, "val_size": 0.1},
        {},
        "eval_steps",
    ),
    ("schedule", {"lr_scheduler_type": "reduce_lr_on_plateau"}, {}, "lr_scheduler_type"),
    ("schedule", {"warmup_steps": -1}, {}, "warmup_steps"),
    ("schedule", {"warmup_ratio": 1.5}, {}, "warmup_ratio"),
    ("schedule", {"dataloader_prefetch_factor": 2}, {}, "dataloader_prefetch_factor"),
    (
        "schedule",
        {"dataloader_persistent_workers": True, "dataloader_num_workers": 0},
        {},
        "dataloader_persistent_workers",
    ),
    ("schedule", {"lr_scheduler_type": "cosine_with_min_lr"}, {}, "lr_scheduler_type"),
    ("best-model", {"save_strategy": "best", "eval_strategy": "steps", "val_size": 0.1}, {}, "save_strategy"),
    ("schedule", {"torch_empty_cache_steps": 0}, {}, "torch_empty_cache_steps"),
    ("trackers", {"report_to": "ml-flow"}, {}, "report_to"),
    ("trackers", {"report_to": ["mlflow", "all"]}, {}, "report_to"),
    ("trackers", {"report_to": "trackio", "project": ""}, {}, "project"),
    ("pixels", {"image_max_pixels": 10}, {}, "image_max_pixels"),
    ("pixels", {"video_min_pixels": 10**6}, {}, "video_max_pixels"),
    ("release-limits", {"shift_attn": True}, {}, "shift_attn"),
    ("sharding", {"fsdp": "offload"}, {}, "fsdp"),
    ("sharding", {"fsdp": "full_shard shard_grad_op"}, {}, "fsdp"),
    ("sharding", {"fsdp": ["full_shard"], "deepspeed": Z2}, {}, "fsdp"),
    ("sharding", {"fsdp": "full_shard auto_wrap"}, {"vendor": "cpu", "devices": 2}, "fsdp"),
    ("sharding", {"fsdp": "full_shard", "stage": "rm", "bf16": True}, {"devices": 2, "bf16": True}, "fsdp"),
    (
        "best-model",
        {"load_best_model_at_end": True, "save_strategy": "best", "save_only_model": True, "fsdp": "full_shard"},
        {"devices": 2},
        "save_only_model",
    ),
    (
        "best-model",
        {"load_best_model_at_end": True, "save_strategy": "best", "save_only_model": True, "deepspeed": Z2},
        {},
        "save_only_model",
    ),
    ("deepspeed-file", {"deepspeed": "{zero"}, {}, "deepspeed"),
    ("quantization-bits", {"quantization_bit": 3}, {}, "quantization_bit"),
    ("quantization-bits", {"quantization_bit": 4, "quantization_method": "eetq"}, {}, "quantization_bit"),
    ("quantization-bits", {"quantization_bit": 7, "quantization_method": "hqq"}, {}, "quantization_bit"),
    ("quantization-bits", {"quantization_bit": 4, "quantization_method": "gptq"}, {}, "quantization_method"),
    ("quantization-bits", {"quantization_bit": 8, "deepspeed": Z3}, {}, "quantization_bit"),
    (
        "quantization-bits",
        {"quantization_bit": 4, "quantization_method": "hqq", "fsdp": "full_shard"},
        {},
        "quantization_bit",
    ),
    ("quantized-base", {"deepspeed": Z3}, {"quantization": "gptq"}, "deepspeed"),
    ("quantized-base", FULL, {"quantization": "awq"}, "finetuning_type"),
    ("quantized-base", {"use_dora": True}, {"quantization": "gptq"}, "use_dora"),
    ("quantized-base", {}, {"quantization": "fp8"}, "model_name_or_path"),
    ("quantized-base", FULL, {"quantization": "fp8"}, "model_name_or_path"),
    ("quantized-base", {}, {"quantization": "vptq", "compute_capability": 9.0}, "model_name_or_path"),
    ("precision-on-card", {"bf16": True}, {"bf16": False, "card": "V100"}, "bf16"),
    ("precision-on-card", {"pure_bf16": True}, {"bf16": False, "vendor": "ascend"}, "pure_bf16"),
    ("precision-on-card", {"bf16": True}, {"compute_capability": 7.5}, "bf16"),
    ("precision-on-card", {"bf16": True}, {"vendor": "cpu"}, "bf16"),
    ("precision-on-card", {"pure_bf16": True, "use_cpu": True}, {"vendor": "cpu"}, "pure_bf16"),
    ("precision-on-card", {"fp16": True}, {"vendor": "cpu"}, "fp16"),
    ("precision-on-card", {"tf32": True}, {"compute_capability": 7.0}, "tf32"),
    ("precision-on-card", {"tf32": True}, {"vendor": "ascend"}, "tf32"),
    ("precision-on-card", {"fp8": True}, {"compute_capability": 8.0}, "fp8"),
    ("attention-on-card", {"flash_attn": "fa2"}, {"compute_capability": 7.5}, "flash_attn"),
    ("attention-on-card", {"flash_attn": "fa3"}, {"compute_capability": 9.0}, "flash_attn"),
    ("attention-on-card", {"flash_attn": "fa3"}, {"vendor": "ascend", "template": "gpt_oss"}, "flash_attn"),
    ("ascend-limits", {"use_unsloth": True}, {"vendor": "ascend"}, "use_unsloth"),
    ("ascend-limits", {"quantization_bit": 8}, {"vendor": "ascend"}, "quantization_bit"),
    ("ascend-limits", {"quantization_bit": 4}, {"vendor": "ascend"}, "double_quantization"),
    (
        "ascend-limits",
        {"quantization_bit": 4, "quantization_method": "hqq"},
        {"vendor": "ascend"},
        "quantization_method",
    ),
    ("ascend-limits", {}, {"vendor": "ascend", "quantization": "gptq"}, "model_name_or_path"),
    ("packages", {"report_to": "mlflow"}, {"packages": frozenset()}, "report_to"),
    ("packages", {"quantization_bit": 4}, {"packages": frozenset({"mlflow"})}, "quantization_bit"),
    ("packages", {"deepspeed": Z2}, {"packages": frozenset()}, "deepspeed"),
    ("packages", {"plot_loss": True}, {"packages": frozenset()}, "plot_loss"),
    ("template-known", {"template": "qwen-3"}, {}, "template"),
    ("template-known", {"template": ""}, {}, "template"),
    ("template-known", {"template": "chatglm3", "train_on_prompt": True}, {}, "train_on_prompt"),
    ("template-of-model", {"template": "qwen"}, {"template": "qwen3"}, "template"),
    ("dataset-for-stage", {"stage": "dpo"}, {"ranking": False}, "stage"),
    ("dataset-for-stage", {"stage": "rm"}, {"ranking": False}, "stage"),
    ("dataset-for-stage", {"stage": "sft"}, {"ranking": True}, "stage"),
    ("dataset-for-stage", {"stage": "kto"}, {"ranking": True}, "stage"),
    ("dataset-for-stage", {"stage": "kto"}, {"ranking": False, "stages": frozenset({"sft"})}, "stage"),
    ("secrets", {"hf_hub_token": "t"}, {}, "hf_hub_token"),
    ("validation-split", {"val_size": 1.5}, {}, "val_size"),
    ("validation-split", {"val_size": 1.0}, {}, "val_size"),
    ("validation-split", {"val_size": -1}, {}, "val_size"),
    ("zero3", {"auto_find_batch_size": True, "deepspeed": Z3}, {}, "auto_find_batch_size"),
    ("best-model", {"early_stopping_steps": 3, "eval_strategy": "steps", "val_size": 0.1}, {}, "early_stopping_steps"),
    ("best-model", {"early_stopping_steps": 3, "metric_for_best_model": "loss"}, {}, "early_stopping_steps"),
    (
        "sharding",
        {"fsdp": "full_shard", "save_only_model": True, "fsdp_config": {"state_dict_type": "SHARDED_STATE_DICT"}},
        {"devices": 2},
        "save_only_model",
    ),
    ("packages", {"mixture_of_depths": "load"}, {"packages": frozenset()}, "mixture_of_depths"),
    ("sizes", {"preprocessing_num_workers": 0}, {}, "preprocessing_num_workers"),
    ("sizes", {"dataloader_num_workers": -1}, {}, "dataloader_num_workers"),
    ("sizes", {"max_samples": 0}, {}, "max_samples"),
    ("sizes", {"seed": -1}, {}, "seed"),
    ("sizes", {"seed": 2**32}, {}, "seed"),
    ("sizes", {"lora_dropout": 1.0}, {}, "lora_dropout"),
    ("packages", {"optim": "paged_adamw_8bit"}, {"packages": frozenset()}, "optim"),
    ("packages", {"optim": "adamw_torch_8bit"}, {"packages": frozenset({"bitsandbytes"})}, "optim"),
    ("unsloth", UNSLOTH | {"finetuning_type": "oft"}, {}, "use_unsloth"),
    ("unsloth", UNSLOTH | {"adapter_name_or_path": "a,b"}, {}, "use_unsloth"),
    ("unsloth", UNSLOTH | {"quantization_bit": 8}, {}, "quantization_bit"),
    ("unsloth", UNSLOTH | {"quantization_bit": 4, "quantization_method": "hqq"}, {}, "quantization_bit"),
    ("unsloth", UNSLOTH, {"vendor": "cpu"}, "use_unsloth"),
    ("adapter-targets", {"lora_target": "q_prj"}, LAYERS, "lora_target"),
    ("adapter-targets", {"finetuning_type": "oft", "oft_target": ["qkv"]}, LAYERS, "oft_target"),
    ("resuming", {"resume_from_checkpoint": True}, {}, "resume_from_checkpoint"),
    ("resuming", {"resume_from_checkpoint": "true"}, KEPT, "resume_from_checkpoint"),
    ("resuming", {"save_only_model": True, "deepspeed": Z2}, KEPT, "save_only_model"),
    (
        "resuming",
        {"save_only_model": True, "deepspeed": Z2, "resume_from_checkpoint": "/mnt/work/c"},
        KEPT,
        "save_only_model",
    ),
    ("resuming", {"save_only_model": True, "fsdp": "full_shard"}, KEPT | {"devices": 2}, "save_only_model"),
    ("absent-inputs", {"model_name_or_path": "Qwen/Qwen3-8B"}, THERE, "model_name_or_path"),
    ("absent-inputs", {"adapter_name_or_path": "/mnt/models/M,outputs"}, THERE, "adapter_name_or_path"),
    ("absent-inputs", {"resume_from_checkpoint": "checkpoint-5"}, THERE, "resume_from_checkpoint"),
    ("absent-inputs", {"resume_from_checkpoint": "checkpoint-5"}, THERE | {"offline": False}, "resume_from_checkpoint"),
    ("absent-inputs", {"ref_model": "/mnt/models/other"}, THERE, "ref_model"),
    ("absent-inputs", {"ref_model": "/mnt/work/$(JOB_NAME)/x"}, {"folders": ("/mnt/work",)}, "ref_model"),
    ("absent-inputs", {"dataset": "a,b"}, THERE | {"dataset_entry": "a,b"}, "dataset"),
    ("absent-inputs", {"dataset_dir": "ONLINE"}, THERE, "dataset_dir"),
    ("absent-inputs", {"dataset_dir": "data"}, THERE | {"offline": False}, "dataset_dir"),
    (
        "workers",
        {"streaming": True, "max_steps": 9, "dataloader_num_workers": 0},
        {},
        "dataloader_num_workers",
    ),
    ("untrained-result", {"max_steps": 0}, {}, "max_steps"),
    ("untrained-result", {"num_train_epochs": 0}, {}, "num_train_epochs"),
    ("untrained-result", {"learning_rate": 0}, {}, "learning_rate"),
    ("untrained-result", {"do_train": False, "do_eval": True, "val_size": 0.1}, {"merged": "m"}, "do_train"),
    ("decided-by-the-job", {"push_to_hub": True}, {}, "push_to_hub"),
    ("decided-by-the-job", {"ddp_backend": "nccl"}, {"vendor": "ascend", "devices": 2}, "ddp_backend"),
    ("decided-by-the-job", {"ddp_backend": "hccl"}, {"nodes": 2}, "ddp_backend"),
    ("decided-by-the-job", {"optim": "adamw_torch_npu_fused"}, {}, "optim"),
    ("misplaced-results", {"output_dir": "out"}, {"merged": "out"}, "output_dir"),
    ("misplaced-results", {"output_dir": "out/adapter"}, {"merged": "./out"}, "output_dir"),
    ("misplaced-results", {"output_dir": ""}, {}, "output_dir"),
]

# 1000 steps of one card, without rows that are held out.
ROWS = {
    "max_samples": 1000,
    "num_train_epochs": 4,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
}
GALORE = FULL | {"use_galore": True, "optim": "adamw_torch"}
STABLE = {"lr_scheduler_type": "warmup_stable_decay"}
EVALUATING = {"eval_strategy": "steps", "val_size": 0.1}
BEST = EVALUATING | {"load_best_model_at_end": True, "eval_steps": 500}
STOPPING = EVALUATING | {"early_stopping_steps": 3, "eval_steps": 500, "metric_for_best_model": "loss"}
EACH = {"eval_strategy": "steps", "eval_dataset": "held,out", "eval_on_each_dataset": True}
REFUSED += [
    ("work-required", {"dataset": []}, {}, "dataset"),
    ("validation-split", {"val_size": 1000, "max_samples": 1000}, {}, "val_size"),
    ("validation-split", {"val_size": 0.1, "max_samples": 1}, {}, "val_size"),
    ("evaluation-data", {"eval_on_start": True}, {}, "eval_on_start"),
    (
        "interleave-probabilities",
        {"dataset": "a,b", "interleave_probs": "0.7,0.7", "mix_strategy": "interleave_under"},
        {},
        "interleave_probs",
    ),
    ("interleave-probabilities", {"dataset": "a,b", "mix_strategy": "interleave_once"}, {}, "mix_strategy"),
    ("streaming-length", {"streaming": True, "max_steps": 9, "group_by_length": True}, {}, "group_by_length"),
    ("quantized-training", {"quantization_bit": 4, "add_tokens": "abc"}, {}, "add_tokens"),
    ("helper-quantization", {"use_asft_loss": True}, {}, "use_asft_loss"),
    ("helper-quantization", FULL | EVALUATING | {"use_asft_loss": True}, {}, "use_asft_loss"),
    ("tied-embeddings", {"additional_target": "lm_head"}, TIED, "additional_target"),
    ("tied-embeddings", {"additional_target": ["model.embed_tokens", "norm"]}, TIED, "additional_target"),
    ("tied-embeddings", {"lora_target": "q_proj,embed_tokens"}, TIED, "lora_target"),
    ("tied-embeddings", FULL | {"stage": "rm"}, {"tied": True}, "save_safetensors"),
    ("tied-embeddings", {"stage": "rm", "finetuning_type": "freeze"}, {"tied": True}, "save_safetensors"),
    ("low-rank-optimizers-in-parallel", GALORE | {"optim": "adamw_torch_fused"}, {}, "optim"),
    ("low-rank-optimizers-in-parallel", FULL | {"use_apollo": True, "optim": "adafactor"}, {}, "optim"),
    (
        "low-rank-optimizers-in-parallel",
        GALORE | {"galore_layerwise": True, "gradient_accumulation_steps": 2},
        {"torchrun": False},
        "galore_layerwise",
    ),
    ("llama-pro", {"use_llama_pro": True, "freeze_trainable_layers": -2}, {"layers": 28}, "freeze_trainable_layers"),
    ("best-model", EVALUATING | {"metric_for_best_model": "accuracy"}, {}, "metric_for_best_model"),
    ("best-model", EACH | {"metric_for_best_model": "loss"}, {}, "eval_on_each_dataset"),
    ("best-model", EACH | {"load_best_model_at_end": True}, {}, "eval_on_each_dataset"),
    (
        "schedule",
        {"lr_scheduler_type": "cosine", "lr_scheduler_kwargs": {"min_lr": 1e-6}},
        {},
        "lr_scheduler_kwargs",
    ),
    ("deepspeed-file", {"deepspeed": Z2 | {"train_micro_batch_size_per_gpu": 16}}, {}, "deepspeed"),
    ("deepspeed-file", {"deepspeed": Z2 | {"optimizer": {"params": {"lr": 0.5}}}}, {}, "deepspeed"),
    (
        "sharding",
        {"fsdp": "full_shard", "fsdp_config": {"cpu_ram_efficient_loading": True, "sync_module_states": False}},
        {"devices": 2},
        "fsdp_config",
    ),
    (
        "adapter-targets",
        {"finetuning_type": "freeze", "freeze_trainable_modules": "q_proj"},
        LAYERS,
        "freeze_trainable_modules",
    ),
    (
        "untrained-result",
        {"finetuning_type": "freeze", "freeze_trainable_layers": 0},
        {},
        "freeze_trainable_layers",
    ),
]

WARNED = [
    ("reward-checkpoints", {"stage": "rm"}, KEPT, "overwrite_output_dir", WARNING),
    ("reward-checkpoints", FULL | {"stage": "rm"}, KEPT, "overwrite_output_dir", WARNING),
    ("low-rank-optimizers-in-parallel", FULL | {"use_galore": True}, {}, "optim", WARNING),
    ("schedule", STABLE | {"lr_scheduler_kwargs": {"num_decay_steps": 100}}, {}, "lr_scheduler_kwargs", WARNING),
    (
        "rows-beyond-the-context",
        {"cutoff_len": 90_000, "rope_scaling": "yarn"},
        {"context": 40_960, "merged": "m"},
        "rope_scaling",
        WARNING,
    ),
    (
        "rows-beyond-the-context",
        {"cutoff_len": 50_000, "rope_scaling": "yarn"},
        {"context": 40_960},
        "rope_scaling",
        WARNING,
    ),
    (
        "reward-checkpoints",
        FULL | {"stage": "rm", "resume_from_checkpoint": "c"},
        {},
        "resume_from_checkpoint",
        WARNING,
    ),
    ("overwriting", {"overwrite_output_dir": True}, {}, "overwrite_output_dir", WARNING),
    ("overwriting", {"save_strategy": "no"}, KEPT, "save_strategy", WARNING),
    ("overwriting", {"save_strategy": "no", "overwrite_output_dir": True}, KEPT, "save_strategy", WARNING),
    ("overwriting", {"save_strategy": "no", "overwrite_output_dir": True}, {}, "overwrite_output_dir", WARNING),
    ("misplaced-results", {"save_on_each_node": True}, {"nodes": 2, "shared": True}, "save_on_each_node", WARNING),
    ("adapter", DPO, {}, "adapter_name_or_path", WARNING),
    ("adapter", DPO | {"stage": "kto"}, {}, "adapter_name_or_path", WARNING),
    ("adapter", DPO | {"create_new_adapter": True}, {"quantization": "gptq"}, "adapter_name_or_path", WARNING),
    ("adapter", DPO | {"create_new_adapter": True, "deepspeed": Z3}, {}, "adapter_name_or_path", WARNING),
    ("pissa", {"pissa_init": True}, MERGED, "pissa_init", WARNING),
    ("pissa", {"pissa_init": True, "pissa_convert": True}, MERGED, "pissa_init", WARNING),
    (
        "pissa",
        {"pissa_init": True, "adapter_name_or_path": "a", "create_new_adapter": True},
        MERGED,
        "pissa_init",
        WARNING,
    ),
    ("pissa", {"pissa_init": True}, {}, "pissa_init", WARNING),
    ("pissa", {"pissa_init": True, "pissa_convert": True}, KEPT, "pissa_convert", WARNING),
    ("pissa", {"pissa_init": True, "pissa_convert": True}, CONVERTED | KEPT, "pissa_convert", WARNING),
    ("attention-on-card", {}, {"template": "gpt_oss"}, "model_name_or_path", WARNING),
    ("trackers", {"report_to": None}, {}, "report_to", WARNING),
    ("deepspeed-file", {"deepspeed": "ds-z3-config.json"}, {}, "deepspeed", WARNING),
    ("sharding", {"fsdp": "full_shard"}, {}, "fsdp", WARNING),
    ("ascend-limits", {"enable_liger_kernel": True}, {"vendor": "ascend"}, "enable_liger_kernel", WARNING),
    (
        "ascend-limits",
        {"quantization_bit": 4, "double_quantization": False},
        {"vendor": "ascend"},
        "quantization_bit",
        WARNING,
    ),
    ("quantized-base", {"quantization_bit": 4}, {"quantization": "gptq"}, "quantization_bit", WARNING),
    ("template-of-model", {"template": "qwen3_nothink"}, {"template": "qwen3"}, "template", WARNING),
    ("template-of-model", {"template": "qwen3"}, {"reasoning": False}, "enable_thinking", WARNING),
    ("unread", FULL | {"lora_alpha": 32}, {}, "lora_alpha", NOTE),
    ("unread", {"kto_chosen_weight": 2.0}, {}, "kto_chosen_weight", NOTE),
]

WARNED += [
    ("schedule", {"max_steps": 10, "warmup_steps": 10}, {}, "warmup_steps", WARNING),
    ("schedule", ROWS | {"warmup_steps": 200}, {"devices": 8}, "warmup_steps", WARNING),
    ("schedule", ROWS | {"warmup_steps": 900, "val_size": 0.1}, {}, "warmup_steps", WARNING),
    ("schedule", ROWS | {"warmup_steps": 2000, "dataset": "a,b"}, {}, "warmup_steps", WARNING),
    ("schedule", ROWS | {"warmup_steps": 2000, "stage": "pt", "packing": False}, {}, "warmup_steps", WARNING),
    ("schedule", {"warmup_ratio": 1.0}, {}, "warmup_ratio", WARNING),
    ("schedule", {"learning_rate": 5.0}, {}, "learning_rate", WARNING),
    ("best-model", BEST | {"max_steps": 400}, {}, "eval_steps", WARNING),
    ("best-model", BEST | ROWS, {"devices": 8}, "eval_steps", WARNING),
    ("best-model", BEST | {"save_strategy": "best", "max_steps": 400}, {}, "eval_steps", WARNING),
    ("best-model", STOPPING | {"max_steps": 1500}, {}, "early_stopping_steps", WARNING),
    ("best-model", STOPPING | {"eval_steps": 0.3}, {}, "early_stopping_steps", WARNING),
    ("unsloth", UNSLOTH, {"devices": 2}, "use_unsloth", WARNING),
    ("unsloth", UNSLOTH, {"vendor": "enflame"}, "use_unsloth", WARNING),
    ("experts-under-zero3", {"deepspeed": Z3}, {"experts": 128}, "deepspeed", WARNING),
    ("rows-beyond-the-context", {"cutoff_len": 50_000}, {"context": 40_960}, "cutoff_len", WARNING),
    ("adapter-targets", {"lora_target": "q_proj,qkv"}, LAYERS, "lora_target", WARNING),
    ("resuming", {"resume_from_checkpoint": False}, KEPT, "resume_from_checkpoint", WARNING),
    ("resuming", {"save_only_model": True}, KEPT, "save_only_model", WARNING),
    ("resuming", {"save_only_model": True, "fsdp": "full_shard"}, KEPT, "save_only_model", WARNING),
    ("absent-inputs", {"reward_model": "/opt/reward"}, THERE, "reward_model", WARNING),
    ("tracking", {"report_to": "mlflow"}, {"tracker": "none"}, "report_to", WARNING),
    ("tracking", {"report_to": ["tensorboard", "wandb"]}, {"tracker": "none"}, "report_to", WARNING),
    ("tracking", {"report_to": "none"}, {"tracker": "mlflow"}, "report_to", WARNING),
    ("tracking", {"report_to": "none", "use_swanlab": True}, {"tracker": "none"}, "use_swanlab", WARNING),
    ("workers", {"preprocessing_num_workers": 512}, {"processors": 12.0}, "preprocessing_num_workers", WARNING),
    ("workers", {"dataloader_num_workers": 8}, {"processors": 24.0, "devices": 8}, "dataloader_num_workers", WARNING),
    ("decided-by-the-job", {"use_cpu": True}, {}, "use_cpu", WARNING),
    ("misplaced-results", {"output_dir": "/tmp/out"}, {"mounts": ("/mnt/work",)}, "output_dir", WARNING),
]

ALLOWED = [
    ("work-required", {"do_train": False, "do_eval": True, "val_size": 0.1}, {}),
    ("validation-split", {"eval_dataset": "e"}, {}),
    ("evaluation-data", {"eval_strategy": "steps", "eval_dataset": "e"}, {}),
    (
        "interleave-probabilities",
        {"dataset": "a, b", "interleave_probs": [0.5, 0.5], "mix_strategy": "interleave_over"},
        {},
    ),
    ("streaming-split", {"streaming": True, "max_steps": 9, "val_size": 500}, {}),
    ("streaming-length", {"streaming": True, "max_steps": 9}, {}),
    ("supervised-only", {"neat_packing": True, "train_on_prompt": True}, {}),
    ("sizes", {"finetuning_type": "oft", "oft_rank": 8, "oft_block_size": 0}, {}),
    ("adapter", {"adapter_name_or_path": "a,b", "deepspeed": Z2}, {}),
    ("quantized-training", {"finetuning_type": "oft", "quantization_bit": 4}, {}),
    ("pissa", {"stage": "dpo", "pref_loss": "orpo", "pissa_init": True}, CONVERTED),
    ("pissa", {"pissa_init": True, "pissa_iter": -1}, MERGED),
    ("pissa", {"pissa_init": True, "pissa_convert": True}, {}),
    ("pissa", {"pissa_init": True, "pissa_convert": True}, CONVERTED),
    ("pissa", {"pissa_init": True, "pissa_convert": True, "overwrite_output_dir": True}, CONVERTED | KEPT),
    ("pissa", {"pissa_init": True, "pissa_convert": True, "save_strategy": "no"}, CONVERTED | KEPT),
    ("pissa", {"pissa_init": True, "pissa_iter": -1, "pissa_convert": True}, MERGED | KEPT),
    ("pissa", {"pissa_init": True, "adapter_name_or_path": "a"}, MERGED),
    ("pissa", {"pissa_init": True, "use_unsloth": True}, MERGED),
    ("low-rank-optimizers-in-parallel", FULL | {"use_badam": True, "deepspeed": Z3}, {}),
    ("low-rank-optimizers-in-parallel", GALORE | {"galore_layerwise": True}, {"torchrun": False}),
    ("low-rank-optimizers-in-parallel", FULL | {"use_badam": True, "deepspeed": "/etc/ds.json"}, {}),
    ("llama-pro", {"use_llama_pro": True, "freeze_trainable_layers": 7}, {"layers": 28}),
    ("label-smoothing", {"stage": "dpo", "dpo_label_smoothing": 0.1}, {}),
    ("zero3", {"pure_bf16": True, "deepspeed": Z2}, {}),
    ("export-target", {"export_quantization_bit": 4, "export_quantization_dataset": "c4"}, {}),
    ("overwriting", {"overwrite_output_dir": True, "resume_from_checkpoint": "c"}, {}),
    ("best-model", {"load_best_model_at_end": True, "save_strategy": "best"}, {}),
    ("best-model", {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 250}, {}),
    (
        "best-model",
        {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 0.1, "save_steps": 0.3},
        {},
    ),
    ("sharding", {"fsdp": "full_shard auto_wrap offload"}, {"nodes": 2}),
    ("sharding", FULL | {"fsdp": "full_shard", "stage": "rm", "bf16": True}, {"nodes": 2, "bf16": True}),
    ("sharding", {"fsdp": "full_shard", "stage": "rm"}, {"nodes": 2}),
    ("sharding", {"fsdp": "full_shard", "stage": "kto", "bf16": True}, {"nodes": 2, "bf16": True}),
    ("best-model", {"load_best_model_at_end": True, "save_strategy": "best", "save_only_model": True}, {}),
    ("intervals", {"logging_strategy": "epoch", "logging_steps": 0}, {}),
    ("trackers", {"report_to": ["mlflow", "tensorboard"]}, {}),
    ("deepspeed-file", {"deepspeed": "/app/examples/deepspeed/ds_z2_config.json"}, {}),
    ("quantization-bits", {"quantization_bit": 4, "deepspeed": Z3}, {}),
    ("quantized-base", FULL | {"deepspeed": Z3}, {"quantization": "mxfp4"}),
    ("quantized-base", {}, {"quantization": "gptq"}),
    ("precision-on-card", {"bf16": True, "tf32": True}, {"compute_capability": 8.0, "bf16": True}),
    ("precision-on-card", {"bf16": True}, {}),
    ("precision-on-card", {"bf16": True, "use_cpu": True}, {"vendor": "cpu"}),
    ("attention-on-card", {"flash_attn": "fa2"}, {"vendor": "ascend"}),
    (
        "attention-on-card",
        {"flash_attn": "fa3"},
        {"template": "gpt_oss", "compute_capability": 9.0, "offline": False},
    ),
    ("overwriting", {"save_strategy": "no"}, {}),
    ("overwriting", {"save_strategy": "no", "do_train": False, "do_eval": True, "val_size": 0.1}, KEPT),
    ("misplaced-results", {"save_on_each_node": True}, {"nodes": 2, "resumes": True}),
    ("misplaced-results", {"save_on_each_node": True}, {"shared": True}),
    ("misplaced-results", {}, {"nodes": 2, "shared": True}),
    ("adapter", DPO | {"create_new_adapter": True}, {}),
    ("adapter", DPO | {"ref_model": "r", "ref_model_adapters": "a"}, {}),
    ("adapter", DPO | {"pref_loss": "orpo"}, {}),
    ("adapter", {"adapter_name_or_path": "a"}, {}),
    ("adapter", DPO | {"do_train": False, "do_eval": True, "val_size": 0.1}, {}),
    ("packages", {"report_to": "mlflow", "deepspeed": Z2}, {"packages": frozenset({"mlflow", "deepspeed"})}),
    ("packages", {"report_to": "mlflow"}, {}),
    ("template-of-model", {"template": "qwen3"}, {"template": "qwen3"}),
    ("template-of-model", {"template": "qwen3", "enable_thinking": False}, {"reasoning": False}),
    ("dataset-for-stage", {"stage": "dpo"}, {"ranking": True, "stages": frozenset({"dpo", "rm"})}),
    ("unread", {"use_llama_pro": True, "freeze_trainable_layers": 7}, {}),
    ("unread", FULL | {"lora_rank": 8}, {}),
    ("validation-split", {"val_size": 500.0}, {}),
    ("validation-split", {"val_size": 1}, {}),
    (
        "best-model",
        {"early_stopping_steps": 3, "eval_strategy": "steps", "metric_for_best_model": "loss", "val_size": 0.1},
        {},
    ),
    ("sizes", {"seed": 2**32 - 1, "dataloader_num_workers": 0, "preprocessing_num_workers": None}, {}),
    ("schedule", {"max_steps": 10, "warmup_steps": 9}, {}),
    ("schedule", {"warmup_steps": 100}, {}),
    ("schedule", ROWS | {"warmup_steps": 100}, {"devices": 8}),
    ("schedule", ROWS | {"warmup_steps": 900}, {}),
    ("schedule", ROWS | {"warmup_steps": 1500, "dataset": "a,b"}, {}),
    ("schedule", ROWS | {"warmup_steps": 2000, "dataset": "a,b", "mix_strategy": "interleave_over"}, {}),
    ("schedule", ROWS | {"warmup_steps": 2000, "stage": "pt"}, {}),
    ("schedule", ROWS | {"warmup_steps": 2000, "tokenized_path": "/mnt/work/t"}, {}),
    ("schedule", ROWS | {"warmup_steps": 2000, "auto_find_batch_size": True}, {}),
    ("schedule", ROWS | {"warmup_steps": 2000, "deepspeed": Z2 | {"tensor_parallel": {"autotp_size": 2}}}, {}),
    ("schedule", ROWS | {"warmup_steps": 2000, "lr_scheduler_type": "constant"}, {}),
    ("schedule", {"warmup_ratio": 1.0, "warmup_steps": 10}, {}),
    ("best-model", BEST | {"max_steps": 500}, {}),
    ("best-model", BEST | ROWS, {}),
    ("best-model", EVALUATING | {"eval_steps": 500, "max_steps": 400}, {}),
    ("best-model", STOPPING | {"max_steps": 2000}, {}),
    ("best-model", STOPPING | {"eval_steps": 0.1}, {}),
    ("schedule", {"learning_rate": 5.0, "optim": "sgd"}, {}),
    ("packages", {"optim": "adamw_torch"}, {"packages": frozenset()}),
    ("unsloth", UNSLOTH | {"quantization_bit": 4}, {"vendor": "amd"}),
    ("unsloth", {"quantization_bit": 8}, {"devices": 8}),
    ("experts-under-zero3", {"deepspeed": Z3}, {}),
    ("experts-under-zero3", {"deepspeed": Z2}, {"experts": 128}),
    ("rows-beyond-the-context", {"cutoff_len": 40_960}, {"context": 40_960}),
    (
        "rows-beyond-the-context",
        {"cutoff_len": 50_000, "rope_scaling": "yarn"},
        {"context": 40_960, "merged": "m"},
    ),
    ("rows-beyond-the-context", FULL | {"cutoff_len": 90_000, "rope_scaling": "yarn"}, {"context": 40_960}),
    ("sizes", {"lora_alpha": 0}, {}),
    ("schedule", STABLE, {}),
    ("schedule", STABLE | {"lr_scheduler_kwargs": {"min_lr_ratio": 0.1}}, {}),
    ("schedule", STABLE | {"lr_scheduler_kwargs": {"num_stable_steps": 10, "num_decay_steps": 100}}, {}),
    ("schedule", {"lr_scheduler_type": "constant", "lr_scheduler_kwargs": {"any": 1}}, {}),
    ("validation-split", {"val_size": 1000, "max_samples": 1000, "dataset": "a,b"}, {}),
    ("validation-split", {"val_size": 0.1, "max_samples": 2}, {}),
    ("reward-checkpoints", {"stage": "rm", "overwrite_output_dir": True}, KEPT),
    ("reward-checkpoints", FULL | {"stage": "rm", "overwrite_output_dir": True}, KEPT),
    ("overwriting", FULL | {"stage": "rm", "overwrite_output_dir": True}, {}),
    ("tied-embeddings", {"additional_target": "embed_tokens,lm_head"}, TIED),
    ("tied-embeddings", {"additional_target": "norm"}, TIED),
    ("tied-embeddings", {"add_tokens": "<a>", "resize_vocab": True}, TIED),
    ("tied-embeddings", {"additional_target": "lm_head"}, TIED | {"tied": False}),
    ("tied-embeddings", {"additional_target": "lm_head"}, TIED | {"tied": None}),
    ("tied-embeddings", {"additional_target": "lm_head"}, {"tied": True}),
    ("tied-embeddings", FULL | {"stage": "rm", "save_safetensors": False}, {"tied": True}),
    ("tied-embeddings", {"stage": "rm"}, TIED),
    ("tied-embeddings", FULL, {"tied": True}),
    ("reward-checkpoints", {"stage": "rm"}, {}),
    ("overwriting", {"stage": "rm", "overwrite_output_dir": True}, {}),
    ("helper-quantization", FULL | {"use_asft_loss": True}, {}),
    ("helper-quantization", {"use_asft_loss": True, "ref_model": "r"}, {}),
    ("low-rank-optimizers-in-parallel", GALORE, {"torchrun": False}),
    ("best-model", EVALUATING | {"metric_for_best_model": "eval_accuracy", "compute_accuracy": True}, {}),
    ("best-model", EACH | {"metric_for_best_model": "eval_held_loss"}, {}),
    ("deepspeed-file", {"deepspeed": Z2 | {"train_micro_batch_size_per_gpu": "auto"}}, {}),
    ("deepspeed-file", {"deepspeed": Z2 | {"gradient_accumulation_steps": 1}}, {}),
    ("adapter-targets", {"finetuning_type": "freeze", "freeze_trainable_modules": "self_attn"}, LAYERS),
    (
        "untrained-result",
        {"finetuning_type": "freeze", "freeze_trainable_layers": 0, "freeze_extra_modules": "norm"},
        {},
    ),
    ("adapter-targets", {"lora_target": "self_attn.q_proj,lm_head"}, LAYERS),
    ("adapter-targets", {"lora_target": "qkv"}, {}),
    ("adapter-targets", FULL, LAYERS),
    ("resuming", {"save_only_model": True, "deepspeed": Z2}, {}),
    ("resuming", {"save_only_model": True, "deepspeed": Z2, "overwrite_output_dir": True}, KEPT),
    ("resuming", {"save_only_model": True, "deepspeed": Z2, "save_strategy": "no"}, KEPT),
    ("resuming", {"save_only_model": True, "deepspeed": Z2, "resume_from_checkpoint": "/mnt/work/c"}, {}),
    ("resuming", FULL | {"stage": "rm", "resume_from_checkpoint": True}, KEPT),
    ("resuming", {"resume_from_checkpoint": False}, {}),
    ("absent-inputs", {"model_name_or_path": "/mnt/models/M", "ref_model": "/mnt/models/M/part"}, THERE),
    ("absent-inputs", {"resume_from_checkpoint": "../earlier/out/checkpoint-5"}, THERE),
    ("absent-inputs", {"model_name_or_path": "org/model", "dataset_dir": "ONLINE"}, THERE | {"offline": False}),
    ("absent-inputs", {"resume_from_checkpoint": True}, THERE),
    ("absent-inputs", {"reward_model": "http://reward", "reward_model_type": "api"}, THERE),
    ("absent-inputs", {"model_name_or_path": "anywhere"}, {}),
    ("absent-inputs", {"model_name_or_path": "/mnt/models/M", "dataset": "a,b"}, THERE),
    ("decided-by-the-job", {"optim": "adamw_torch_npu_fused"}, {"vendor": "ascend"}),
    ("tracking", {"report_to": "mlflow"}, {"tracker": "mlflow", "environment": frozenset({"MLFLOW_TRACKING_URI"})}),
    ("tracking", {"report_to": "wandb"}, {"tracker": "none", "environment": frozenset({"WANDB_MODE"})}),
    ("tracking", {"report_to": "tensorboard"}, {"tracker": "none"}),
    ("tracking", {"report_to": "none", "use_swanlab": True, "swanlab_mode": "local"}, {"tracker": "none"}),
    ("tracking", {"report_to": "mlflow"}, {}),
    ("workers", {"preprocessing_num_workers": 16}, {"processors": 8.0}),
    ("workers", {"preprocessing_num_workers": 512}, {}),
    ("workers", {"streaming": True, "max_steps": 9, "dataloader_num_workers": 1}, {}),
    ("untrained-result", {"max_steps": 9, "num_train_epochs": 0}, {}),
    ("untrained-result", {"do_train": False, "do_eval": True, "val_size": 0.1, "learning_rate": 0}, {}),
    ("untrained-result", {"do_train": False, "do_eval": True, "adapter_name_or_path": "a"}, {"merged": "m"}),
    ("decided-by-the-job", {"push_to_hub": True}, {"offline": False}),
    ("decided-by-the-job", {"ddp_backend": "gloo"}, {"vendor": "ascend", "devices": 2}),
    ("decided-by-the-job", {"ddp_backend": "nccl"}, {"vendor": "metax", "devices": 2}),
    ("decided-by-the-job", {"ddp_backend": "hccl"}, {"vendor": "ascend", "devices": 2}),
    ("decided-by-the-job", {"use_cpu": True}, {"vendor": "cpu"}),
    ("misplaced-results", {"output_dir": "/mnt/work/out"}, {"mounts": ("/mnt/work",)}),
    ("misplaced-results", {"output_dir": "out"}, {"merged": "out/merged"}),
    ("misplaced-results", {"output_dir": "outer"}, {"merged": "out"}),
]

BY_NAME = {rule.name: rule for rule in (*TRAINING.rules, *EXPORT.rules)}


def judged(name, args, facts, version="0.9.5", command="train"):
    base = GOOD if command == "train" else {"model_name_or_path": "m", "export_dir": "e"}
    found = check_arguments(base | args, surface(version), TrainingFacts(**facts), command)
    assert not [d for d in found if d.code in {"FT201", "FT202", "FT203"}]
    return {(d.subject.rsplit(".", 1)[1], d.severity) for d in found if d.code == BY_NAME[name].code}


@pytest.mark.parametrize(("name", "args", "facts", "about"), REFUSED)
def test_refused(name, args, facts, about):
    assert (about, ERROR) in judged(name, args, facts)


@pytest.mark.parametrize(("name", "args", "facts", "about", "severity"), WARNED)
def test_reported_without_refusal(name, args, facts, about, severity):
    assert judged(name, args, facts) == {(about, severity)}


@pytest.mark.parametrize(("name", "args", "facts"), ALLOWED)
def test_allowed(name, args, facts):
    assert judged(name, args, facts) == set()


def test_every_rule_has_a_case():
    with_case = {case[0] for case in (*REFUSED, *WARNED)}
    assert with_case == BY_NAME.keys()


@pytest.mark.parametrize(
    ("args", "about"),
    [
        ({"neat_packing": True}, "neat_packing"),
        ({"split_special_tokens": True}, "split_special_tokens"),
    ],
)
def test_limits_of_the_older_release(args, about):
    assert judged("release-limits", args, {}, "0.9.4") == {(about, ERROR)}
    assert judged("release-limits", args, {}, "0.9.5") == set()


def test_ppo_trackers_of_the_older_release():
    ours = {"stage": "ppo", "reward_model": "r", "report_to": ["wandb", "mlflow"]}
    assert ("report_to", ERROR) not in judged("ppo", ours, {}, "0.9.4")
    assert ("report_to", ERROR) in judged("ppo", ours, {}, "0.9.5")


@pytest.mark.parametrize(
    ("args", "about"),
    [
        ({"export_dir": None}, "export_dir"),
        ({"adapter_name_or_path": "a", "quantization_bit": 4}, "quantization_bit"),
        (
            {"adapter_name_or_path": "a", "export_quantization_bit": 4, "export_quantization_dataset": "c4"},
            "export_quantization_bit",
        ),
    ],
)
def test_exports_that_cannot_be(args, about):
    assert judged("export-target", args, {}, command="export") == {(about, ERROR)}


@pytest.mark.parametrize(
    ("args", "facts", "found"),
    [
        ({"adapter_name_or_path": "a"}, {"quantization": "gptq"}, {("model_name_or_path", ERROR)}),
        ({"adapter_name_or_path": "a"}, {"quantization": "fp8"}, {("model_name_or_path", ERROR)}),
        ({"adapter_name_or_path": "a"}, {"quantization": "mxfp4"}, set()),
        ({}, {"quantization": "gptq"}, set()),
    ],
)
def test_adapters_merge_into_whole_weights(args, facts, found):
    assert judged("export-target", args, facts, command="export") == found


def test_an_export_names_vllm_only_where_vllm_could_serve():
    assert judged("inference-backend", {"infer_backend": "vllm"}, {}, command="export") == set()
    two = {"infer_backend": "vllm", "adapter_name_or_path": "a,b"}
    assert judged("inference-backend", two, {}, command="export") == {("infer_backend", ERROR)}


def test_a_merge_is_allowed():
    merge = {"model_name_or_path": "m", "adapter_name_or_path": "a", "template": "qwen3", "export_dir": "e"}
    assert check_arguments(merge, surface("0.9.5"), TrainingFacts(template="qwen3"), "export") == []
