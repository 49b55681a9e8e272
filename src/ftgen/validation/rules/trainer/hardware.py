"""Rules about arguments that do not fit the card, the model, the data set or the image.

The trainer's parser accepts these arguments; the run fails later, or trains something else than its author thinks.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from math import ceil

from ftgen.diagnostics import Severity
from ftgen.trainers import trackers
from ftgen.trainers.llamafactory import EMBEDDINGS, TARGETS, joined
from ftgen.validation import rule
from ftgen.validation.rules.trainer.arguments import reporters
from ftgen.validation.rules.trainer.setting import BOTH, TRAINING, Findings, TrainerArguments

AMPERE = 8.0
ADA = 8.9
HOPPER = 9.0

# Bits by method (model/model_utils/quantization.py), which quantizes on the fly by no other method.
METHOD_BITS = {"bnb": (4, 8), "hqq": (1, 2, 3, 4, 5, 6, 8), "eetq": (8,)}
NO_NPU_METHODS = frozenset({"gptq", "awq", "hqq", "eetq", "aqlm", "quanto"})
# Weights whose quantizer says that it does not train (`is_trainable`, transformers/quantizers), which ends the Trainer.
UNTRAINABLE = frozenset({"auto-round", "fbgemm_fp8", "fp8", "higgs", "quark", "spqr", "vptq"})

# Packages by argument: `_check_extra_dependencies` (hparams/parser.py).
SWITCH_PACKAGES = {
    "deepspeed": ("deepspeed",),
    "enable_liger_kernel": ("liger-kernel",),
    "plot_loss": ("matplotlib",),
    "mixture_of_depths": ("mixture-of-depth",),
    "predict_with_generate": ("jieba", "nltk", "rouge-chinese"),
    "use_adam_mini": ("adam-mini",),
    "use_apollo": ("apollo-torch",),
    "use_badam": ("badam",),
    "use_galore": ("galore-torch",),
    "use_hyper_parallel": ("hyper-parallel",),
    "use_kt": ("kt-kernel",),
    "use_swanlab": ("swanlab",),
    "use_unsloth": ("unsloth",),
}
# Packages by a part of the optimizer's name; the first match counts (`Trainer.get_optimizer_cls_and_kwargs` of
# transformers).
OPTIMIZER_PACKAGES = (
    ("galore", "galore-torch"),
    ("apollo", "apollo-torch"),
    ("adamw_torch_4bit", "torchao"),
    ("adamw_torch_8bit", "torchao"),
    ("bnb", "bitsandbytes"),
    ("8bit", "bitsandbytes"),
    ("paged", "bitsandbytes"),
    ("lion", "bitsandbytes"),
    ("ademamix", "bitsandbytes"),
    ("lomo", "lomo-optim"),
    ("grokadamw", "grokadamw"),
    ("schedule_free", "schedulefree"),
)
METHOD_PACKAGES = {"bnb": "bitsandbytes", "hqq": "hqq", "eetq": "eetq"}

# Repository of the attention that is chosen for gpt-oss (model/model_utils/attention.py).
GPT_OSS_KERNEL = "kernels-community/vllm-flash-attn3"
# By which `configure_rope` stretches the positions of a model that it does not train (model/model_utils/rope.py).
MERGED_FACTOR = 2


@rule("FT241", "quantization-bits", on=BOTH)
def quantization_bits(args: TrainerArguments) -> Findings:
    """Each quantization method has its own widths, and not every loader can shard its weights.

    Why: `configure_quantization` (model/model_utils/quantization.py); a method it does not quantize with on
    the fly is passed over in silence, and the model trains whole.
    Example: `quantization_bit: 3`, or `quantization_bit: 8` under ZeRO-3.
    Instead: `quantization_bit: 4`.
    """
    bits, method = args["quantization_bit"], args["quantization_method"]
    if bits is None or args.facts.quantization:
        return
    if method not in METHOD_BITS:
        headline = f"{method} does not quantize while loading; the model would train whole"
        yield args.finding("quantization_method", headline, "set quantization_method: bnb")
    elif bits not in METHOD_BITS[method]:
        widths = ", ".join(str(width) for width in METHOD_BITS[method])
        yield args.finding(
            "quantization_bit", f"{method} quantizes to {widths} bits, not {bits}", f"choose among {widths}"
        )
    elif (args.zero3 or args.fsdp) and (method, bits) != ("bnb", 4):
        headline = f"{method} at {bits} bits cannot be sharded by ZeRO-3 or FSDP"
        yield args.finding("quantization_bit", headline, "set quantization_method: bnb and quantization_bit: 4")


@rule("FT242", "quantized-base", on=TRAINING)
def quantized_base(args: TrainerArguments) -> Findings:
    """A base model that comes quantized trains through plain adapters on unsharded weights, where it trains at all.

    Why: `configure_quantization` (model/model_utils/quantization.py) and model/adapter.py.  It asks for mxfp4 and fp8
    as whole weights, and gets them for mxfp4: `FineGrainedFP8Config` of transformers 4.57 drops `dequantize`
    (utils/quantization_config.py).  Its Trainer raises for fp8, as for each quantizer that says it does not train
    (`is_trainable`), and the loading does below compute capability 8.9.
    Example: a GPTQ model with ZeRO-3, or with `use_dora: true`; `model.quantization=fp8`.
    Instead: the model's whole weights.
    """
    kind, method = args.quantized_base, args["finetuning_type"]
    if kind in UNTRAINABLE:
        headline = f"transformers {args.surface.transformers} does not train {kind} weights"
        yield args.finding("model_name_or_path", headline, "use the whole weights: another model")
    if not kind or kind in UNTRAINABLE:
        return
    if args.zero3 or args.fsdp:
        yield args.finding("deepspeed", f"{kind} weights cannot be sharded by ZeRO-3 or FSDP", "use ZeRO-2")
    if method not in {"lora", "oft"}:
        yield args.finding("finetuning_type", f"a {kind} model cannot train with {method}", "set finetuning_type: lora")
    for name in ("use_dora", "pissa_init", "resize_vocab"):
        if args[name]:
            yield args.finding(name, f"{name} does not work on {kind} weights", f"set {name}: false")
    if args["quantization_bit"] is not None:
        headline = f"the model comes as {kind}: quantization_bit has no effect"
        yield args.finding("quantization_bit", headline, "leave it out", Severity.WARNING)


@rule("FT243", "precision-on-card", on=TRAINING)
def precision_on_card(args: TrainerArguments) -> Findings:
    """A number format the card does not have.

    Why: `TrainingArguments` of transformers wants an Ampere card or an NPU with bfloat16 (or `use_cpu`) for
    bf16 and an Ampere card for tf32, `get_train_args` (hparams/parser.py) a bfloat16 device for `pure_bf16`;
    fp8 needs tensor cores of Ada or Hopper; accelerate refuses fp16 without an accelerator.
    Example: `bf16: true` on a V100 or an Ascend 910A.
    Instead: `fp16: true`.
    """
    card = args.facts.card or f"this {args.facts.vendor} device"
    wanted = args.first("bf16", "pure_bf16", "bf16_full_eval")
    if (
        wanted
        and (args.facts.bf16 is False or _is_older_than(args, AMPERE))
        and not (wanted != "pure_bf16" and args["use_cpu"])
    ):
        yield args.finding(wanted, f"{card} has no bf16", "set trainer.precision=fp16")
    if args.facts.vendor == "cpu":
        yield from _precision_on_cpu(args)
    if args["tf32"] and (args.facts.vendor in {"ascend", "cpu"} or _is_older_than(args, AMPERE)):
        yield args.finding("tf32", f"{card} has no tf32", "set tf32: null")
    if args["fp8"] and (args.facts.vendor in {"ascend", "cpu"} or _is_older_than(args, ADA)):
        yield args.finding("fp8", f"{card} has no fp8", "set fp8: false and bf16: true")


def _precision_on_cpu(args: TrainerArguments) -> Findings:
    if args["fp16"]:
        yield args.finding("fp16", "fp16 needs an accelerator", "set fp16: false")
    if args.facts.bf16 is not False and not args["use_cpu"] and (name := args.first("bf16", "bf16_full_eval")):
        yield args.finding(name, f"{name} without an accelerator needs use_cpu", "set use_cpu: true")
    if args.facts.bf16 is not False and args["pure_bf16"]:
        yield args.finding("pure_bf16", "pure_bf16 needs an accelerator", "set pure_bf16: false")


def _is_older_than(args: TrainerArguments, needed: float) -> bool:
    present = args.facts.compute_capability
    return args.facts.vendor == "nvidia" and present is not None and present < needed


@rule("FT244", "attention-on-card", on=TRAINING)
def attention_on_card(args: TrainerArguments) -> Findings:
    """FlashAttention needs the card it was written for, and for gpt-oss a model hub.

    Why: FlashAttention-2 is built for compute capability 8.0 and up; torch_npu has its own behind the same
    name.  `fa3` is in the choices, but `configure_attn_implementation` (model/model_utils/attention.py)
    raises for it with every model but gpt-oss, where it is chosen by itself: its kernel comes from a repository
    of the hub (`load_and_register_kernel`, integrations/hub_kernels.py of transformers), by the package kernels.
    Example: `flash_attn: fa2` on a T4; a gpt-oss model with `HF_HUB_OFFLINE=1`, as it is by default.
    Instead: `flash_attn: sdpa`; `hardware.env.HF_HUB_OFFLINE=0`.
    """
    if args["flash_attn"] == "fa2" and (args.facts.vendor == "cpu" or _is_older_than(args, AMPERE)):
        yield args.finding(
            "flash_attn",
            f"FlashAttention-2 does not run on {args.facts.card or 'this device'}",
            "set flash_attn: sdpa",
        )
    if args["flash_attn"] == "fa3" and (
        args.facts.template != "gpt_oss" or args.facts.vendor != "nvidia" or _is_older_than(args, HOPPER)
    ):
        yield args.finding(
            "flash_attn", "the trainer has no fa3 but for gpt-oss on Hopper cards", "set flash_attn: auto"
        )
    if args.facts.template == "gpt_oss" and args.facts.offline:
        headline = f"for gpt-oss the trainer fetches {GPT_OSS_KERNEL} from a model hub, and is kept offline"
        help_ = "write hardware.env.HF_HUB_OFFLINE=0, unless the image holds it in its hub's cache"
        yield args.finding("model_name_or_path", headline, help_, Severity.WARNING)


@rule("FT245", "ascend-limits", on=TRAINING)
def ascend_limits(args: TrainerArguments) -> Findings:
    """A feature without kernels on Ascend.

    Why: of the quantizations only a self-built bitsandbytes runs on an NPU, at 4 bits without double
    quantization; Unsloth is CUDA only; Liger's kernels run in part.
    Example: `quantization_bit: 8` on Ascend.
    Instead: LoRA on whole weights with `bf16: true`.
    """
    if args.facts.vendor != "ascend":
        return
    if args["use_unsloth"]:
        yield args.finding("use_unsloth", "Unsloth does not run on Ascend", "set use_unsloth: false")
    if args["enable_liger_kernel"]:
        headline = "few of Liger's kernels run on Ascend"
        yield args.finding("enable_liger_kernel", headline, "set enable_liger_kernel: false", Severity.WARNING)
    if args.facts.quantization in NO_NPU_METHODS:
        yield args.finding(
            "model_name_or_path",
            f"{args.facts.quantization} weights do not run on Ascend",
            "use the whole weights",
        )
    if args["quantization_bit"] is not None:
        yield from _ascend_quantization(args)


def _ascend_quantization(args: TrainerArguments) -> Findings:
    method, bits = args["quantization_method"], args["quantization_bit"]
    if method in NO_NPU_METHODS:
        yield args.finding("quantization_method", f"{method} does not run on Ascend", "leave quantization_bit out")
    elif bits != 4:  # noqa: PLR2004 - the only width
        yield args.finding("quantization_bit", f"{bits}-bit weights do not run on Ascend", "leave quantization_bit out")
    elif args["double_quantization"]:
        yield args.finding("double_quantization", "Ascend has no double quantization", "set double_quantization: false")
    else:
        headline = "quantization on Ascend needs a bitsandbytes built for it"
        yield args.finding("quantization_bit", headline, "leave quantization_bit out", Severity.WARNING)


@rule("FT246", "packages", on=TRAINING)
def packages(args: TrainerArguments) -> Findings:
    """A switch whose package the image does not hold.

    Why: `_check_extra_dependencies` (hparams/parser.py) checks them at the start and cannot be told to skip
    it; transformers' trackers raise when theirs is missing.
    `hardware.packages` lists what an image holds; ftgen knows the images that LLaMA-Factory's project publishes.
    Example: `report_to: mlflow` on LLaMA-Factory's official image, which has no mlflow.
    Instead: `tracking=none`; or an image with the package, for which `ftgen image` writes the Dockerfile.
    """
    if args.facts.packages is None:
        return
    for name, package in _wanted_packages(args):
        if package not in args.facts.packages:
            remedy = "write tracking=none" if name == "report_to" else "leave it out"
            help_ = f"{remedy}, or take an image with {package} (ftgen image) and name it in hardware.packages"
            yield args.finding(name, f"{name} needs {package}, which the image does not hold", help_)


def _wanted_packages(args: TrainerArguments) -> Iterator[tuple[str, str]]:
    yield from ((name, package) for name, needed in SWITCH_PACKAGES.items() if args[name] for package in needed)
    yield from (("report_to", trackers.PACKAGES[name]) for name in reporters(args) if name in trackers.PACKAGES)
    if args["quantization_bit"] is not None and args["quantization_method"] in METHOD_PACKAGES:
        yield "quantization_bit", METHOD_PACKAGES[args["quantization_method"]]
    optimizer_package = next((package for part, package in OPTIMIZER_PACKAGES if part in args["optim"]), "")
    if optimizer_package:
        yield "optim", optimizer_package


@rule("FT247", "template-known", on=BOTH)
def template_known(args: TrainerArguments) -> Findings:
    """The template exists, and can do what is asked of it.

    Why: `get_template_and_fix_tokenizer` (data/template.py) raises for an unknown one and for
    `train_on_prompt` with a template whose answers end in the next turn's mark.
    Example: `template: qwen-3`.
    Instead: `template: qwen3`.
    """
    name = args["template"]
    if name is None:
        return
    if name not in args.surface.templates:
        near = difflib.get_close_matches(name, args.surface.templates, n=1, cutoff=0.5)
        suggested = near[0] if near else args.facts.template
        yield args.finding(
            "template", f"there is no template {name!r}", f"set template: {suggested}" if suggested else "leave it out"
        )
    elif args["train_on_prompt"] and "efficient_eos" in args.surface.templates[name]:
        yield args.finding(
            "train_on_prompt",
            f"template {name} does not support train_on_prompt",
            "set train_on_prompt: false",
        )


@rule("FT248", "template-of-model", on=BOTH)
def template_of_model(args: TrainerArguments) -> Findings:
    """The template is the one the model was trained with.

    Why: another one trains other marks and another system prompt into the model: `qwen` adds Qwen2.5's system
    prompt to a Qwen3 model.  Pairs are those of extras/constants.py.  A reasoning template with data that
    show no reasoning trains empty thoughts.
    Example: `template: qwen` with Qwen3-0.6B.
    Instead: `template: qwen3`.
    """
    name, own = args["template"], args.facts.template
    if name not in args.surface.templates:
        return
    if own in args.surface.templates and _family(name) != _family(own):
        yield args.finding("template", f"template {name} is not the model's: that is {own}", f"set template: {own}")
    elif own in args.surface.templates and name != own:
        headline = f"template {name} is a variant of the model's own, {own}"
        yield args.finding("template", headline, f"set template: {own}", Severity.WARNING)
    reasons = "reasoning" in args.surface.templates[name] and args["enable_thinking"]
    if reasons and args.facts.reasoning is False and args["stage"] == "sft" and args["do_train"]:
        headline = f"template {name} would train empty thoughts: the data show no reasoning"
        yield args.finding("enable_thinking", headline, "set enable_thinking: false", Severity.WARNING)


def _family(template: str | None) -> str:
    return re.sub(r"_nothink$", "", template or "")


@rule("FT249", "dataset-for-stage", on=TRAINING)
def dataset_for_stage(args: TrainerArguments) -> Findings:
    """Preference stages need ranked answers, the others must not have them.

    Why: `_get_merged_dataset` (data/loader.py): reward modelling and DPO read pairs, so `ranking: true` in
    dataset_info.json, and every other stage refuses such a set.
    Example: `stage: dpo` with a plain question and answer set.
    Instead: `dataset=preference-pairs`.
    """
    stage, ranking = args["stage"], args.facts.ranking
    pairs = stage in {"rm", "dpo"}
    if ranking is not None and pairs != ranking:
        problem = "needs ranked answers (ranking: true)" if pairs else "cannot read ranked answers"
        yield args.finding("stage", f"stage {stage} {problem}", "choose another data set: dataset=<option>")
    elif args.facts.stages and stage not in args.facts.stages:
        stages = ", ".join(sorted(args.facts.stages))
        yield args.finding(
            "stage",
            f"the data set is made for {stages}, not for stage {stage}",
            f"set stage: {stages.split(', ')[0]}",
        )


@rule("FT200", "secrets", on=BOTH)
def secrets(args: TrainerArguments) -> Findings:
    """A manifest never holds a credential.

    Why: the arguments are written into the manifest, which goes to git.
    Example: `hub_token: hf_…`.
    Instead: a Secret, by `hardware.env.HF_TOKEN={secret: NAME, key: KEY}`.
    """
    for name in args.given:
        argument = args.surface.arguments.get(name)
        if argument is not None and argument.secret and args.given[name]:
            help_ = "keep it in a Secret: 'hardware.env.NAME={secret: NAME, key: KEY}' sets a variable from it"
            yield args.finding(name, f"{name} is a credential, and manifests go to git", help_)


@rule("FT291", "unsloth", on=TRAINING)
def unsloth(args: TrainerArguments) -> Findings:
    """Unsloth trains LoRA on one card of NVIDIA's or AMD's, on whole weights or 4 bits.

    Why: LLaMA-Factory hands over to it (model/model_utils/unsloth.py) and asks for 4 bits or none, so that other
    widths train the whole model in silence; it refuses OFT and several adapters (model/adapter.py).  Unsloth raises on
    other devices.  Its open-source releases up to 2025 train on one card: on several they raise ("Unsloth currently
    does not support multi GPU setups", LLaMA-Factory's issue 5635), or every process trains by itself (Unsloth's
    issue 2425); LLaMA-Factory's maintainers advise Liger there (issue 6940).
    Example: `use_unsloth: true` with `hardware.devices=4`.
    Instead: `hardware.devices=1`, or `enable_liger_kernel: true`.
    """
    if not args["use_unsloth"]:
        return
    remedy = "set use_unsloth: false"
    if args.facts.vendor == "cpu":
        yield args.finding("use_unsloth", "Unsloth needs a card", remedy)
    elif args.facts.vendor not in {"nvidia", "amd", "ascend"}:
        headline = f"Unsloth knows cards of NVIDIA and AMD, not of {args.facts.vendor}"
        yield args.finding("use_unsloth", headline, remedy, Severity.WARNING)
    if args["finetuning_type"] == "oft":
        yield args.finding("use_unsloth", "Unsloth has no OFT", "set finetuning_type: lora")
    if args["adapter_name_or_path"] is not None and len(args.names("adapter_name_or_path")) > 1:
        yield args.finding("use_unsloth", "Unsloth loads one adapter", "merge the others first")
    if args["quantization_bit"] is not None and (args["quantization_method"], args["quantization_bit"]) != ("bnb", 4):
        headline = (
            f"Unsloth loads 4 bits of bnb or none; the model would train whole, not at {args['quantization_bit']} bits"
        )
        yield args.finding(
            "quantization_bit", headline, f"{remedy}, or quantization_method: bnb and quantization_bit: 4"
        )
    if args.facts.processes > 1:
        headline = f"open-source Unsloth trains on one card, and the job has {args.facts.processes}"
        help_ = f"{remedy} (enable_liger_kernel: true runs on several), or hardware.nodes=1 hardware.devices=1"
        yield args.finding("use_unsloth", headline, help_, Severity.WARNING)


@rule("FT292", "experts-under-zero3", on=TRAINING)
def experts_under_zero3(args: TrainerArguments) -> Findings:
    """ZeRO-3 is far too slow for a mixture of experts, or stands still.

    Why: it gathers every parameter when its module runs, and each token takes other experts: LLaMA-Factory has to mark
    the experts' blocks as leaves (`add_z3_leaf_module`, model/model_utils/moe.py), after which every step gathers all
    experts of every layer for a few tokens each.  Steps of minutes and runs that hang are reported for Qwen3-30B-A3B
    (LLaMA-Factory's issues 7921 and 8038, ms-swift's 5400, DeepSpeed's 7461).  FSDP gathers a layer at once, and is
    what LLaMA-Factory's own examples of such models use (examples/ascend/qwen3moe_full_sft_fsdp.yaml);
    `trainer.parallel=auto` takes it.
    Example: `model=qwen3-30b-a3b trainer.parallel=z3`.
    Instead: `trainer.parallel=fsdp`, or `ddp` where each card holds the model.
    """
    if args.zero3 and args.facts.experts:
        headline = f"ZeRO-3 gathers all {args.facts.experts} experts of every layer in every step: far too slow"
        frozen_head = args["stage"] == "rm" and args["finetuning_type"] != "full"
        better = "ddp, where each card holds the model" if frozen_head or args.facts.vendor == "cpu" else "fsdp"
        yield args.finding("deepspeed", headline, f"write trainer.parallel={better}", Severity.WARNING)


@rule("FT298", "rows-beyond-the-context", on=TRAINING)
def rows_beyond_the_context(args: TrainerArguments) -> Findings:
    """Rows are no longer than what the model was made for, or its positions are stretched, in the result too.

    Why: its positions end there (`max_position_embeddings`); LLaMA-Factory takes longer rows without a word, and
    stretches the positions with `rope_scaling` alone (model/model_utils/rope.py).  Adapters say nothing of it, and a
    merge stretches by two, whatever the training did: what serves the result would read other positions.
    Example: `cutoff_len: 100000` for a model of 40960 tokens.
    Instead: a shorter `trainer.cutoff_len`, or `rope_scaling: yarn` and rows of at most twice the model's length.
    """
    context = args.facts.context
    if not context or args["cutoff_len"] <= context:
        return
    if args["rope_scaling"] is None:
        headline = f"rows of {args['cutoff_len']} tokens are longer than the {context} that the model was made for"
        yield args.finding(
            "cutoff_len", headline, f"write trainer.cutoff_len={context}, or rope_scaling: yarn", Severity.WARNING
        )
    elif args["finetuning_type"] in {"lora", "oft"} and args["do_train"]:
        yield from _stretched_in_the_result(args, context)


def _stretched_in_the_result(args: TrainerArguments, context: int) -> Findings:
    factor = ceil(args["cutoff_len"] / context)
    if args.facts.merged is None:
        headline = "the adapter does not say that its training stretched the positions: what serves it must do so too"
        yield args.finding("rope_scaling", headline, "write trainer.merge=true", Severity.WARNING)
    elif factor != MERGED_FACTOR:
        headline = f"the training stretches the positions by {factor}, and the merged model says {MERGED_FACTOR}"
        help_ = f"write trainer.cutoff_len={MERGED_FACTOR * context}, or trainer=sft-full"
        yield args.finding("rope_scaling", headline, help_, Severity.WARNING)


@rule("FT299", "adapter-targets", on=BOTH)
def adapter_targets(args: TrainerArguments) -> Findings:
    """Adapters are put on layers that the model has, and freeze tuning on whole parts of its blocks.

    Why: PEFT raises where no name of `lora_target` or `oft_target` is found, and passes over the ones that are not
    found beside others (`BaseTuner.inject_adapter`, peft/tuners/tuners_utils.py): less is trained than was asked for.
    `freeze_trainable_modules` names what a block is made of, and LLaMA-Factory raises for a layer within
    (`_setup_freeze_tuning`, model/adapter.py).
    Example: `lora_target: q_prj`.
    Instead: `lora_target: q_proj`, or `all`.
    """
    if args["finetuning_type"] == "freeze":
        yield from _layers_within(args)
    argument = TARGETS.get(args["finetuning_type"], "")
    targets = args.names(argument) if argument else ()
    if not args.facts.modules or targets in {(), ("all",)}:
        return
    layers = args.facts.modules.union(EMBEDDINGS)
    missing = [name for name in targets if name.rsplit(".", 1)[-1] not in layers]
    if missing:
        near = difflib.get_close_matches(missing[0], sorted(layers), n=1)
        help_ = f"did you mean {near[0]}?" if near else f"choose among all, {', '.join(sorted(args.facts.modules))}"
        severity = Severity.ERROR if len(missing) == len(targets) else Severity.WARNING
        yield args.finding(argument, f"the model has no layer {', '.join(missing)}", help_, severity)


def _layers_within(args: TrainerArguments) -> Findings:
    inner = [name for name in args.names("freeze_trainable_modules") if name in args.facts.modules]
    if inner:
        headline = f"{', '.join(inner)} is a layer within a part of a block, and freeze tuning takes whole parts"
        yield args.finding("freeze_trainable_modules", headline, "name self_attn or mlp, or leave it out")


@rule("FT226", "tied-embeddings", on=TRAINING)
def tied_embeddings(args: TrainerArguments) -> Findings:
    """One matrix that embeds tokens and predicts them is trained, and saved, as two.

    Why: PEFT trains copies of the layers in `additional_target` and puts adapters on those in `lora_target`.  The merge
    writes both uses of the matrix; where only one of them was trained, or an adapter was merged into what they share,
    nobody trained what the result is.  Both together are trained apart, and train.sh says so in the result's
    config.json (`tie_word_embeddings`).  A reward model that is trained whole is saved by its tensors, of which
    safetensors refuses two that share memory.
    Example: `additional_target: embed_tokens` for Qwen3-0.6B.
    Instead: `additional_target: embed_tokens,lm_head`; for a reward model `save_safetensors: false`.
    """
    if not args.facts.tied or not args["do_train"]:
        return
    method = args["finetuning_type"]
    if args["stage"] == "rm" and method in {"full", "freeze"} and args["save_safetensors"]:
        headline = "the reward model cannot be saved: two of its tensors are one, which safetensors refuses"
        yield args.finding("save_safetensors", headline, "set save_safetensors: false")
    argument = TARGETS.get(method, "")
    if not argument or args.facts.merged is None:
        return
    both = joined(EMBEDDINGS)
    if adapted := _embeddings(args, argument):
        headline = f"the merge puts the adapter of {' and '.join(adapted)} into the matrix that is both embeddings"
        yield args.finding(argument, headline, f"leave it out, and set additional_target: {both}")
    elif len(trained := _embeddings(args, "additional_target")) == 1:
        headline = f"{trained[0]} is trained apart from the matrix that it shares, and the merged model ties them again"
        yield args.finding("additional_target", headline, f"set additional_target: {both}, or train neither")


def _embeddings(args: TrainerArguments, argument: str) -> list[str]:
    """Return the embeddings that an argument names, sorted."""
    return sorted({name.rsplit(".", 1)[-1] for name in args.names(argument)}.intersection(EMBEDDINGS))
