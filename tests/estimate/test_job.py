"""A specification as a training: what of its arguments decides the estimate."""

from __future__ import annotations

import pytest

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected


@pytest.mark.parametrize(
    "word", ["resize_vocab=true", "add_tokens=abc", "add_special_tokens=abc", "new_special_tokens_config=/mnt/models/t"]
)
def test_a_new_vocabulary_trains_both_embeddings(described, word):
    assert described(f"trainer.args.{word}").additional_target == "embed_tokens,lm_head"


def test_a_loss_that_compares_loads_a_reference_model(described):
    words = ["trainer=sft-full", "trainer.args.val_size=0", "trainer.args.eval_strategy=no"]
    compared, plain = (described(*words, *more) for more in (["trainer.args.use_asft_loss=true"], []))
    assert (compared.uses_reference, plain.uses_reference) == (True, False)


def test_the_help_for_a_share_beyond_any_card_ends_the_error() -> None:
    words = ["trainer.cutoff_len=60000", "trainer.args.rope_scaling=yarn"]
    composer = Composer(Request(config_path=runtime.conf_dir()))
    with pytest.raises(Rejected) as refused:
        pipeline.compile_job(composer, words)
    [found] = [d for d in refused.value.diagnostics if d.code == "FT285"]
    cured = pipeline.compile_job(composer, [*words, *found.help.removeprefix("write ").split()])
    assert "FT285" not in {d.code for d in cured.diagnostics}
