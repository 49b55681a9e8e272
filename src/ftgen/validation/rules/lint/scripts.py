"""Rules over the scripts of containers: their ranks, credentials, volumes, trainer and variables.

A script cannot be understood without running it; these rules search its text, and find nothing where the command is
not in the manifest.  Sources: LLaMA-Factory's launcher (FORCE_TORCHRUN) and examples, git's and curl's
options, Kubernetes' documentation of `$(VAR)` in commands.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from ftgen.diagnostics import Severity
from ftgen.text import kube
from ftgen.text.shapes import integer, mapping, text
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import Container, Job, Pod
from ftgen.validation.rules import LINT, PODS_LINT
from ftgen.validation.rules.lint.cards import literal_variables, pod_count
from ftgen.validation.rules.lint.devices import seen_cards, vendors_of
from ftgen.validation.rules.lint.ranks import FRAMEWORKS
from ftgen.validation.rules.lint.shell import (
    Script,
    find_all,
    find_all_in_texts,
    has_match,
    has_match_in_any,
    settings_texts,
    shell_text,
    shell_texts,
    undefined_references,
)
from ftgen.validation.rules.lint.storage import HOST_FILES
from ftgen.validation.rules.lint.writes import WRITES, written_folders

_CREDENTIAL = re.compile(r"(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|(API|ACCESS|PRIVATE)_?KEY)$")
# A variable before the host of a URL: https://user:$TOKEN@host, https://${login}@host.
_LOGIN_IN_URL = re.compile(r"://(?:[^\s/@'\"$]*\$(?:\w++|\{\w+\}))+[^\s/@'\"$]*@")
_PUSH = re.compile(r"(?<![\w-])push(?![\w-])")
_MERGE = re.compile(r"\bllamafactory-cli[ \t]+export\b")
# Of what lies between two words of a line, some hundred characters are enough: without a bound, a line that only ever
# begins to match takes the square of its length.
_OWN = r"(?:rank|task_index|pod_index|completion_index|ordinal|hostname|pod_?name)"
_RANK = re.compile(
    rf"(?:\[|\btest\b|\bcase\b|\bif\b|\(\()[^\n]{{0,300}}{_OWN}|(?:rank|hostname)[^\n]{{0,300}}(?:\|\||&&)",
    re.IGNORECASE,
)
# A reference to one of them, and a variable of the shell that is made of it: IDX=${HOSTNAME##*-}.
_OF_ONE_POD = rf"\$[{{(]?\w{{0,30}}{_OWN}(?![A-Za-z])"
_FROM_RANK = re.compile(rf"\b([A-Za-z_]\w*)=[^\n;|&]{{0,100}}?{_OF_ONE_POD}", re.IGNORECASE)
_LOCK = re.compile(r"\bflock\b|\block", re.IGNORECASE)
_TRAIN = re.compile(r"\bllamafactory-cli[ \t]+train\b")
# What is_env_enabled takes for yes (LLaMA-Factory, extras/misc.py).
_ENABLED = ("1", "true", "y")
_LAUNCHING = ("FORCE_TORCHRUN", "USE_MCA", "USE_RAY")
_TORCHRUN = re.compile(
    rf"\b(?:{'|'.join(_LAUNCHING)})=['\"]?(?i:{'|'.join(_ENABLED)})\b|\btorchrun\b|\baccelerate[ \t]+launch\b"
    r"|(?m:^[ \t]*deepspeed[ \t])"
)
# A pattern that begins with plain letters is found much faster than one that begins with a word's edge.
_DEEPSPEED = re.compile(r"deepspeed(?<=\bdeepspeed):[ \t]*['\"]?([^\s'\"{]+\.json)")
_SHIPPED = re.compile(r"(?:.*/)?ds_z(?:0|2|2_autotp|2_offload|3|3_fp8|3_offload)_config\.json")
# The same names, or nearly so, where no other file lies: beside the shipped ones, and in no folder at all.
_MISNAMED = re.compile(
    r"(?:(?:.*/)?examples/deepspeed/)?ds[-_]?z(?:ero)?[-_]?[0-3](?:[-_](?:auto[-_]?tp|offload|fp8))?"
    r"(?:[-_]?conf(?:ig)?)?\.json"
)
_OVERWRITES = re.compile(r"\boverwrite_output_dir:[ \t]*true\b", re.IGNORECASE)
_RESUMES = re.compile(r"\bresume_from_checkpoint\b(?!:[ \t]*(?:null|false)\b)")
_SET_U = re.compile(r"^[ \t]*set[ \t]+(?:-[a-z]*u|-o[ \t]+nounset)", re.MULTILINE)
_SET_ENV = re.compile(r"^[ \t]*(?:source|\.)[ \t]+[^\n]*set_env\.sh", re.MULTILINE)
_INSECURE = re.compile(
    r"http\.sslVerify=false|^export[ \t]+GIT_SSL_NO_VERIFY="
    r"|\bcurl\b[^\n|;&]{0,300}[ \t](?:-[a-zA-Z]{0,20}k\b|--insecure)"
    r"|\bwget\b[^\n|;&]{0,300}--no-check-certificate|--trusted-host\b",
    re.MULTILINE | re.IGNORECASE,
)
_SUBSTITUTION = re.compile(r"(?<!\$)\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
_BARE_DOLLARS = re.compile(r"\$\$(?!\()")
_KEEPS = re.compile(
    r"\b(?:push|upload|mlflow|huggingface-cli|hf|aws|mc|s3cmd|rclone|rsync|scp|gsutil|ossutil|obsutil|azcopy|curl)\b"
    r"|\b(?:push_to_hub|hub_model_id)\b"
    r"|\b(?:s3a?|oss|obs|gs|cos|hdfs|abfss?)://",
    re.IGNORECASE,
)
_MODEL = re.compile(r"(?:[/\s\"'=]|^)([A-Za-z0-9][A-Za-z0-9._-]*)/?[\"']?[ \t]*$")
_TEMPLATE = re.compile(r"^[ \t]*template:[ \t]*['\"]?([a-z0-9_.-]+)", re.MULTILINE)
# Chat templates by model family, as LLaMA-Factory registers them (extras/constants.py).
_FAMILIES = (
    (re.compile(r"^Qwen3(?!-VL|-Omni|Guard)[-.0-9]"), ("qwen3",)),
    (re.compile(r"^Qwen2(\.5)?-"), ("qwen",)),
    (re.compile(r"^(Meta-)?Llama-3"), ("llama3",)),
    (re.compile(r"^DeepSeek-R1-Distill"), ("deepseekr1", "deepseek3")),
)


def _shared(pod: Pod, container: Container, job: Job) -> set[str]:
    """Return the mount paths of a container that other replicas share: claims and job volumes."""
    claims = {text(v.get("name")) for _, v in pod.volumes if isinstance(v.get("persistentVolumeClaim"), dict)}
    mounts = {
        text(m.get("mountPath")).rstrip("/")
        for _, m in container.mounts
        if text(m.get("name")) in claims and m.get("readOnly") is not True and not m.get("subPathExpr")
    }
    return mounts | (set() if container.init else {text(v.get("mountPath")).rstrip("/") for _, v in job.volumes})


@rule("FT462", "exposed-credentials", on=PODS_LINT)
def exposed_credentials(job: Job) -> Iterator[Finding]:
    """A script shows a user or token to others.

    `set -x` writes every command with its variables expanded to the pod's log, for everyone who may read logs. A URL
    with a token in it is an argument that other processes see, part of git's error messages, and written to
    `.git/config`, where it stays on the volume. Of a script that another shell traces, the log may show it.

    Refused: `set -ex` above `curl -H "Authorization: $API_TOKEN"`; `git clone "https://${GIT_USER}:${GIT_TOKEN}@git.example.com/x"`.
    Write: `set -euo pipefail`, and a credential helper of git that reads the environment.
    """
    for container in job.containers:
        script = shell_text(container)
        logins = find_all(_LOGIN_IN_URL, script.code)
        credentials = [text(v.get("name")) for _, v in container.env if _holds_credential(v)]
        shown = [name for name in credentials if _expands(name, script.code)] or logins
        help_ = "write set -euo pipefail, without -x"
        if script.tracing and shown:
            headline = f"the shell prints its commands, and {shown[0]} would appear in the pod's log"
            yield Finding(headline, script.path, script.tracing, help_)
        elif credentials and "sh" in script.tracing:
            headline = f"a script is traced, and {credentials[0]} may appear in the pod's log"
            yield Finding(headline, script.path, script.tracing, help_, Severity.WARNING)
        for login in logins[:1]:
            headline = f"a URL holds a user or token, which git writes down and prints: {login}"
            help_ = "let a credential helper of git read the environment"
            yield Finding(headline, script.path, login, help_, Severity.WARNING)


@lru_cache(maxsize=512)
def _expands(name: str, code: str) -> bool:
    """Return whether a shell, or Kubernetes before it, puts a variable's value into a command of a script."""
    return bool(re.search(rf"\$[({{]?{re.escape(name)}\b(?!:?\+)", code))


def _holds_credential(variable: dict[str, object]) -> bool:
    reference = mapping(mapping(variable.get("valueFrom")).get("secretKeyRef"))
    return bool(_CREDENTIAL.search(text(variable.get("name")).upper())) or bool(reference)


@rule("FT463", "push-from-every-rank", on=LINT)
def push_from_every_rank(job: Job) -> Iterator[Finding]:
    """Every pod of a distributed training merges or pushes.

    Only one rank has the result in full, and concurrent pushes overwrite each other.

    Refused: `git push` in a script of two replicas that never asks for its rank, nor for the pod's name.
    Write: `[ "${VC_TASK_INDEX}" = 0 ] || exit 0` before it.
    """
    for task in job.tasks:
        for container in task.pod.main_containers if task.replicas > 1 else ():
            for script in shell_texts(container):
                code = _without_own(script.code)
                found = [p for p in (_PUSH, _MERGE) if has_match(p, code)]
                if found and not _asks_who(container, script.code):
                    action = "push" if _PUSH in found else "merge"
                    help_ = 'before it, write: [ "${VC_TASK_INDEX}" = 0 ] || exit 0'
                    yield Finding(f"each of {task.replicas} pods would {action}", script.path, action, help_)


@lru_cache(maxsize=512)
def _without_own(code: str) -> str:
    """Remove what merges into, or pushes to, a place of the pod's own: export_dir=/out/$VC_TASK_INDEX."""
    return _TO_OWN_PLACE.sub("", code)


_TO_OWN_PLACE = re.compile(rf"(?:{_PUSH.pattern}|{_MERGE.pattern})[^\n;|&]{{0,300}}?{_OF_ONE_POD}", re.IGNORECASE)


def _asks_who(container: Container, code: str) -> bool:
    """Return whether a script tests its rank, or what tells one pod from another: its name, or what is made of it."""
    if has_match(_RANK, code):
        return True
    own = (text(v.get("name")) for _, v in container.env if _is_pods_own(v))
    return any(_tests(name, code) for name in (*own, *find_all(_FROM_RANK, code)))


_LABELS = re.compile(r"metadata\.(?:name|(?:labels|annotations)\['[^']*index'\])")


def _is_pods_own(variable: Mapping[str, object]) -> bool:
    """Return whether a variable is a pod's name or index, which no other pod of the task has."""
    field = text(mapping(mapping(variable.get("valueFrom")).get("fieldRef")).get("fieldPath"))
    return bool(_LABELS.fullmatch(field)) or "$(VC_TASK_INDEX)" in text(variable.get("value"))


@lru_cache(maxsize=512)
def _tests(name: str, code: str) -> bool:
    test = rf"(?:\[|\btest\b|\bcase\b|\(\()[^\n]{{0,300}}\b{re.escape(name)}\b"
    return bool(re.search(test, code))


@rule("FT464", "single-process-trainer", on=LINT)
def single_process(job: Job) -> Iterator[Finding]:
    """LLaMA-Factory would start one process where several, or DeepSpeed, are asked for.

    Its launcher runs torchrun where it sees several cards and USE_KT is not set, or where FORCE_TORCHRUN or USE_MCA is
    1; with USE_RAY, Ray starts the processes. Pods with one card each, and DeepSpeed on one card, need FORCE_TORCHRUN.
    It is a warning where nothing speaks of nodes, as pods that each train alone may be meant.

    Refused: `llamafactory-cli train` in two replicas of one card without FORCE_TORCHRUN.
    Write: `FORCE_TORCHRUN=1 llamafactory-cli train`.
    """
    for task in job.tasks:
        for container in task.pod.main_containers:
            script, deepspeed = shell_text(container), has_match_in_any(_DEEPSPEED, settings_texts(container))
            if not (has_match(_TRAIN, script.code) and (task.replicas > 1 or deepspeed)):
                continue
            if not _launches(container, script.code):
                headline = "LLaMA-Factory would start a single process in each pod"
                is_sure = (deepspeed or _speaks_of_nodes(job, container)) and not container.body.get("envFrom")
                severity = None if is_sure else Severity.WARNING
                yield Finding(headline, script.path, "", "set FORCE_TORCHRUN=1", severity)


def _launches(container: Container, code: str) -> bool:
    """Return whether something starts the processes: torchrun, Ray, or LLaMA-Factory's launcher by what it sees."""
    variables = literal_variables(container)
    if has_match(_TORCHRUN, code) or any(variables.get(name, ("", ""))[0].lower() in _ENABLED for name in _LAUNCHING):
        return True
    alone = has_match(_ONE_VISIBLE, "\n".join((code, *(f"{name}={value}" for name, (value, _) in variables.items()))))
    return not alone and (seen_cards(container) > 1 or _sees_any(container))


def _sees_any(container: Container) -> bool:
    """Return whether a container may see cards that its resources do not count: of claims, or all of the node."""
    claims = mapping(container.body.get("resources")).get("claims")
    return bool(claims) or "NVIDIA_VISIBLE_DEVICES" in literal_variables(container)


# What leaves several cards to one process: a single visible one, or ktransformers, which spreads a model over them.
_ONE_VISIBLE = re.compile(
    rf"\b(?:CUDA|ASCEND_RT|HIP)_VISIBLE_DEVICES=['\"]?[0-9]+(?![0-9,])|\bUSE_KT=['\"]?(?i:{'|'.join(_ENABLED)})\b"
)
_OF_NODES = re.compile(
    r"nnodes|node_?rank|num_machines|machine_rank|master_?(?:addr|port)|rdzv|world_?size|hostfile|VC_\w+_HOSTS"
    r"|/etc/volcano|peer",
    re.IGNORECASE,
)


def _speaks_of_nodes(job: Job, container: Container) -> bool:
    """Return whether something in a job says that its pods train together."""
    names = (text(variable.get("name")) for _, variable in container.env)
    return bool(FRAMEWORKS & job.plugins.keys()) or has_match_in_any(_OF_NODES, (shell_text(container).code, *names))


@rule("FT465", "missing-deepspeed-file", on=LINT)
def missing_deepspeed(job: Job) -> Iterator[Finding]:
    """DeepSpeed's configuration is a file that does not exist.

    LLaMA-Factory ships examples/deepspeed/ds_z3_config.json and its like, with underscores; a relative path is
    looked for in the working directory. It is an error for a shipped file under a name that it does not have; any other
    may be in the image, which is not looked into.

    Refused: `deepspeed: ds-z3-config.json`.
    Write: an absolute path to a shipped file, a mounted one, or the configuration itself.
    """
    for pod in job.pods:
        for container in pod.main_containers:
            for file in find_all_in_texts(_DEEPSPEED, settings_texts(container)):
                script, is_sure = shell_text(container), _is_absent(file, container)
                if is_sure or not _exists(file, container, script.code):
                    headline = f"{file} will not exist in the container"
                    headline = headline if is_sure else f"nothing in the job mounts or writes {file}"
                    severity = None if is_sure and pod_count(job) > 1 else Severity.WARNING
                    help_ = "write a shipped ds_z3_config.json by its absolute path, or the configuration itself"
                    yield Finding(headline, script.path, file, help_, severity)


def _is_absent(file: str, container: Container) -> bool:
    """Return whether no file has that path: a shipped one is called otherwise, or its folder is a ConfigMap's."""
    place = posixpath.join(text(container.body.get("workingDir")), file)
    around = {posixpath.dirname(mounted) for mounted in container.files}
    is_written = _is_written(file, shell_text(container).code)
    is_shipped = "/" in file and bool(_SHIPPED.fullmatch(file))
    misnamed = bool(_MISNAMED.fullmatch(file)) and not is_shipped and not is_written
    return misnamed or (posixpath.dirname(place) in around and place not in container.files)


def _exists(file: str, container: Container, code: str) -> bool:
    mounted = any(file.startswith(f"{text(m.get('mountPath'))}/") for _, m in container.mounts)
    shipped = "/" in file and _SHIPPED.fullmatch(file)
    return bool(mounted or _is_written(file, code) or shipped or "$" in file)


def _is_written(file: str, code: str) -> bool:
    return bool(re.search(rf">[ \t]*[\"']?{re.escape(file)}|\bcp\b[^\n]*{re.escape(file)}", code))


@rule("FT466", "retry-from-the-start", Severity.WARNING, on=LINT)
def retry_from_start(job: Job) -> Iterator[Finding]:
    """A restarted pod begins its training anew.

    With overwrite_output_dir LLaMA-Factory ignores the checkpoints that are there, and maxRetry, which counts the
    first attempt and is 3 where it is absent or 0, lets Volcano start the pods again after an eviction or a failure.

    Refused: `overwrite_output_dir: true` with `maxRetry: 2` or more.
    Write: `overwrite_output_dir: false`, or `resume_from_checkpoint`.
    """
    if integer(job.spec.get("maxRetry")) == 1:
        return
    for pod in job.pods:
        for container in pod.main_containers:
            texts = settings_texts(container)
            if has_match_in_any(_OVERWRITES, texts) and not has_match_in_any(_RESUMES, texts):
                headline = "a restarted pod overwrites its checkpoints and begins at step 0"
                value = find_all_in_texts(_OVERWRITES, texts)[0]
                yield Finding(headline, shell_text(container).path, value, "set overwrite_output_dir: false")


@rule("FT467", "strict-before-set-env", Severity.WARNING, on=LINT)
def strict_before_set_env(job: Job) -> Iterator[Finding]:
    """`set -u` is on while a vendor's environment file is read.

    CANN's set_env.sh reads variables that are not set, and the script ends there.

    Refused: `set -eu` above `source /usr/local/Ascend/ascend-toolkit/set_env.sh`.
    Write: the source line first.
    """
    for container in job.containers:
        script = shell_text(container)
        if not (has_match(_SET_U, script.code) and has_match(_SET_ENV, script.code)):
            continue
        strict, sourced = _SET_U.search(script.code), _SET_ENV.search(script.code)
        if strict and sourced and strict.start() < sourced.start():
            headline = "set -u is on before set_env.sh, which reads variables that are not set"
            yield Finding(headline, script.path, strict[0].strip(), "source set_env.sh before set -u")


@rule("FT468", "concurrent-writers", on=LINT)
def concurrent_writers(job: Job) -> Iterator[Finding]:
    """Replicas clone into, or delete from, one shared volume at the same time.

    Each pod runs the same script on the same claim; one removes what another is reading. Where the script does not say
    which folder it is, it may be one of the claim's: that is a warning.

    Refused: `git clone` and `rm -rf` under a claim in two replicas, without a lock or a test of the rank.
    Write: a lock, a folder for each pod, or a job that fetches before.
    """
    for task in job.tasks:
        for container in task.pod.containers if task.replicas > 1 else ():
            shared = _shared(task.pod, container, job)
            for script in shell_texts(container) if shared else ():
                if not has_match(WRITES, script.code) or has_match(_LOCK, script.code):
                    continue
                folders = [] if _asks_who(container, script.code) else _written_together(container, script)
                sure = next((mount for folder in folders if (mount := _mount_of(folder, container, job)) in shared), "")
                if sure:
                    headline = f"{task.replicas} pods write into {sure} at the same time"
                    yield Finding(headline, script.path, sure, "take a lock, or let one rank fetch")
                elif doubtful := [folder for folder in folders if _may_be_in(folder, shared)]:
                    headline = f"{task.replicas} pods may write into {min(shared)} at the same time: {doubtful[0]}"
                    help_ = "take a lock, or let one rank fetch"
                    yield Finding(headline, script.path, doubtful[0], help_, Severity.WARNING)


def _written_together(container: Container, script: Script) -> list[str]:
    """Return the folders that a script writes and that are not each pod's own by their names."""
    variables = {name: value for name, (value, _) in literal_variables(container).items() if value}
    folders = written_folders(script.code, variables, text(container.body.get("workingDir")))
    own = {text(variable.get("name")) for _, variable in container.env if _is_pods_own(variable)}
    return [f for f in folders if not has_match(_OWN_FOLDER, f) and not own & set(re.findall(r"\w+", f))]


_OWN_FOLDER = re.compile(rf"{_OF_ONE_POD}|\$\$|\$mktemp|\$RANDOM", re.IGNORECASE)


def _mount_of(folder: str, container: Container, job: Job) -> str:
    """Return the mount that a folder lies on; empty where that is the container's own file system, or nobody knows."""
    mounts = [text(mount.get("mountPath")).rstrip("/") for _, mount in container.mounts]
    mounts += [] if container.init else [text(volume.get("mountPath")).rstrip("/") for _, volume in job.volumes]
    around = [mount for mount in mounts if mount and f"{folder}/".startswith(f"{mount}/") and "$" not in folder]
    return max(around, key=len, default="")


def _may_be_in(folder: str, shared: set[str]) -> bool:
    """Return whether a folder that a variable names may be on one of some mounts."""
    known = re.split(r"[$`]", folder)[0]
    return known != folder and any(known.startswith(f"{m}/") or f"{m}/".startswith(known) for m in shared)


@rule("FT469", "unverified-tls", Severity.WARNING, on=PODS_LINT, twins=("FT262",))
def unverified_tls(job: Job) -> Iterator[Finding]:
    """A server's certificate is not verified.

    A man in the middle can read the token and replace model and data.

    Refused: `git -c http.sslVerify=false`, `curl -k`, `{name: GIT_SSL_NO_VERIFY, value: "true"}`.
    Write: the server's CA in a ConfigMap, and GIT_SSL_CAINFO.
    """
    help_ = "mount the server's CA and set GIT_SSL_CAINFO"
    for container in job.containers:
        value, path = literal_variables(container).get("GIT_SSL_NO_VERIFY", ("", ""))
        script = shell_text(container)
        if value:
            yield Finding("certificates of git hosts are not verified", f"{path}.value", value, help_)
        elif has_match(_INSECURE, script.code):
            headline = "the script does not verify certificates"
            yield Finding(headline, script.path, find_all(_INSECURE, script.code)[0], help_)


@rule("FT470", "replaced-by-kubernetes", on=PODS_LINT)
def replaced(job: Job) -> Iterator[Finding]:
    """A command substitution is named like a variable of the container.

    Kubernetes replaces `$(NAME)` in commands, arguments and variables before any shell sees it. Where no shell reads
    the command, that is what it is written for.

    Refused: `$(HOSTNAME)` in a script, with a variable HOSTNAME.
    Write: `$$(HOSTNAME)` for the command, `${HOSTNAME}` for the variable.
    """
    for container in job.containers:
        script = shell_text(container)
        for name in find_all(_SUBSTITUTION, script.raw) if script.expanded and script.substituting else ():
            if name in literal_variables(container):
                headline = f"Kubernetes replaces $({name}) by the variable's value before the shell runs"
                yield Finding(headline, script.path, f"$({name})", f"write $$({name}) or ${{{name}}}")


@rule("FT471", "lost-dollar", Severity.WARNING, on=PODS_LINT)
def lost_dollar(job: Job) -> Iterator[Finding]:
    """A dollar sign does not arrive as it is written.

    Kubernetes makes one `$` of `$$` in commands and variables, so the shell's `$$` (its process id) is lost; and
    `$(NAME)` of a variable that is not set before stays as it is.

    Refused: `echo $$`, `{name: URL, value: "http://$(HOST)/"}` before HOST.
    Write: `$$$$`; HOST above URL.
    """
    for container in job.containers:
        script = shell_text(container)
        if script.known and script.expanded and _loses_dollars(script.raw):
            yield Finding("$$ reaches the shell as a single $", script.path, "$$", "write $$$$")
        # Variables of envFrom are set before those of env, and only the cluster knows their names.
        if not container.body.get("envFrom"):
            yield from _unset_references(container)


def _unset_references(container: Container) -> Iterator[Finding]:
    """Find variables that refer to others which are not set before them."""
    for i, name in undefined_references(container):
        if kube.is_env_name(name) and not name.startswith(("VC_", "VK_")):
            why = "is set later" if any(v.get("name") == name for _, v in container.env) else "is not set"
            path = f"{container.path}.env[{i}].value"
            yield Finding(f"$({name}) {why} and stays as it is", path, f"$({name})", f"set {name} before it")


@lru_cache(maxsize=256)
def _loses_dollars(script: str) -> bool:
    """Return whether a script means `$$` for the shell; one that escapes its `$(…)` was written for Kubernetes."""
    return "$$(" not in script and bool(_BARE_DOLLARS.search(script.replace("$$$$", "")))


@rule("FT472", "template-of-another-model", Severity.WARNING, on=LINT)
def other_template(job: Job) -> Iterator[Finding]:
    """The chat template is another model family's.

    LLaMA-Factory trains without complaint, and the model answers in a format that its own template never makes.

    Refused: `template: qwen` for Qwen3-0.6B.
    Write: `template: qwen3`.
    """
    for container in job.containers:
        if container.init:
            continue
        values = (text(variable.get("value")) for _, variable in container.env)
        templates = next((known for value in values if (known := _templates(value))), ())
        used = find_all_in_texts(_TEMPLATE, settings_texts(container)) if templates else ()
        wrong = [name for name in used if templates and not name.startswith(templates)]
        wrong += [name for name in used if templates == ("qwen",) and name.startswith("qwen3")]
        if wrong:
            headline = f"the template {wrong[0]} is not this model's"
            yield Finding(
                headline, shell_text(container).path, f"template: {wrong[0]}", f"write template: {templates[0]}"
            )


@lru_cache(maxsize=2048)
def _templates(value: str) -> tuple[str, ...]:
    """Return the chat templates of the model that a variable's value names; empty where it names no known one."""
    model = _MODEL.search(value) if "\n" not in value else None
    return next((templates for family, templates in _FAMILIES if model and family.search(model[1])), ())


@rule("FT473", "results-without-a-home", on=LINT, twins=("FT260",))
def vanishing_results(job: Job) -> Iterator[Finding]:
    """Results lie on a temporary volume, and nothing uploads them.

    An inline claim of `spec.volumes` belongs to the Job object, an ephemeral volume to its pod; both go with it. Any
    other volume that the pods may write to, such as one of nfs or csi, keeps what is on it.

    Refused: `spec.volumes[0].volumeClaim` and a script without a push or an upload.
    Write: `volumeClaimName`, or a push at the end.
    """
    keeps = any(text(volume.get("volumeClaimName")) for _, volume in job.volumes)
    keeps = keeps or any(_keeps(volume, pod) for pod in job.pods for _, volume in pod.volumes)
    inline = [f"spec.volumes[{i}].volumeClaim" for i, v in job.volumes if isinstance(v.get("volumeClaim"), dict)]
    scripts = [shell_text(c) for pod in job.pods for c in pod.main_containers]
    trains = any(vendors_of(pod) for pod in job.pods)
    if inline and trains and scripts and not keeps and all(s.known and not has_match(_KEEPS, s.code) for s in scripts):
        headline = "the results would vanish with the Job object: nothing is pushed and the claim is temporary"
        yield Finding(headline, inline[0], "", "name a claim with volumeClaimName, or push the result")


_VANISHING = frozenset(("emptyDir", "ephemeral", "configMap", "secret", "downwardAPI", "projected", "image", "gitRepo"))


def _keeps(volume: Mapping[str, object], pod: Pod) -> bool:
    """Return whether a volume keeps what a pod's containers write to it, whatever becomes of the pod."""
    sources = {name for name in volume if name != "name"} - _VANISHING
    if sources <= {"persistentVolumeClaim"}:
        return "persistentVolumeClaim" in sources
    is_files_of_node = text(mapping(volume.get("hostPath")).get("path")).startswith(HOST_FILES)
    is_secrets = text(mapping(volume.get("csi")).get("driver")) == "secrets-store.csi.k8s.io"
    mounts = (mount for container in pod.main_containers for _, mount in container.mounts)
    is_written = any(m.get("name") == volume.get("name") and m.get("readOnly") is not True for m in mounts)
    return is_written and not is_files_of_node and not is_secrets
