"""Bases that come quantized: their memory, their files, and what is advised for them."""

from __future__ import annotations

import pytest

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected
from ftgen.emulation.estimate import Shape, Training, estimate, smallest_change

AS_IT_COMES = "trainer.merge=false"
GIB = 2**30


@pytest.fixture(scope="module")
def compiled():
    composer = Composer(Request(config_path=runtime.conf_dir()))
    return lambda *words: pipeline.compile_job(composer, [AS_IT_COMES, *words])


def weights(training):
    return next(term.gib for term in estimate(training).terms if term.name == "weights")


@pytest.mark.parametrize(
    ("kind", "bits", "method"),
    [
        ("gptq", 4, "qlora"),
        ("awq", 4, "qlora"),
        ("bnb", 4, "qlora"),
        ("aqlm", 2, "qlora"),
        ("quanto", 8, "qlora"),
        ("mxfp4", None, "lora"),
        ("null", None, "lora"),
    ],
)
def test_a_base_trains_in_the_bits_that_its_loader_keeps(described, kind, bits, method):
    training = described("model=qwen3-8b", f"model.quantization={kind}", AS_IT_COMES)
    assert (training.quantization_bit, training.method) == (bits, method)
    assert training.quantizable is (kind == "null")


def test_a_quantized_base_weighs_what_qlora_does(described):
    """Embeddings and output projection in half precision, as where the base is quantized while it is loaded."""
    comes = described("model=qwen2.5-7b", "model.quantization=gptq", AS_IT_COMES)
    becomes = described("model=qwen2.5-7b", "trainer=sft-qlora", AS_IT_COMES)
    assert weights(comes) == weights(becomes) < weights(described("model=qwen2.5-7b", AS_IT_COMES)) / 2.5


def test_what_a_base_comes_as_wins_over_quantization_bit(described):
    for kind in ("gptq", "mxfp4"):
        base = ("model=qwen3-8b", f"model.quantization={kind}", AS_IT_COMES)
        assert described(*base, "trainer.args.quantization_bit=8") == described(*base)


@pytest.mark.parametrize("kind", ["gptq", "mxfp4", "fp8"])
@pytest.mark.parametrize("model", ["qwen2.5-72b", "qwen3-32b", "qwen3-8b"])
def test_the_help_does_not_quantize_again(compiled, model, kind):
    words = ["hardware=full-gpu", "hardware.memory=24Gi", f"model={model}", f"model.quantization={kind}"]
    try:
        found = compiled(*words, "trainer.cutoff_len=32768").diagnostics
    except Rejected as refused:
        found = refused.diagnostics
    [short] = [diagnostic for diagnostic in found if diagnostic.code == "FT280"]
    assert short.help
    assert "quantization_bit" not in short.help


def test_a_whole_base_is_still_quantized(models):
    one = {"shape": Shape.of(models["qwen3-14b"]["shape"]), "batch": 1, "cutoff_len": 1024}
    assert smallest_change(Training(**one), 24).edits == (("quantization_bit", 4),)
    assert "quantization_bit" not in dict(smallest_change(Training(**one, quantizable=False), 24).edits)


def needs(compiled, *words):
    """Return the GB that the script wants to be free for the model's files."""
    job = next(each for each in compiled(*words).bundle.objects if each["kind"] == "Job")
    [container] = job["spec"]["tasks"][0]["template"]["spec"]["initContainers"]
    found = next(each["value"] for each in container["env"] if each["name"] == "MODEL_NEEDS_MIB")
    return int(found) * 2**20 / 1.1 / 1e9


# GB of the weights in the repositories of Qwen2.5-32B-Instruct: as it is, -GPTQ-Int4, and by their number at 8 bits.
@pytest.mark.parametrize(("kind", "gigabytes"), [("null", 65.5), ("gptq", 19.4), ("eetq", 34.3)])
def test_files_of_a_quantized_base_are_small(compiled, kind, gigabytes):
    card = ("hardware=full-gpu", "hardware.devices=8", "trainer.merge=false")
    words = ("model=qwen2.5-32b", f"model.quantization={kind}", *card)
    assert needs(compiled, *words) == pytest.approx(gigabytes, rel=0.03)


def test_files_of_an_unknown_shape_are_quantized_as_a_whole(compiled):
    words = ("model=qwen2.5-32b", "model.quantization=gptq", "model.shape=null", "trainer.merge=false")
    assert needs(compiled, *words) == pytest.approx(16.9, rel=0.01)


@pytest.mark.parametrize(("words", "bytes_each"), [((), 2), (("model.dtype=float32",), 4)])
def test_the_claim_of_the_models_holds_the_files_twice(described, words, bytes_each):
    training = described("model=qwen3-8b", *words)
    assert estimate(training).models_gib == pytest.approx(2 * bytes_each * training.parameters / GIB)


def test_the_claim_of_the_models_holds_quantized_files(described):
    whole, quantized = (
        estimate(described("model=qwen3-8b", f"model.quantization={kind}", AS_IT_COMES)) for kind in ("null", "mxfp4")
    )
    assert quantized.models_gib < whole.models_gib / 2
    assert quantized.device_gib == whole.device_gib
