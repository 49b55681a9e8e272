"""Load data sets by LLaMA-Factory's own loader: one JSON object a line in, what became of the rows a line out.

Run by a Python that has llamafactory installed.  The tokenizer has a token for each byte, so that the rows can be read
back; its folder is written, too, for those who count tokens.
"""

import contextlib
import importlib.machinery
import importlib.metadata
import json
import logging
import os
import re
import sys
import tempfile
import types
from pathlib import Path

os.environ.update(
    HF_HUB_OFFLINE="1", LLAMAFACTORY_VERBOSITY="ERROR", DISABLE_VERSION_CHECK="1", CUDA_VISIBLE_DEVICES=""
)
# Sound is not loaded, and the library for it wants exactly the torch that it was built with.
sys.modules["torchaudio"] = types.ModuleType("torchaudio")
sys.modules["torchaudio"].__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)

MARK = re.compile(r"row(\d+)x")


def tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    model = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=model, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def load(folder: str, stage: str, arguments: dict, cache: str) -> dict:
    """The rows that are left, by their marks, or how the loading ends."""
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.data.loader import get_dataset
    from llamafactory.hparams import DataArguments, ModelArguments
    from transformers import Seq2SeqTrainingArguments

    words = tokenizer()
    data = DataArguments(
        **{"cutoff_len": 1 << 20, "dataset": "d", **arguments}, dataset_dir=folder, overwrite_cache=True
    )
    training = Seq2SeqTrainingArguments(output_dir=f"{cache}/out", report_to="none", use_cpu=True)
    model = ModelArguments(model_name_or_path="none", cache_dir=cache)
    try:
        template = get_template_and_fix_tokenizer(words, data)
        loaded = get_dataset(template, model, data, training, stage="rm" if stage == "dpo" else stage, tokenizer=words)
    except Exception as error:  # noqa: BLE001 - every way to end counts
        return {"failed": f"{type(error).__name__}: {error}"[:300]}
    parts = [loaded[name] for name in ("train_dataset", "eval_dataset") if loaded.get(name) is not None]
    ids = [row.get("input_ids") or row.get("chosen_input_ids") for part in parts for row in part]
    marks = [[int(mark) for mark in MARK.findall(words.decode(each))] for each in ids]
    rows = [found[0] if found else None for found in marks]
    return {"rows": rows, "lengths": list(map(len, ids)), "marks": [mark for found in marks for mark in found]}


def main() -> None:
    out = os.fdopen(os.dup(1), "w")
    logging.disable(logging.CRITICAL)
    with contextlib.redirect_stdout(sys.stderr):
        import datasets

        datasets.disable_progress_bars()
        out.write(json.dumps(importlib.metadata.version("llamafactory")) + "\n")
        for line in sys.stdin:
            case = json.loads(line)
            with tempfile.TemporaryDirectory() as cache:
                out.write(json.dumps(load(case["folder"], case["stage"], case["arguments"], cache)) + "\n")
            out.flush()


if __name__ == "__main__":
    if sys.argv[1:]:
        tokenizer().backend_tokenizer.save(str(Path(sys.argv[1])))
    else:
        main()
