"""The odd words, values and files that inputs are made of."""

from __future__ import annotations

import math
from typing import Any

from ftgen.cli.arguments import FORMS

# A row holds as many values as fit.
# fmt: off

_NESTED: Any = []
for _ in range(90):
    _NESTED = [_NESTED]

ODD: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e400, -math.inf, math.nan, 10**30, 2**63, 10**400, 1e-320, "", " ", "\n",
    "x" * 300, "a: b", "$(X)", "${X}", "${name}", "???", "\u2028", "\x7f", "\x00", "é", "a/b", "../a", "null", "1Gi",
    "1e3", "0x10", "1_000", "2020-01-01", "12:30:45", "=", "<<", "~", "*", "-", "9" * 5000, "٣", "²", "active",
    "archived", "stopping", "train", "Job", "Secret", "v1", "batch.volcano.sh/v1alpha1", "docker run x", [], {},
    [None], [[]], {"a": None}, {"": ""}, {"a": {"b": []}}, {"name": "a"}, [{"name": "a"}, {"name": "a"}],
    {"$patch": "delete"}, {"$patch": "replace"}, {"key": "a", "name": "b"}, ["a", "a"], [1, "1", True], _NESTED,
]

SCRAPS: list[Any] = [
    "\t", "\0", "\ufeff", "&a ", "*a ", "!!int ", "!!binary ", "!x ", "? ", "- ", ": ", "|", ">", "{", "[", "]", "}",
    '"', "'", "\n", "---\n", "...\n", "<<: ", "#", "%YAML 1.2\n", "\r", "\udcff", "\u2028", "\x85", "\\", ",", "=",
    "$", "${", "}", "null", "1e999", "[" * 60, "{a: " * 60, "x" * 2000, "1" * 4400, "@", "@package x\n", "\x1b[0m",
]

ATOMS: list[Any] = [
    "null", "true", "???", "''", '""', "1", "-1", "0", "1.5", "1e-4", "1e400", "nan", "inf", "-inf", "1_000", "0x1",
    "9" * 200, "-" + "9" * 200, "9223372036854775808", "1e308", "5e-324", "'1e999'", "'" + "9" * 100 + "Ei+'",
    "1Gi", "a b", "a:b", "a/b", "a.b", "a@b", "x" * 300, "9" * 4400, "\\,", "\\", "é", "'a'", '"a"', "a\\'b",
    "2020-01-01", "${name}", "${trainer}", "${", "${}", "${a.b}", "${.x}", "${..x}", "${${name}}", "${oc.env:HOME}",
    "${oc.env:X,1}", "${hydra:runtime.choices.model}", "${hydra:x}", "${hydra:}", "${oc.decode:1}",
    "${oc.select:name}", "${oc.create:{a:1}}", "${oc.dict.keys:trainer}", "${oc.deprecated:name}", "${x:1}",
    "${hydra:runtime}", "${hydra:job.name}", "${name}${name}",
]

FUNCTIONS: list[Any] = [
    "choice", "range", "glob", "sort", "shuffle", "tag", "interval", "extend_list", "int", "float", "str", "bool",
    "json_str", "x", "range", "glob",
]

SWEPT: list[Any] = [
    "trainer.lr=1e-4,2e-4", "model=qwen3-0.6b,qwen3-8b", "model=[0],[1]", "hardware=glob(a*)",
    "trainer.lr=range(1,3)", "+sweep=lora", "+sweep=lora,seeds", "+sweep=seeds", "trainer.epochs=choice(1,2)",
    "name=a,b", "seed=1,2", "name=a,'',", "hardware.nodes=range(1,10**12)", "trainer.lr=interval(0,1)",
    "trainer.lr=shuffle(range(0,3))", "hardware=[]", "trainer.lr=range(0,1e12)", "trainer.lr=range(0,inf)",
    "trainer.lr=range(0,1,0)", "trainer.lr=range(0,5,1e-9)", "trainer.args={a:1},{b:2}", "trainer=sft-lora,dpo-lora",
    "model=null,qwen3-8b", "trainer.lr=tag(a,choice(1,2))", "++hydra.sweeper.params.trainer.lr=[1,2]",
    "+hydra.sweeper.params={trainer.lr:'1,2'}", "sweep.axes={trainer.lr:[1,2]}",
    "sweep.zip=[[trainer.lr,trainer.epochs]]", "sweep.exclude=['trainer.lr==1']", "sweep.sample=1",
    "sweep.shuffle=1", "sweep.name=x", "sweep.max_parallel=1", "sweep.alias={trainer.lr:lr}",
    "sweep.optional=[trainer.lr]",
]

HOSTILE: list[Any] = [
    "loop", "loop/x", "nowhere", "pipe", "folder", "", " ", ".", "..", "/proc/self/fd", "-", "--", "/dev/null",
    "/dev/full", "/dev/zero", "a\0b", "x" * 300, "x/" * 3000, "\udcff", "a\nb", "empty", "file", "file/x", "huge",
    "../outside", "../outside/kept", "out", "/proc/self/mem", "/dev/stdin", "//etc", "~", "$HOME", "a:1",
    "file:99999999999999999999", "é", "link/x", "http://[", "::",
]

FLAGS: list[Any] = [
    ["-m"], ["--resolve"], ["--strict"], ["-q"], ["--json"], ["--all"], ["--fit"], ["--csv"], ["--adopt"],
    ["--overwrite"], ["-i"], ["--info=defaults"], ["--info=defaults-tree"], ["--info", "searchpath"],
    ["--cfg", "job"], ["--cfg=all"], ["--cfg=hydra"], ["-p", "name"], ["-p", "trainer"], ["-cn", "config"],
    ["-cn", "x"], ["--limit", "2"], ["--limit", "-1"],
    *(["--format", form] for form in (*FORMS, "markdown", "html")), ["--allow-shrink"], ["--new-run"], ["--help"],
    ["--version"], ["--hydra-help"], ["-sc"], ["--push"], ["-x"], ["--"], ["-"], ["--cluster", "alauda"],
    ["--cluster", "x"], ["--volcano-version", "newest"], ["--volcano-version", "1.x"],
    ["--kubernetes-version", "1.32"], ["--kubernetes-version", "1.x"], ["-r"], ["--branch", "main"],
    ["--path", "jobs"], ["--allow-dirty"], ["--branch-per-sweep"], ["--limit", "9" * 5000],
    ["--color", "always"], ["--yes"], ["--ci", "none"], ["--locked"], ["--from", "a.yaml"],
]

TREES: list[Any] = [
    ["status", "--json"], ["status", "NAME"], ["logs", "NAME"],
    ["gc"], ["gc", "--json"], ["archive", "NAME"], ["stop", "NAME"], ["rerun", "NAME"], ["archive", "*"],
    ["stop", "a*["], ["rebuild", "FILE"], ["diff", "out", "out"], ["stop", "FILE"],
    ["rebuild"], ["rebuild", "--json"], ["gc"], ["archive", "NAME"],
    ["stop", "NAME"], ["-q"], ["diff"], ["check", "out"], ["rerun", "NAME", "name=x"],
    ["-m", "trainer.lr=1e-4,2e-4", "-q"], ["preview", "NAME"], ["preview", "FILE", "--all"],
    ["tune", "lr", "--show"], ["tune", "lr", "--objective", "x", "trainer.lr=interval(1e-5,1e-4)", "--round", "1"],
    ["tune", "lr", "--results", "FILE"], ["tune", "NAME", "--results", "-"],
]

READS: list[Any] = [
    ["-o", "-"], ["groups"], ["groups"], ["--help"], ["schema"], ["--cfg", "job"], ["explain", "trainer.lr"], ["-i"],
    ["image"], ["plan"], ["-sc", "query=bash"], ["groups", "--json"], ["-sc", "query=fish"],
    ["-o", "-", "-m", "trainer.lr=1,2"], ["preview"], ["preview", "--json"],
    ["-sc", "query=kubectl", "--", "plan", "hard"],
]

SERVES: list[Any] = [
    ["-o", "-"], ["-o", "-"], ["--fit"], ["--json"], [], ["--fit", "--json"], ["-o", "out", "--strict"],
]

SERVED: list[Any] = [
    "serving=kserve", "serving=deployment", "serving.replicas=3", "serving.api_key={secret:a,key:b}", "storage=nfs",
    "storage=model-cache", "hardware=ascend", "hardware=full-gpu", "hardware.memory=8Gi+", "trainer.merge=false",
    "serving.args={max_num_seqs:16}", "serving.args={enforce_eager:true}", "serving.args.hf_overrides={a:1}",
    "serving.name=other", "serving.context=1e9", "serving.concurrency=9999999", "serving.env={A:1}", "model=qwen3-8b",
    "hardware.devices=8", "cluster=x", "delivery=kubectl", "delivery=flux", "delivery.application=true", "-m",
    "serving.memory_utilization=1", "serving.args.seed=1", "model.shape=null", "trainer=command", "serving.runtimes={}",
]

SERVED_TREES: list[Any] = [
    ["serve", "NAME"], ["serve", "NAME", "serving=kserve"], ["serve", "FILE", "serving.replicas=2"],
    ["rebuild", "FILE"], ["serve", "sft-qwen3-0-6b", "--fit"], ["stop", "service/sft-qwen3-0-6b"], ["archive", "NAME"],
    ["gc"], ["check", "out"], ["diff", "out", "out"], ["diff", "FILE", "FILE"], ["check", "FILE", "--strict"],
    ["status"], ["stop", "NAME"], ["rerun", "NAME"], ["-q"], ["diff"], ["import", "FILE"],
    ["check", "out", "--cluster", "alauda"],
]

DATA: list[Any] = [
    "trainer=sft-lora", "trainer=pretrain", "trainer=dpo-lora", "dataset=kto-feedback", "dataset=hf-sharegpt",
    "dataset=preference-pairs", "dataset=corpus", "dataset.info.formatting=openai", "trainer.args.max_samples=null",
    "trainer.args.stage=kto", "trainer.args.val_size=0", "--json", "--strict", "trainer.args.stage=ppo",
    "trainer.args.stage=rm", "trainer.args.packing=true", "trainer.args.mix_strategy=interleave_over", "--format=html",
    "trainer.args.dataset='identity_alauda,b'", "trainer.args.eval_dataset=b", "trainer.args.val_size=0.5",
    "trainer.args.streaming=true", "trainer.cutoff_len=1", "model=qwen3-8b", "trainer.args.preprocessing_num_workers=9",
    "trainer.args.max_samples=1", "dataset.name=b", "trainer.args.interleave_probs='0.5,0.5'", "trainer=command",
    "--tokenizer=.", "--tokenizer=loop", "--format=github", "--format=sarif", "--revision=a", "-q",
]

ENTRIES: list[Any] = [
    {"columns": {"prompt": "instruction", "response": "output", "history": "history", "system": "system"}},
    {"formatting": "sharegpt", "columns": {"messages": "conversations", "system": "system", "tools": "tools"}},
    {"formatting": "openai"}, {"formatting": "sharegpt", "ranking": True, "columns": {"chosen": "chosen"}},
    {"columns": {"prompt": "instruction", "kto_tag": "label", "response": "output", "images": "images"}},
    {"columns": {"prompt": "text"}}, {"num_samples": 10**9}, {"num_samples": -1}, {"ranking": "yes"}, {"columns": {}},
    {"tags": {}}, {"hf_hub_url": "a/b"}, {"script_url": "../a"}, {"file_name": "data"}, {"file_name": ""},
]

GIT_FILES: list[Any] = [
    "", "gitdir: nowhere\n", "gitdir:", "gitdir: .git", "gitdir: \0", "\udcff\udcfe", "x" * 100_000,
    "gitdir: " + "x/" * 3000, "gitdir: folder\n", "gitdir: ../outside", "gitdir: loop", "gitdir: pipe",
    "gitdir: a\nb", {"link": ".git"}, {"fifo": True}, {"size": 2**34}, {"folder": True}, {"link": "nowhere"},
    {"link": "folder"},
]

ENVIRONMENTS: list[Any] = [
    {}, {"COLUMNS": "0"}, {"COLUMNS": "x"}, {"TERM": None}, {"HOME": None}, {"HOME": "/nonexistent"},
    {"LC_ALL": "C"}, {"LC_ALL": "xx_XX.x"}, {"PYTHONIOENCODING": "ascii"}, {"NO_COLOR": "1"},
    {"XDG_STATE_HOME": "loop"}, {"XDG_STATE_HOME": ""}, {"TMPDIR": "/nonexistent"}, {"PATH": ""}, {"PATH": None},
    {"HOME": "\udcff"}, {"COMP_LINE": "\udcff"}, {"GIT_CONFIG_COUNT": "²"}, {"SOURCE_DATE_EPOCH": "x"},
    {"HYDRA_FULL_ERROR": "1"}, {"GIT_DIR": "x"}, {"LANG": ""}, {"TZ": "x"}, {"LINES": "-1"},
]

CEL: list[str] = [
    "", "true", "false", "1", "1/0 == 1", "object", "object.x", "object.spec.tasks[99].name == ''", "config.x",
    "object.spec.tasks.all(t, true)", "object.spec.tasks.exists_one(t, t.name == '')", "has(object)", "size(1)",
    "[1,2].map(x, x*x).sum() == 5", "'a'.matches('(a+)+$')", "'a'.matches('[')", "quantity('x') == quantity('1')",
    "duration('1h') > duration('x')", "timestamp('2026-01-01T00:00:00Z') > timestamp(0)", "double(object.kind) > 1.0",
    "int('9223372036854775808') > 0", "9223372036854775807 + 1 > 0", "-9223372036854775808 / -1 > 0", "'\\x00' == ''",
    "object.metadata.?labels.?a.orValue('') == ''", "dyn(object) == dyn(1)", "type(object) == map", "b'a' == b'b'",
    "object.spec.tasks.map(t, object.spec.tasks.map(u, object.spec.tasks.map(v, v.name))).size() > 0", "((1))",
    "[" * 300, "(" * 300 + "1" + ")" * 300, "1" + "+1" * 3000 + " > 0", "!" * 300, "self", "oldObject == null",
    "'" + "a" * 5000 + "' == ''", "\u2028", "\x00", "a.b.c.d.e()", "object.spec.tasks.sum() > 0", "[3,1].isSorted()",
    "cel.bind(a, 1, a == 1)", "'%s'.format([1]) == '1'", "math.greatest(1, 2) == 2", "object in object", "{}[0] == 1",
]
