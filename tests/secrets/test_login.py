"""The login of the git host, and the hosts that it is offered to."""

import pytest

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(Request(config_path=runtime.conf_dir()))


def warned(composer: Composer, *words: str) -> list[str]:
    job = pipeline.compile_job(composer, ["cluster.git.url=https://git.example.com/", *words])
    return [d.subject for d in job.diagnostics if d.code == "FT043"]


@pytest.mark.parametrize("key", ["model.url", "dataset.url", "model.output_url"])
@pytest.mark.parametrize("place", ["https://hub.example.org", "https://git.example.com:8443", "http://[::1]"])
def test_another_host_is_named(composer: Composer, key: str, place: str) -> None:
    assert warned(composer, f"{key}='{place}/mine'") == [key]


@pytest.mark.parametrize(
    "url",
    ["https://git.example.com/a", "https://GIT.example.com:443/a", "git@hub.example.org:a/b", "/mnt/repositories/a"],
)
def test_the_git_host_and_what_takes_no_such_login_are_not(composer: Composer, url: str) -> None:
    assert warned(composer, f"dataset.url='{url}'") == []
