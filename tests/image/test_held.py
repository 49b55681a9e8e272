"""What an image holds: as the configuration says, or as the name of a published image tells."""

import pytest

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected, Severity
from ftgen.trainers import image

IMAGE = "hardware.image=hiyouga/llamafactory:0.9.5"
ERROR, WARNING = Severity.ERROR, Severity.WARNING


@pytest.fixture(scope="module")
def told():
    composer = Composer(Request(config_path=runtime.conf_dir()))

    def found(*words):
        try:
            diagnostics = pipeline.compile_job(composer, ["hardware=full-gpu", *words]).diagnostics
        except Rejected as refused:
            diagnostics = refused.diagnostics
        assert not {d.code for d in diagnostics if d.code < "FT200"}
        return {(d.code, d.severity) for d in diagnostics}

    return found


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("hiyouga/llamafactory:0.9.4", image.UpstreamImage("0.9.4", "nvidia")),
        ("hiyouga/llamafactory", image.UpstreamImage("", "nvidia")),
        ("mirror.example.com:5000/hub/hiyouga/llamafactory:0.9.5@sha256:0a", image.UpstreamImage("0.9.5", "nvidia")),
        ("docker.io/hiyouga/llamafactory:latest-npu-a2", image.UpstreamImage("", "ascend")),
        ("quay.io/ascend/llamafactory:0.9.5-npu-a3", image.UpstreamImage("0.9.5", "ascend")),
        ("hiyouga/llamafactory:latest-910b-ubuntu", image.UpstreamImage("", "ascend")),
        ("example.com/hiyouga/llamafactory-plus:1", None),
        ("example.com/team/llamafactory:0.9.5", None),
    ],
)
def test_published_images_are_known_by_their_names(name, wanted):
    assert image.upstream_image(name) == wanted


def test_a_published_image_lacks_git_lfs_and_mlflow(told):
    assert told(IMAGE) == {("FT253", ERROR), ("FT246", ERROR)}
    assert told(IMAGE, "tracking=none", "trainer=sft-qlora") == {("FT253", ERROR), ("FT246", ERROR)}


def test_where_nothing_is_fetched_and_nothing_tracked_a_published_image_does(told):
    alone = ("model.url=null", "dataset.url=null", "model.output_url=null", "storage=nfs", "storage.workspace.claim=w")
    assert told(IMAGE, "tracking=none", *alone) == set()


def test_what_is_stated_counts_and_what_the_trainer_requires_is_there(told):
    assert told(IMAGE, "hardware.packages=[git-lfs,MLflow]") == set()
    assert told("hardware.packages=[git-lfs]") == {("FT246", ERROR)}
    assert told("hardware.packages=[git_lfs,mlflow]", "trainer.args.plot_loss=true") == set()


def test_an_unknown_image_is_not_guessed(told):
    assert told("hardware.image=example.com/team/runtime:1", "trainer=sft-qlora") == set()


@pytest.mark.parametrize(
    ("words", "severity"),
    [
        (("hardware=ascend", IMAGE), ERROR),
        ((f"{IMAGE}-npu-a2",), ERROR),
        ((IMAGE, "trainer.version=0.9.4"), WARNING),
        (("hardware=ascend", f"{IMAGE}-npu-a2"), None),
        (("hardware=cpu", IMAGE), None),
    ],
)
def test_an_image_is_for_its_cards_and_its_release(told, words, severity):
    assert {s for code, s in told("tracking=none", *words) if code == "FT294"} == ({severity} if severity else set())
