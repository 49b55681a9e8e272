import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftgen.trainers.vllm import surface
from ftgen.validation.rules.serving_arguments import OWNED, check_serving_arguments

RELEASE = "0.23.0"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def problems(**args):
    return check_serving_arguments(args, RELEASE)


@pytest.mark.parametrize(
    "args",
    [
        {"max_num_seqs": 16, "enforce_eager": True, "kv_cache_dtype": "fp8"},
        {"max_num_batched_tokens": "8k"},
        {"hf_overrides": {"rope_scaling": {"factor": 2.0}}},
        {"enable_auto_tool_choice": True, "tool_call_parser": "hermes"},
        {"tool_call_parser": "mine", "tool_parser_plugin": "/opt/parser.py"},
        {"allowed_origins": ["https://a.example"], "cudagraph_capture_sizes": [1, 2, 4]},
        {"pipeline_parallel_size": 1, "max_cpu_loras": None},
    ],
)
def test_what_vllm_takes_passes(args):
    assert check_serving_arguments(args, RELEASE) == []


@pytest.mark.parametrize(
    ("name", "value", "code", "headline", "help_"),
    [
        ("max_num_seq", 1, "FT201", "vLLM 0.23.0 has no argument max_num_seq", "did you mean max_num_seqs?"),
        ("max-num-seqs", 1, "FT201", "vLLM 0.23.0 has no argument max-num-seqs", "did you mean max_num_seqs?"),
        (
            "no_enable_prefix_caching",
            True,
            "FT201",
            "vLLM 0.23.0 has no argument no_enable_prefix_caching",
            "write enable_prefix_caching: false",
        ),
        ("max_model_len", 8192, "FT201", "ftgen sets max_model_len itself", "set serving.context"),
        (
            "max_num_seqs",
            "many",
            "FT202",
            "max_num_seqs is a whole number, not 'many'",
            "leave it out for the default, None",
        ),
        (
            "enforce_eager",
            "yes",
            "FT202",
            "enforce_eager is true or false, not 'yes'",
            "write true, without quotes",
        ),
        (
            "compilation_config",
            "3",
            "FT202",
            "compilation_config is a mapping, not '3'",
            "leave it out",
        ),
        (
            "cudagraph_capture_sizes",
            [1, "a"],
            "FT202",
            "an item of cudagraph_capture_sizes is a whole number, not 'a'",
            "write a whole number for each item",
        ),
        ("kv_cache_dtype", "fp9", "FT203", "kv_cache_dtype has no choice 'fp9'", "did you mean fp8?"),
        ("max_num_seqs", 0, "FT203", "max_num_seqs is at least 1, not 0", "write a number at least 1"),
        ("tool_call_parser", "hermess", "FT203", "tool_call_parser has no choice 'hermess'", "did you mean hermes?"),
        (
            "enable_auto_tool_choice",
            True,
            "FT203",
            "enable_auto_tool_choice needs tool_call_parser",
            "set serving.args.tool_call_parser",
        ),
        (
            "pipeline_parallel_size",
            2,
            "FT203",
            "pipeline_parallel_size multiplies the cards, which tensor parallelism already takes all",
            "leave pipeline_parallel_size out: set hardware.devices",
        ),
    ],
)
def test_what_vllm_refuses_is_refused_with_its_cure(name, value, code, headline, help_):
    [found] = check_serving_arguments({name: value}, RELEASE)
    assert (found.code, found.subject, found.headline, found.help) == (code, f"serving.args.{name}", headline, help_)


def test_a_credential_is_never_shown():
    [found] = problems(hf_token="hf_abcdefghijklmnop")
    assert "hf_abc" not in f"{found.headline}{found.value}{found.help}"


def test_every_argument_that_ftgen_sets_is_one_of_the_release():
    assert OWNED.keys() <= surface(RELEASE).arguments.keys()


def test_an_unknown_release_is_a_key_error():
    with pytest.raises(KeyError):
        check_serving_arguments({}, "0.0.1")


@given(st.dictionaries(st.sampled_from(sorted(surface(RELEASE).arguments)) | st.text(max_size=6), JSON, max_size=4))
def test_any_value_is_judged(args):
    for found in check_serving_arguments(args, RELEASE):
        assert found.code in {"FT201", "FT202", "FT203"}
        assert found.subject.removeprefix("serving.args.") in args
