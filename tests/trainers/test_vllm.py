import json
import tarfile

import pytest
import yaml
from tools import derive_vllm

from ftgen.trainers.surface import WrongType, cast
from ftgen.trainers.vllm import configuration, surface, versions

RELEASE = "0.23.0"
ARGUMENTS = surface(RELEASE).arguments


def test_the_committed_files_are_those_that_were_derived():
    assert derive_vllm.SURFACES.tampered() == []


def test_the_release_has_one_for_ascend():
    assert versions() == (RELEASE,)
    assert surface(RELEASE).ascend == RELEASE


def test_an_unknown_release_is_a_key_error():
    with pytest.raises(KeyError):
        surface("0.0.1")


def test_every_default_passes_its_own_type_check():
    lists = {"middleware"}  # given once a word, kept as a list
    for argument in ARGUMENTS.values():
        if argument.default_known and argument.name not in lists:
            assert cast(argument, argument.default) == argument.default, argument.name


def test_every_default_is_among_the_choices_and_within_bounds():
    for argument in ARGUMENTS.values():
        if argument.choices and argument.default is not None:
            assert argument.default in argument.choices, argument.name
        if argument.bounds and argument.default is not None:
            assert all(bound.holds(argument.default) for bound in argument.bounds), argument.name


@pytest.mark.parametrize(
    ("name", "types", "default"),
    [
        ("max_model_len", {"int", "null"}, None),
        ("gpu_memory_utilization", {"float"}, 0.92),
        ("tensor_parallel_size", {"int"}, 1),
        ("port", {"int"}, 8000),
        ("shutdown_timeout", {"int"}, 0),
        ("enforce_eager", {"bool"}, False),
        ("served_model_name", {"list", "str", "null"}, None),
        ("hf_overrides", {"dict"}, {}),
        ("limit_mm_per_prompt", {"dict"}, {}),
        ("default_chat_template_kwargs", {"dict", "null"}, None),
        ("lora_modules", {"list", "str", "null"}, None),
        ("speculative_config", {"dict", "null"}, None),
        ("enable_log_requests", {"bool"}, False),
    ],
)
def test_what_is_known_of_an_argument(name, types, default):
    assert (ARGUMENTS[name].types, ARGUMENTS[name].default) == (types, default)


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("max_lora_rank", (1, 8, 16, 32, 64, 128, 256, 320, 512)),
        ("dtype", ("auto", "half", "float16", "bfloat16", "float", "float32")),
        ("runner", ("auto", "generate", "pooling", "draft")),  # a Literal of a Literal
        ("optimization_level", (0, 1, 2, 3)),  # an enumeration of numbers
        ("tokenizer_mode", ()),  # other texts are allowed beside the Literal
    ],
)
def test_choices_come_from_literals_and_enumerations(name, choices):
    assert ARGUMENTS[name].choices == choices


def test_a_default_that_only_a_running_server_could_say_is_unknown():
    assert not ARGUMENTS["compilation_config"].default_known
    assert not ARGUMENTS["log_error_stack"].default_known


def test_numbers_may_carry_the_suffixes_that_the_release_reads():
    for text in ("8192", "8k", "25.6k", "8K"):
        assert cast(ARGUMENTS["max_num_batched_tokens"], text) in {8192, text}
    for text in ("2.5K", "8q", "auto"):
        with pytest.raises(WrongType):
            cast(ARGUMENTS["max_num_batched_tokens"], text)
    assert cast(ARGUMENTS["max_model_len"], "auto") == "auto"


def test_parsers_are_known_by_name():
    registered = surface(RELEASE).registered
    assert "hermes" in registered["tool_call_parser"].names
    assert "qwen3" in registered["reasoning_parser"].names
    assert registered["tool_call_parser"].plugin == "tool_parser_plugin"


def test_the_configuration_says_what_its_file_can_say():
    args = {
        "max_num_seqs": "16",
        "enable_prefix_caching": False,
        "enforce_eager": True,
        "disable_log_stats": False,
        "max_cpu_loras": None,
        "allowed_origins": ["https://a.example"],
        "allowed_media_domains": ["a.example"],
        "hf_overrides": {"rope": {"factor": 2.0}},
    }
    assert configuration(args, surface(RELEASE)) == {
        "max_num_seqs": 16,
        "no_enable_prefix_caching": True,
        "enforce_eager": True,
        "allowed_origins": '["https://a.example"]',
        "allowed_media_domains": ["a.example"],
        "hf_overrides": {"rope": {"factor": 2.0}},
    }
    assert yaml.safe_load(json.dumps(configuration(args, surface(RELEASE)))) == configuration(args, surface(RELEASE))


# ---------------------------------------------------------------- what is derived from a release of one's own

CLI_ARGS = """
@config
class BaseFrontendArgs:
    template: str | None = None

    @classmethod
    def _customize_cli_kwargs(cls, frontend_kwargs):
        return frontend_kwargs

@config
class FrontendArgs(BaseFrontendArgs):
    hosts: list[str] = field(default_factory=lambda: ["*"])
    plug: list[str] = field(default_factory=lambda: [])

    @classmethod
    def _customize_cli_kwargs(cls, frontend_kwargs):
        frontend_kwargs["hosts"]["type"] = json.loads
        del frontend_kwargs["hosts"]["nargs"]
        frontend_kwargs["plug"]["action"] = "append"
        return frontend_kwargs

def make_arg_parser(parser):
    parser.add_argument("model_tag", type=str, nargs="?")
    parser.add_argument("--alone", action="store_true", default=False)
    return parser
"""
ARG_UTILS = """
def _compute_kwargs(cls):
    for name in ():
        if name == "length":
            kwargs[name]["type"] = human_readable_int_or_auto
        elif name in ("tokens", "bytes"):
            kwargs[name]["type"] = human_readable_int

class EngineArgs:
    @staticmethod
    def add_cli_args(parser):
        kwargs = get_kwargs(SchedulerConfig)
        group.add_argument("--length", "-l", **kwargs["length"])
        group.add_argument("--tokens", **{**kwargs["tokens"], "default": None})
        group.add_argument("--policy-name", **kwargs["policy"])
        if parser:
            group.add_argument("--level", type=int, choices=[1, 2])
        return parser

class AsyncEngineArgs(EngineArgs):
    @staticmethod
    def add_cli_args(parser):
        parser.add_argument("--log", action=argparse.BooleanOptionalAction, default=AsyncEngineArgs.log)
        return parser
"""
SCHEDULER = """
Policy = Literal["fcfs", "priority"]

@config
class SchedulerConfig:
    length: int = Field(default=None, ge=-1)
    tokens: int = Field(default=2048, ge=1)
    policy: Policy = "fcfs"
    hidden: InitVar[int] = 1
"""


def test_a_release_is_read_from_its_syntax():
    derived = derive_vllm.arguments(
        {
            "vllm/config/scheduler.py": SCHEDULER,
            "vllm/engine/arg_utils.py": ARG_UTILS,
            "vllm/entrypoints/openai/cli_args.py": CLI_ARGS,
        }
    )
    suffixed = derive_vllm.SUFFIXED
    assert derived == {
        "template": {"type": ["null", "str"], "group": "serve", "default": None},
        "hosts": {"type": ["list"], "group": "serve", "default": ["*"], "json": True},
        "plug": {"type": ["str"], "group": "serve", "default": []},
        "alone": {"type": ["bool"], "group": "serve", "default": False, "bare": True},
        "length": {
            "type": ["int", "null"],
            "group": "SchedulerConfig",
            "default": None,
            "minimum": -1,
            "pattern": derive_vllm.READERS["human_readable_int_or_auto"],
        },
        "tokens": {
            "type": ["int", "null"],
            "group": "SchedulerConfig",
            "default": None,
            "minimum": 1,
            "pattern": suffixed,
        },
        "policy_name": {
            "type": ["str"],
            "group": "SchedulerConfig",
            "default": "fcfs",
            "choices": ["fcfs", "priority"],
        },
        "level": {"type": ["int", "null"], "group": "serve", "default": None, "choices": [1, 2]},
        "log": {"type": ["bool"], "group": "serve", "default": False},
    }


def test_an_archive_with_another_digest_is_refused(tmp_path):
    with tarfile.open(tmp_path / f"vllm-{RELEASE}.tar.gz", "w:gz"):
        pass
    with pytest.raises(SystemExit, match="is not the pinned"):
        derive_vllm.sdist(tmp_path, "vllm", RELEASE)
