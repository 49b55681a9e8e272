# shellcheck shell=bash
# train: trains, merges and pushes; the same script runs on every node of the job.
#
# With TRAIN_CONFIG it runs LLaMA-Factory on that configuration, otherwise the container's arguments
# as a command. A restarted pod resumes from the last whole checkpoint; a training that has finished
# is not repeated when only the merge or the push failed. Node rank 0 alone merges and pushes.
#
# Its exit codes are what the job's policies go by: 143 when it was stopped, as by a drain; 4 when the training of
# several nodes failed, which may be another node's loss; 137 when its memory was short; 1 for a fault of its own.
#
# Reads: TRAIN_CONFIG EXPORT_CONFIG WORK_DIR OUTPUT_DIR EXPORT_DIR RESTORE_BASE_FILES, NNODES
# NPROC_PER_NODE MASTER_PORT PEER_TIMEOUT and Volcano's VC_TRAIN_HOSTS VC_TASK_INDEX, OUTPUT_MODEL_URL
# PUSH_BRANCH PUSH_RETRIES RETRY_SECONDS MODEL_CARD GIT_USER GIT_TOKEN GIT_SSL_NO_VERIFY GIT_SSL_CAINFO,
# BASE_MODEL_URL MODEL_REVISION MODEL_DIR DATASET_URL DATASET_REVISION DATASET_DIR JOB_NAME SOURCE_FILES,
# MLFLOW_TAGS MLFLOW_SWEEP REGISTERED_MODEL MUST_REGISTER and MLflow's own, TRACKING_DIR TRACKING_PUSH SWANLAB_RESUME,
# GRACE_PERIOD. Where nothing is said there is one node with one process, results go to output_models and output_models_merged in
# /mnt/workspace, a merged model gets the base's configuration and tokenizer files, and 60 seconds pass between SIGTERM
# and SIGKILL.

# Every program of the same user can read in /proc what a process was started with, whatever it unset
# since. So the script starts itself again without the token, which comes through a pipe.
if [ -n "${GIT_USER+set}${GIT_TOKEN+set}" ]; then
  exec 9< <(printf '%s\0' "${GIT_USER:-}" "${GIT_TOKEN:-}")
  unset GIT_USER GIT_TOKEN
  export FTGEN_CREDENTIALS=9
  [ -z "${BASH_SOURCE[0]:-}" ] || exec "$BASH" "${BASH_SOURCE[0]}" "$@"
  exec "$BASH" -c "$BASH_EXECUTION_STRING" "$0" "$@"
fi
unset git_user git_token
if [ -n "${FTGEN_CREDENTIALS:-}" ]; then
  # The end of the pipe, the third read, is seen when the process that wrote to it is gone.
  { IFS= read -r -d '' git_user && IFS= read -r -d '' git_token && ! read -r -d '' _; } <&9
  exec 9<&-
  # A Secret made of a file ends in a line break, and git's answer ends at an empty line.
  for credential in git_user git_token; do
    [[ ${!credential} =~ ^[[:space:]]*(.*[^[:space:]])?[[:space:]]*$ ]] && printf -v "$credential" %s "${BASH_REMATCH[1]}"
  done
fi
unset FTGEN_CREDENTIALS credential

# Vendors' environment files read variables that are not set: they come before the strict mode.
for source_file in ${SOURCE_FILES:-}; do
  if [ ! -f "$source_file" ] || [ ! -r "$source_file" ]; then
    echo "train: this image has no $source_file; going on with the environment it came with" >&2
    continue
  fi
  # shellcheck disable=SC1090
  . "$source_file"
done
set -euo pipefail

NNODES=${NNODES:-1}
NPROC_PER_NODE=${NPROC_PER_NODE:-1}
MASTER_PORT=${MASTER_PORT:-29500}
PEER_TIMEOUT=${PEER_TIMEOUT:-600}
PUSH_RETRIES=${PUSH_RETRIES:-5}
RETRY_SECONDS=${RETRY_SECONDS:-5}
GRACE_PERIOD=${GRACE_PERIOD:-60}
PYTHON_SECONDS=120
export WORK_DIR=${WORK_DIR:-/mnt/workspace}
OUTPUT_DIR=${OUTPUT_DIR:-output_models}
# The names of folders beside it begin with its own.
export OUTPUT_DIR=${OUTPUT_DIR%"${OUTPUT_DIR##*[!/]}"}
EXPORT_DIR=${EXPORT_DIR:-${OUTPUT_DIR}_merged}
EXPORT_DIR=${EXPORT_DIR%"${EXPORT_DIR##*[!/]}"}
# Config and tokenizer of the base describe a merged model too, unless its vocabulary or architecture has changed.
RESTORE_BASE_FILES=${RESTORE_BASE_FILES:-${EXPORT_CONFIG:+true}}
STARTED=.ftgen-started
FINISHED=.ftgen-finished
BASE_FILES=(config.json generation_config.json tokenizer.json tokenizer_config.json tokenizer.model special_tokens_map.json
  added_tokens.json vocab.json vocab.txt merges.txt spiece.model chat_template.jinja chat_template.json)

FAULT_OF_SOME_NODE=4

rank=0 hosts=() scratch='' child='' group='' stopped='' signals=0 watchdog='' result='' learned='' push_dir='' format='' image_settings=() own_context=${MLFLOW_RUN_CONTEXT:-}

# Names of files stand in messages: one with a line break must not look like a message of its own.
say() {
  local text=$*
  printf 'train: %s\n' "${text//[[:cntrl:]]/ }" >&2
}
fail() {
  say "error: ${*:2}"
  exit "$1"
}
die() { fail 1 "$@"; }

# bash would run a command that stands in brackets in the value of a number.
require_numbers() {
  local variable
  for variable; do
    [[ ${!variable:-0} =~ ^[0-9]{1,15}$ ]] || die "$variable is '${!variable}': it must be a whole number"
    [ -z "${!variable:-}" ] || printf -v "$variable" '%d' "$((10#${!variable}))"
  done
}

# Of the forms that git takes for a repository, not `ext::`, which is a command, nor an option.
require_url() {
  case $1 in
    *[[:space:][:cntrl:]]*) ;;
    http://* | https://* | ssh://* | git://* | file://* | /* | [A-Za-z0-9_]*@*:*) return 0 ;;
  esac
  die "$1 is no URL of a git repository: it begins with https://, http://, ssh://, git:// or file://"
}

# An @ in the path is part of a name, and ssh's user no secret. A token may hold a slash, where a port has digits only.
holds_login() {
  local host=${1#*://} user=''
  case $1 in ssh://*@*) user='([^:@]*@)?' ;; *://*@*) ;; *) return 1 ;; esac
  [[ ! ${host%%/*} =~ ^$user(\[[0-9A-Fa-f:.]*\]|[^:@]*)(:[0-9]*)?$ ]]
}

require_branch() {
  case $1 in
    -* | +* | *..* | *[[:space:][:cntrl:]:^~?*[\\]*) die "'$1' is no name of a branch: correct PUSH_BRANCH" ;;
  esac
}

# ---- processes -------------------------------------------------------------------------------------

clean_up() {
  local status=$?
  trap - EXIT
  [ -z "$watchdog" ] || kill "$watchdog" 2>/dev/null || true
  [ -z "$push_dir" ] || rm -rf "$push_dir"
  [ -z "$scratch" ] || rm -rf "$scratch"
  exit "$status"
}

# The group, not the process: llamafactory-cli does not pass signals on to torchrun and its workers.
forward() {
  stopped=$1 signals=$((signals + 1))
  say "SIG$1: passed on; the pod ends when the running step has ended"
  [ -z "$child" ] || kill -s "$1" -- "-$child" 2>/dev/null || true
  [ -n "$watchdog" ] || watch_grace_period
}

# A container that the kubelet has to kill ends with 137, as one that took too much memory: it must not come to that.
watch_grace_period() {
  local seconds=$((GRACE_PERIOD > 20 ? GRACE_PERIOD - 10 : GRACE_PERIOD / 2))
  [ -n "$child" ] || return 0
  { sleep "$seconds" && kill -s KILL -- "-$child"; } >/dev/null 2>&1 &
  watchdog=$!
}

# A command in its own process group. wait returns early when a signal was trapped: wait again then.
run() {
  local status before
  leave_if_stopped
  set -m
  "$@" &
  child=$!
  set +m
  while :; do
    before=$signals status=0
    wait "$child" || status=$?
    [ "$before" != "$signals" ] || break
  done
  group=$child child=''
  return "$status"
}

# What a command has left running, with all that is in its environment: a time limit ends git, and not its helpers.
end_leftovers() {
  local _
  for _ in {1..20}; do
    kill -s KILL -- "-$group" 2>/dev/null || return 0
    sleep 0.1
  done
}

# A trainer that saves its state and leaves with 0 on a signal has not finished.
leave_if_stopped() {
  [ -n "$stopped" ] || return 0
  say "stopped by SIG$stopped; a new pod continues from here"
  exit "$((128 + $(kill -l "$stopped")))"
}

# ---- environment -----------------------------------------------------------------------------------

make_scratch() {
  local place
  for place in "${TMPDIR:-/tmp}" "$WORK_DIR" /dev/shm; do
    scratch=$(mktemp -d "$place/train.XXXXXX" 2>/dev/null) && break
  done
  [ -n "$scratch" ] || die "nowhere to write temporary files: mount an emptyDir at /tmp"
  usable "${TMPDIR:-/tmp}" || export TMPDIR=$scratch
}

usable() { mkdir -p "$1" 2>/dev/null && [ -w "$1" ]; }

# Containers that do not run as root have no HOME to write to, and often no name.
settle_environment() {
  local variable
  usable "${HOME:-/nowhere/}" || export HOME=$scratch
  for variable in XDG_CACHE_HOME HF_HOME HF_DATASETS_CACHE TRITON_CACHE_DIR TORCHINDUCTOR_CACHE_DIR MPLCONFIGDIR; do
    if [ -n "${!variable:-}" ]; then
      usable "${!variable}" || export "$variable=$scratch/$variable"
    fi
  done
  usable "$HOME/.cache" || export XDG_CACHE_HOME=$scratch/cache HF_HOME=$scratch/cache/huggingface
  usable "$HOME/.triton" || export TRITON_CACHE_DIR=${TRITON_CACHE_DIR:-$scratch/triton}
  id -un >/dev/null 2>&1 || export USER=${USER:-trainer} LOGNAME=${LOGNAME:-trainer}
  export HF_HUB_OFFLINE=${HF_HUB_OFFLINE:-1} TRANSFORMERS_OFFLINE=${TRANSFORMERS_OFFLINE:-1}
  export HF_DATASETS_OFFLINE=${HF_DATASETS_OFFLINE:-1}
}

enter_work_dir() {
  usable "$WORK_DIR" || die "$WORK_DIR cannot be written by uid $(id -u): give the pod a matching fsGroup"
  cd "$WORK_DIR"
  usable "$OUTPUT_DIR" || die "$OUTPUT_DIR cannot be written by uid $(id -u): give the pod a matching fsGroup"
}

put() {
  local new
  new=$(mktemp -u "$1.XXXXXX")
  printf '%s\n' "$2" >"$new" && mv -fT "$new" "$1" && return
  rm -f "$new"
  die "$1 cannot be written by uid $(id -u): free space on the volume, or mount it writable"
}

# ---- ranks -----------------------------------------------------------------------------------------

find_ranks() {
  if [ "$NNODES" -gt 1 ]; then
    join_nodes
  else
    stand_alone
  fi
}

join_nodes() {
  [ -n "${VC_TRAIN_HOSTS:-}" ] || die "NNODES is $NNODES but VC_TRAIN_HOSTS is not set: the job needs plugins svc: [] and a task named train"
  case ${VC_TASK_INDEX:-} in '' | *[!0-9]*) die "NNODES is $NNODES but VC_TASK_INDEX is '${VC_TASK_INDEX:-}': the job needs plugins env: []" ;; esac
  IFS=, read -ra hosts <<<"$VC_TRAIN_HOSTS"
  [ "${#hosts[@]}" -eq "$NNODES" ] || die "NNODES is $NNODES but VC_TRAIN_HOSTS (svc plugin) has ${#hosts[@]}: $VC_TRAIN_HOSTS. Replicas of task train and NNODES must agree"
  [ "$VC_TASK_INDEX" -lt "$NNODES" ] || die "VC_TASK_INDEX is $VC_TASK_INDEX (env plugin) but NNODES is $NNODES"
  rank=$VC_TASK_INDEX
  export NNODES NPROC_PER_NODE MASTER_PORT NODE_RANK=$rank MASTER_ADDR=${hosts[0]} FORCE_TORCHRUN=1
  say "node $rank of $NNODES, $NPROC_PER_NODE process(es) each, master $MASTER_ADDR:$MASTER_PORT"
}

# A peer's name exists once its pod runs, which a download on that node may delay. It is gone once the pod has ended.
await_peers() {
  local host deadline=$((SECONDS + PEER_TIMEOUT))
  for host in ${hosts[@]+"${hosts[@]}"}; do
    getent hosts "$host" >/dev/null || say "waiting up to $PEER_TIMEOUT s for $host"
    until getent hosts "$host" >/dev/null; do
      leave_if_stopped
      ((SECONDS < deadline)) || fail "$FAULT_OF_SOME_NODE" "$host cannot be resolved after $PEER_TIMEOUT s: look at that pod (kubectl describe pod ${host%%.*}); the svc plugin makes its name, at once with --publish-not-ready-addresses=true"
      run sleep 1 || true
    done
  done
}

# LLaMA-Factory trains in its own process unless told otherwise, so nothing must hint at nodes.
stand_alone() {
  unset NODE_RANK MASTER_ADDR NNODES
  export NPROC_PER_NODE MASTER_PORT
  if [ "$NPROC_PER_NODE" -gt 1 ] || config_has deepspeed; then
    export FORCE_TORCHRUN=1
    say "one node, $NPROC_PER_NODE process(es) under torchrun"
  else
    unset FORCE_TORCHRUN
    say "one node, one process"
  fi
}

config_says() { grep -E "^$1:" <<<"${TRAIN_CONFIG:-}" | grep -vE ':[[:space:]]*(null|~|false)?[[:space:]]*$' >/dev/null; }

# A mapping or list stands on the lines below its key.
config_has() { config_says "$1" || grep -E -A1 "^$1:[[:space:]]*$" <<<"${TRAIN_CONFIG:-}" | grep -E '^([[:space:]]+|- ?)[^[:space:]#]' >/dev/null; }

# accelerate's own launcher would say so: without it every card holds the whole model before it is sharded.
name_sharding() { ! config_has fsdp || export ACCELERATE_USE_FSDP=true; }

# A command that is not LLaMA-Factory's may count nodes in torch's words.
name_ranks_for_command() {
  export NNODES=${NNODES:-1} NODE_RANK=$rank MASTER_ADDR=${MASTER_ADDR:-127.0.0.1}
  export RANK=$rank WORLD_SIZE=$NNODES
  [ "$rank" -eq 0 ] || export WANDB_MODE=disabled SWANLAB_MODE=disabled
}

# A program in the image's own Python, which nothing that came with a model or lies in the folder may change.
in_python() {
  local python
  python=$(command -v python3 || command -v python) || { echo "the image has no python" >&2 && return 1; }
  timeout --foreground "$PYTHON_SECONDS" "$python" -I -S -c "$@"
}

# ---- tracking --------------------------------------------------------------------------------------

# MLflow's API by the variables of its client, without the client: MLFLOW_TRACKING_URI and what opens the server.
#
# `nest` puts the runs of this job under the parent run of the sweep, and prints the tags of its next run. MLflow has no
# unique names of runs, so that jobs that start at once may create a parent each. Then the oldest counts: whoever sees
# several moves all runs there and deletes the others. Every job looks before its training and after it.
#
# `register` makes the pushed commit a version of a registered model, once, and prints the version.
# shellcheck disable=SC2016
MLFLOW='
import base64, json, os, ssl, sys, time, urllib.error, urllib.parse, urllib.request

def env(name):
    return os.environ.get(name, "").strip()

class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None  # it would carry the token along

def opener():
    authority = next(filter(None, map(env, ("MLFLOW_TRACKING_SERVER_CERT_PATH", "REQUESTS_CA_BUNDLE"))), None)
    context = ssl.create_default_context(cafile=authority)
    if env("MLFLOW_TRACKING_INSECURE_TLS").lower() in ("true", "1"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if env("MLFLOW_TRACKING_CLIENT_CERT_PATH"):
        context.load_cert_chain(env("MLFLOW_TRACKING_CLIENT_CERT_PATH"))
    return urllib.request.build_opener(NoRedirects, urllib.request.HTTPSHandler(context=context))

def login():
    user, password, token = map(env, ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"))
    if user and password:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return token and "Bearer " + token

def headers():
    names = "Content-Type", "Authorization", "X-MLFLOW-WORKSPACE"
    values = "application/json", login(), env("MLFLOW_WORKSPACE")
    return {name: value for name, value in zip(names, values) if value}

def ask(path, question=None, unless="", **query):
    """Return the answer; None where the server refuses with the error code `unless`."""
    url = env("MLFLOW_TRACKING_URI").rstrip("/") + "/api/2.0/mlflow/" + path
    url += "?" + urllib.parse.urlencode(query) if query else ""
    data = None if question is None else json.dumps(question).encode()
    try:
        with server.open(urllib.request.Request(url, data, headers()), timeout=30) as answer:
            found = json.loads(answer.read(1 << 24))
            return found if isinstance(found, dict) else sys.exit(f"the server does not answer as MLflow to {path}")
    except urllib.error.HTTPError as problem:
        said = problem.read(1 << 16).decode(errors="replace")
        told = json.loads(said) if said.startswith("{") else {}
        code = told.get("error_code") or problem.reason
        if code == unless:
            return None
        words = " ".join(str(told.get("message", "")).split())[:300]
        sys.exit(f"the server answers {problem.code} {code} to {path}: {words}".rstrip(": "))
    except (OSError, ValueError, RecursionError) as problem:
        sys.exit(f"the server does not answer as MLflow to {path}: {problem}")

def experiment():
    name = env("MLFLOW_EXPERIMENT_NAME") or "Default"
    for _ in range(2):  # another job may create it meanwhile
        found = ask("experiments/get-by-name", unless="RESOURCE_DOES_NOT_EXIST", experiment_name=name)
        if found:
            return found["experiment"]["experiment_id"]
        made = ask("experiments/create", {"name": name}, "RESOURCE_ALREADY_EXISTS")
        if made:
            return made["experiment_id"]
    sys.exit(f"there is no experiment {name}, and it cannot be created")

def runs(place, tag, value):
    question = {"experiment_ids": [place], "filter": f"tags.`{tag}` = \"{value}\"", "max_results": 1000}
    found = ask("runs/search", question | {"order_by": ["attributes.start_time ASC"]}).get("runs", [])
    return sorted(found, key=lambda run: (int(run["info"].get("start_time", 0)), run["info"]["run_id"]))

def tag(run, name):
    return next((each["value"] for each in run["data"].get("tags", []) if each["key"] == name), "")

def listed(tags):
    return [{"key": key, "value": str(value)} for key, value in tags.items()]

def now():
    return int(time.time() * 1000)

def create_parent(place, sweep):
    tags = listed({"mlflow.runName": sweep, "ftgen.parent": sweep})
    question = {"experiment_id": place, "run_name": sweep, "start_time": now(), "tags": tags}
    run = ask("runs/create", question)["run"]["info"]["run_id"]
    # Another job may have deleted it meanwhile, as one of two.
    ask("runs/update", {"run_id": run, "status": "FINISHED", "end_time": now()}, "INVALID_PARAMETER_VALUE")

def move(children, parent):
    for run in children:
        if tag(run, "mlflow.parentRunId") != parent:
            ask("runs/set-tag", {"run_id": run["info"]["run_id"], "key": "mlflow.parentRunId", "value": parent})

def nest():
    place, sweep = experiment(), env("MLFLOW_SWEEP")
    if not runs(place, "ftgen.parent", sweep):
        create_parent(place, sweep)
    parent, *others = runs(place, "ftgen.parent", sweep)
    oldest = parent["info"]["run_id"]
    move(runs(place, "ftgen.job", env("JOB_NAME")), oldest)
    for other in others:
        move(runs(place, "mlflow.parentRunId", other["info"]["run_id"]), oldest)
        # Another job may have deleted it meanwhile.
        ask("runs/delete", {"run_id": other["info"]["run_id"]}, "INVALID_PARAMETER_VALUE")
    print(json.dumps(json.loads(env("MLFLOW_TAGS") or "{}") | {"mlflow.parentRunId": oldest}))

def trained_run():
    """Return the last run of this job that logged a loss, else the last; None where there is none."""
    found = runs(experiment(), "ftgen.job", env("JOB_NAME"))
    losses = [run for run in found if any(m["key"] in ("train_loss", "loss") for m in run["data"].get("metrics", []))]
    return next(reversed(losses or found), {"info": {}})["info"].get("run_id")

def register(url, branch, commit):
    name, run = env("REGISTERED_MODEL"), trained_run()
    # MLflow 3 refuses https as a place that it would ask for files, and misreads the plus of git+https.
    source = f"git-{url}#{commit}"
    ask("registered-models/create", {"name": name}, "RESOURCE_ALREADY_EXISTS")
    there = ask("model-versions/search", filter=f"name=\"{name}\" and source_path=\"{source}\"")
    versions = [int(version["version"]) for version in there.get("model_versions", [])]
    if not versions:
        tags = json.loads(env("MLFLOW_TAGS") or "{}")
        tags |= {"ftgen.repository": url, "ftgen.branch": branch, "ftgen.commit": commit}
        question = {"name": name, "source": source, "run_id": run, "tags": listed(tags)}
        question["description"] = f"Branch {branch} of {url}, commit {commit}"
        made = ask("model-versions/create", {key: value for key, value in question.items() if value})
        versions = [int(made["model_version"]["version"])]
    print(max(versions))

try:
    server = opener()
    {"nest": nest, "register": register}[sys.argv[1]](*sys.argv[2:])
except (OSError, ValueError, LookupError, TypeError, AttributeError) as problem:
    sys.exit(f"the server does not answer as MLflow: {problem!r}")
'

settle_tracking() {
  # A line break at the end of a token would be refused as part of a header.
  [ -z "${MLFLOW_TRACKING_TOKEN:-}" ] || MLFLOW_TRACKING_TOKEN=${MLFLOW_TRACKING_TOKEN%%[[:space:]]*}
  name_tracking_files
  # Clients before 0.8 take 21 letters and digits.
  [ -z "${SWANLAB_RESUME:-}" ] || export SWANLAB_RUN_ID=${SWANLAB_RUN_ID:-$(printf %s "${JOB_NAME:-}" | sha256sum | cut -c1-21)}
  share_tags
}

# Each tracker has a variable of its own for the folder of its files.
name_tracking_files() {
  [ -n "${TRACKING_DIR:-}" ] || return 0
  usable "$TRACKING_DIR" || die "$TRACKING_DIR cannot be written by uid $(id -u): give the pod a matching fsGroup, or its claim another mode"
  export TENSORBOARD_LOGGING_DIR=$TRACKING_DIR WANDB_DIR=$TRACKING_DIR SWANLAB_LOG_DIR=$TRACKING_DIR SWANLAB_LOGDIR=$TRACKING_DIR
}

# The closing evaluation opens a second run by itself: the context puts the same tags on every run.
share_tags() { [ -z "${MLFLOW_TAGS:-}" ] || export MLFLOW_RUN_CONTEXT=${own_context:-$MLFLOW_TAGS}; }

# Leaves an answer of MLflow's in $scratch/said, or the reason why there is none in $scratch/log.
ask_mlflow() {
  rm -f "$scratch/said"
  in_python "$MLFLOW" "$@" >"$scratch/said" 2>"$scratch/log"
}

mlflow_reason() { tail -n 1 "$1" | grep . || echo "the server takes more than $PYTHON_SECONDS s"; }

# All runs of a sweep under one parent: before the training, and once more after it (see MLFLOW).
join_sweep() {
  [ -n "${MLFLOW_SWEEP:-}" ] && [ "$rank" -eq 0 ] || return 0
  if run ask_mlflow nest; then
    MLFLOW_TAGS=$(cat "$scratch/said")
    share_tags
  else
    leave_if_stopped
    say "warning: this run is not under the parent of $MLFLOW_SWEEP in MLflow: $(mlflow_reason "$scratch/log")"
  fi
}

# The result is pushed: what goes wrong here is told, and fails the job only where that was asked for.
register() {
  local try=1 address=${OUTPUT_MODEL_URL:-}
  [ -n "${REGISTERED_MODEL:-}" ] && [ -s "$scratch/commit" ] || return 0
  case $address in
    *://*) ;;
    /*) address=file://$address ;;
    *) address=ssh://${address/://} ;;
  esac
  until run ask_mlflow register "$address" "$branch" "$(cat "$scratch/commit")"; do
    leave_if_stopped
    [ "$try" -lt 3 ] || { not_registered && return; }
    run sleep "$RETRY_SECONDS" || true
    try=$((try + 1))
  done
  say "registered in MLflow: $REGISTERED_MODEL, version $(cat "$scratch/said")"
}

not_registered() {
  local reason
  reason="branch $branch is pushed, but MLflow has no version of $REGISTERED_MODEL for it: $(mlflow_reason "$scratch/log")"
  [ -z "${MUST_REGISTER:-}" ] || die "$reason. Mend that and run the job again"
  say "warning: $reason. Run the job again, or have MLflow's client create a version for commit $(cat "$scratch/commit")"
}

# ---- what OUTPUT_DIR holds -------------------------------------------------------------------------

# What makes this training this one: a marker of another job or configuration does not count.
fingerprint() {
  printf '%s\0' "${JOB_NAME:-}" "${TRAIN_CONFIG:-}" "$@" "${BASE_MODEL_URL:-}" "${MODEL_REVISION:-}" \
    "${DATASET_URL:-}" "${DATASET_REVISION:-}" | sha256sum | cut -d' ' -f1
}

# Where the nodes share OUTPUT_DIR only rank 0's word counts: it is the one that saves the model.
finished() {
  local judge=$rank
  [ ! -e "$OUTPUT_DIR/$STARTED-0" ] || judge=0
  [ "$(cat "$OUTPUT_DIR/$FINISHED-$judge" 2>/dev/null)" = "$print" ]
}

settle_output_dir() {
  refuse_other_jobs
  if config_says overwrite_output_dir; then
    say "starting from step 0: overwrite_output_dir is set"
  else
    settle_checkpoints
  fi
}

# LLaMA-Factory resumes from whatever checkpoint lies there, another job's too, and says little.
refuse_other_jobs() {
  local record
  for record in "$OUTPUT_DIR/$STARTED"-*; do
    is_record "$record" || continue
    [ "$(cut -d' ' -f1 "$record")" = "$print" ] || config_says overwrite_output_dir ||
      die "$OUTPUT_DIR holds the training of job $(cut -d' ' -f2- "$record"): remove it, give this job another output folder, or set overwrite_output_dir: true"
  done
}

# What a pod left that died, or found the volume full, while it wrote a record is none.
is_record() { [[ ${1##*-} =~ ^[0-9]+$ ]] && plain "$1" && [ -s "$1" ]; }

has_record() {
  local record
  for record in "$OUTPUT_DIR/$STARTED"-*; do if is_record "$record"; then return 0; fi; done
  return 1
}

settle_checkpoints() {
  local newest
  while newest=$(newest_checkpoint "$OUTPUT_DIR") && [ -n "$newest" ] && ! whole_checkpoint "$OUTPUT_DIR/$newest"; do
    say "$newest is half-written; set aside as incomplete.$newest"
    rm -rf "$OUTPUT_DIR/incomplete.$newest"
    # Another node may do the same to a shared folder.
    mv -fT "$OUTPUT_DIR/$newest" "$OUTPUT_DIR/incomplete.$newest" 2>/dev/null || [ ! -e "$OUTPUT_DIR/$newest" ] ||
      die "$OUTPUT_DIR/$newest cannot be renamed by uid $(id -u): remove it"
  done
  if [ -n "$newest" ]; then
    say "resuming from $OUTPUT_DIR/$newest"
    # LLaMA-Factory would begin again at the checkpoint that is named, however far this job has come since.
    TRAIN_CONFIG=$(sed '/^resume_from_checkpoint:/d' <<<"$TRAIN_CONFIG")
  elif config_says resume_from_checkpoint; then
    say "resuming from the checkpoint that the configuration names"
  else
    set_aside_unfinished
    say "starting from step 0"
  fi
}

plain() { [ -f "$1" ] && [ ! -L "$1" ]; }

newest_checkpoint() {
  find "$1" -maxdepth 1 -type d -name 'checkpoint-*' -printf '%f\n' |
    { grep -E '^checkpoint-[0-9]+$' || true; } | sort -t- -k2n | tail -n1
}

# The trainer's state is the last file of a checkpoint to be written.
whole_checkpoint() {
  [ -s "$1/trainer_state.json" ] && tail -c 4 "$1/trainer_state.json" | grep '}' >/dev/null &&
    [ -z "$(find "$1" -maxdepth 1 -type f -size 0 \( -name '*.safetensors' -o -name '*.bin' -o -name '*.pt' \) -print -quit)" ]
}

# LLaMA-Factory refuses a folder with a model and no checkpoint: this job's own, when its pod was
# killed between the last save and the mark below. Somebody else's stays where it is.
set_aside_unfinished() {
  local file
  for file in adapter_model.safetensors adapter_model.bin model.safetensors model.safetensors.index.json \
    pytorch_model.bin pytorch_model.bin.index.json; do
    [ -f "$OUTPUT_DIR/$file" ] || continue
    has_record ||
      die "$OUTPUT_DIR holds $file, but neither a checkpoint nor a record of this job: move it away, or set overwrite_output_dir: true"
    say "$file comes from a training that was not finished; set aside in unfinished/"
    [ ! -L "$OUTPUT_DIR/unfinished" ] || rm -f "$OUTPUT_DIR/unfinished"
    mkdir -p "$OUTPUT_DIR/unfinished"
    mv -fT "$OUTPUT_DIR/$file" "$OUTPUT_DIR/unfinished/$file" 2>/dev/null || [ ! -e "$OUTPUT_DIR/$file" ] ||
      die "$OUTPUT_DIR/$file cannot be moved by uid $(id -u): remove it"
  done
}

# ---- training and merging --------------------------------------------------------------------------

# What would fail after hours of training should fail now.
check_ahead() {
  local file
  [ "$rank" -eq 0 ] || return 0
  if [ "${RESTORE_BASE_FILES:-}" = true ]; then
    : "${MODEL_DIR:?RESTORE_BASE_FILES needs MODEL_DIR}"
    for file in "${BASE_FILES[@]}"; do [ ! -e "$MODEL_DIR/$file" ] || base_file "$file" >/dev/null; done
  fi
  [ -n "${OUTPUT_MODEL_URL:-}" ] || return 0
  [ -n "${PUSH_BRANCH:-}${JOB_NAME:-}" ] || die "the branch to push needs PUSH_BRANCH or JOB_NAME"
  ! holds_login "$OUTPUT_MODEL_URL" || die "OUTPUT_MODEL_URL holds a user or token: leave them to the git secret"
  require_url "$OUTPUT_MODEL_URL"
  require_branch "${PUSH_BRANCH:-$JOB_NAME}"
  remember_git_settings
  rm -f "$scratch/log"
  local status=0
  run ask_server || status=$?
  end_leftovers
  [ "$status" -ne 0 ] || return 0
  [ -e "$scratch/log" ] || exit 1
  cat "$scratch/log" >&2
  ! hopeless || die "$(reason "$OUTPUT_MODEL_URL")"
  say "warning: $OUTPUT_MODEL_URL does not answer now; going on, the push comes later"
}

# In a process of its own: git's HOME must not become the trainer's.
ask_server() {
  set_up_git
  with_token timeout --foreground 60 git -C "$HOME" ls-remote --heads "$OUTPUT_MODEL_URL" >/dev/null 2>"$scratch/log"
}

train() {
  if finished; then
    say "this training has finished before; its result in $OUTPUT_DIR is used"
    return
  fi
  await_peers
  [ -z "${TRAIN_CONFIG:-}" ] || settle_output_dir
  join_sweep
  put "$OUTPUT_DIR/$STARTED-$rank" "$print ${JOB_NAME:-}"
  local status=0
  if [ -n "${TRAIN_CONFIG:-}" ]; then run_trainer || status=$?; else run_command "$@" || status=$?; fi
  leave_if_stopped
  [ "$status" -eq 0 ] || leave_failed "$status"
  put "$OUTPUT_DIR/$FINISHED-$rank" "$print"
  say "training is done"
  join_sweep
}

# What took the trainer away where it was killed (137) ends all nodes; a failed one of several may miss another.
leave_failed() {
  local code=1
  if [ "$1" -eq 137 ]; then code=137; elif [ "$NODES" -gt 1 ]; then code=$FAULT_OF_SOME_NODE; fi
  say "training ended with exit code $1"
  exit "$code"
}

# The name is relative: torchrun's launcher splits its arguments at spaces.
run_trainer() {
  command -v llamafactory-cli >/dev/null || die "the image has no llamafactory-cli: choose an image with LLaMA-Factory"
  put train.yaml "$TRAIN_CONFIG"
  say "llamafactory-cli train train.yaml in $PWD"
  run llamafactory-cli train train.yaml
}

# A program, even where a function of this script has its name.
run_command() {
  type -P -- "$1" >/dev/null || die "the image has no $1: choose an image that has it"
  say "running: $1"
  run exec -- "$@"
}

merge() {
  result=$OUTPUT_DIR
  [ -n "${EXPORT_CONFIG:-}" ] || { settle_config "$result" && return; }
  result=$EXPORT_DIR
  if [ "$(cat "$EXPORT_DIR/$FINISHED" 2>/dev/null)" = "$print" ]; then
    say "merged before; $EXPORT_DIR is used"
    return
  fi
  export_model
  restore_base_files "$EXPORT_DIR.partial"
  settle_config "$EXPORT_DIR.partial"
  put "$EXPORT_DIR.partial/$FINISHED" "$print"
  rm -rf "$EXPORT_DIR" && mv -fT "$EXPORT_DIR.partial" "$EXPORT_DIR"
}

export_model() {
  local status=0
  say "merging into $EXPORT_DIR"
  put export.yaml "$EXPORT_CONFIG"
  rm -rf "$EXPORT_DIR.partial"
  run env -u FORCE_TORCHRUN -u NNODES -u NODE_RANK -u NPROC_PER_NODE -u MASTER_ADDR \
    -u MASTER_PORT -u RANK -u WORLD_SIZE -u ACCELERATE_USE_FSDP llamafactory-cli export export.yaml "export_dir=$EXPORT_DIR.partial" || status=$?
  leave_if_stopped
  [ "$status" -eq 0 ] || die "the merge ended with exit code $status; the trained weights are in $OUTPUT_DIR"
  [ -d "$EXPORT_DIR.partial" ] || die "the merge wrote nothing to $EXPORT_DIR.partial"
}

# transformers 5 writes a config.json and tokenizer files that transformers 4 misreads; the base's own
# are right for both as long as vocabulary and architecture are the base's. They are pushed, so a link
# among them counts only for a file of the same folder.
restore_base_files() {
  local file
  [ "${RESTORE_BASE_FILES:-}" = true ] || return 0
  read_chat "$1"
  for file in "${BASE_FILES[@]}"; do
    [ ! -e "$MODEL_DIR/$file" ] || cp -fPT --remove-destination "$(base_file "$file")" "$1/$file"
  done
  say "configuration and tokenizer files are the base model's"
  settle_chat "$1"
}

# What the base's files do not know: the token that ends a turn of the template, which LLaMA-Factory makes the
# tokenizer's end (`replace_eos`, data/template.py), and its chat template where the base has none. Without them a model
# that learned to chat from a base model never stops.
#
# `read` prints what the files in a folder say, `settle` writes what is printed so into the files of another.
# shellcheck disable=SC2016
CHAT='
import json, os, sys

def load(name):
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        return {}
    return found if isinstance(found, dict) else {}

def text(token):
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else ""

def read():
    settings, tokenizer = load("tokenizer_config.json"), load("tokenizer.json")
    ids = {text(token): token["id"] for token in tokenizer.get("added_tokens") or ()}
    ids |= {text(token): int(key) for key, token in (settings.get("added_tokens_decoder") or {}).items()}
    end = text(settings.get("eos_token"))
    return {"end": end, "id": ids.get(end), "template": text(settings.get("chat_template"))}

def change(name, **changes):
    found = load(name)
    if not found or found | changes == found:
        return
    new = os.path.join(folder, name + ".new")
    with open(new, "x", encoding="utf-8") as file:
        file.write(json.dumps(found | changes, indent=2, ensure_ascii=False) + "\n")
    os.replace(new, os.path.join(folder, name))

def settle(learned):
    settings, generation = load("tokenizer_config.json"), load("generation_config.json")
    if learned["end"] and learned["end"] != text(settings.get("eos_token")):
        change("tokenizer_config.json", eos_token=learned["end"])
        change("special_tokens_map.json", eos_token=learned["end"])
        known = generation.get("eos_token_id")
        known = known if isinstance(known, list) else [] if known is None else [known]
        if learned["id"] is not None and learned["id"] not in known:
            change("generation_config.json", eos_token_id=[learned["id"], *known])
        print("a turn ends with " + learned["end"])
    if learned["template"] and not settings.get("chat_template") and not os.path.lexists(folder + "/chat_template.jinja"):
        change("tokenizer_config.json", chat_template=learned["template"])

folder = sys.argv[2]
try:
    if sys.argv[1] == "read":
        print(json.dumps(read()))
    else:
        settle(json.loads(sys.argv[3]))
except (OSError, ValueError, LookupError, TypeError, RecursionError) as problem:
    sys.exit(f"{problem!r}")
'

# What training taught stays known while the files are the base's.
read_chat() { learned=$(in_python "$CHAT" read "$1" 2>"$scratch/log") || say "warning: $1: how a turn ends is not known: $(tail -n 1 "$scratch/log")"; }

settle_chat() {
  local ending
  [ -n "$learned" ] || return 0
  if ending=$(in_python "$CHAT" settle "$1" "$learned" 2>"$scratch/log"); then
    [ -z "$ending" ] || say "$ending"
  else
    say "warning: $1: turns end as the base's do: $(tail -n 1 "$scratch/log")"
  fi
}

# LLaMA-Factory writes the length of stretched positions as 4096.0 (model/model_utils/rope.py), which transformers 5
# refuses. And a merge writes both embeddings where both were trained, of which what reads them would take the first
# for both, as config.json ties them.
settle_config() {
  local config=$1/config.json text
  [ -n "${TRAIN_CONFIG:-}" ] && plain "$config" || return 0
  text=$(sed -E 's/("max_position_embeddings": *[0-9]+)\.0([^0-9eE]|$)/\1\2/' "$config")
  if [ "$1" != "$OUTPUT_DIR" ] && trained_both_embeddings; then
    case $text in
      *'"tie_word_embeddings"'*) text=$(sed -E 's/("tie_word_embeddings": *)true/\1false/' <<<"$text") ;;
      *) text=$(sed '0,/{/s//{\n  "tie_word_embeddings": false,/' <<<"$text") ;;
    esac
  fi
  [ "$text" = "$(cat "$config")" ] || put "$config" "$text"
}

trained_both_embeddings() {
  local adapter=$OUTPUT_DIR/adapter_config.json text
  plain "$adapter" || return 1
  text=$(tr -d '[:space:]' <"$adapter")
  [[ $text =~ \"modules_to_save\":\[([^]]*)\] ]] || return 1
  [[ ${BASH_REMATCH[1]} == *'"embed_tokens"'* && ${BASH_REMATCH[1]} == *'"lm_head"'* ]]
}

base_file() {
  file_within "$MODEL_DIR" "$1" ||
    die "$MODEL_DIR/$1 leads to no file of that folder, and would be pushed: put the file itself there, or remove it"
}

# The regular file that a path in a folder leads to, links followed, as long as it lies in that folder.
file_within() {
  local root real
  root=$(readlink -e -- "$1") && real=$(readlink -e -- "$1/$2") && [ -f "$real" ] || return 1
  case $real in "$root"/.git/*) return 1 ;; "$root"/*) printf '%s\n' "$real" ;; *) return 1 ;; esac
}

# ---- pushing ---------------------------------------------------------------------------------------

push() {
  [ -n "${OUTPUT_MODEL_URL:-}" ] || { say "nothing is pushed: no OUTPUT_MODEL_URL. The result is in $result" && return; }
  push_dir=$result/.ftgen-push branch=${PUSH_BRANCH:-$JOB_NAME}
  collect
  [ -n "$(find "$push_dir" -mindepth 1 -print -quit)" ] || { say "nothing is pushed: $result is empty" && return; }
  set_up_git
  make_tree
  push_persistently
}

# Links to the final files in a folder of their own: not checkpoints, optimizer states and logs. Only
# regular files of the result: a link in it may lead to anything that this user can read.
collect() {
  local path
  rm -rf "$push_dir" && mkdir -p "$push_dir"
  while IFS= read -r -d '' path; do
    final "${path%%/*}" || continue
    take_in "$result" "$path" "$path"
  done < <(cd -- "$result" && find . -name .git -prune -o -path './.ftgen-*' -prune -o ! -type d -printf '%P\0')
  collect_tracking_files
}

# The trackers' own links lead to files that are there anyway.
collect_tracking_files() {
  local path
  [ "${TRACKING_PUSH:-}" = true ] && [ -d "$TRACKING_DIR" ] || return 0
  while IFS= read -r -d '' path; do
    take_in "$TRACKING_DIR" "$path" "runs/$path"
  done < <(cd -- "$TRACKING_DIR" && find . -name .git -prune -o -type f -printf '%P\0')
}

# A file of a folder under a name of its own; what has that name already is another link to its file.
take_in() {
  local file copy=$push_dir/$3
  [ ! -e "$copy" ] || return 0
  file=$(file_within "$1" "$2") || { say "warning: $1/$2 is no file of that folder: not pushed" && return; }
  mkdir -p "${copy%/*}"
  ln "$file" "$copy" 2>/dev/null || cp -PT "$file" "$copy"
  plain "$copy" || die "$1 changes while it is pushed: $2"
}

# LLaMA-Factory leaves much beside the result; what a command leaves is its result.
final() {
  [ -n "${TRAIN_CONFIG:-}" ] || return 0
  case $1 in
    .*) return 1 ;;
    checkpoint-* | global_step* | incomplete.* | unfinished | *.partial | *.push) return 1 ;;
    optimizer* | scheduler.* | scaler.* | rng_state* | training_args.bin | latest | zero_to_fp32.py) return 1 ;;
    runs | wandb | mlruns | swanlog | __pycache__) return 1 ;;
  esac
}

# What the image sets for git is read before training: code that came with a model may write there.
remember_git_settings() {
  [ -r "$HOME/.gitconfig" ] || return 0
  mapfile -d '' -t image_settings < <(git config --file "$HOME/.gitconfig" --includes --list -z)
}

# The user's git settings live in a private HOME: git before 2.38 takes safe.directory from a file
# only. No secret is in it: the credential helper reads the environment, which holds the token for
# commands that ask the server and for no others. It is a new folder each time, so that nobody has
# put anything there, and git looks for settings of a repository in no folder above it.
set_up_git() {
  local setting
  command -v git >/dev/null || die "the image has no git; the result is in $result"
  git lfs version >/dev/null 2>&1 || die "the image has no git-lfs; the result is in $result"
  trust_certificates
  HOME=$(mktemp -d "$scratch/git.XXXXXX")
  export HOME GIT_CEILING_DIRECTORIES=$scratch
  for setting in ${image_settings[@]+"${image_settings[@]}"}; do
    case $setting in include*) ;; *$'\n'*) git_setting "${setting%%$'\n'*}" "${setting#*$'\n'}" ;; *) git_setting "$setting" true ;; esac
  done
  git_setting safe.directory '*'
  git_setting credential.helper ''
  offer_token "$OUTPUT_MODEL_URL"
  git_setting init.defaultBranch main
  git_setting user.name ftgen
  git_setting user.email ftgen@localhost
  git_setting core.excludesFile /dev/null
  git_setting http.lowSpeedLimit 1
  git_setting http.lowSpeedTime 600
  git_setting http.postBuffer 16777216
  git_setting lfs.activitytimeout 1800
  git_setting lfs.locksverify false
  export GIT_TERMINAL_PROMPT=0 GIT_ASKPASS='' SSH_ASKPASS='' LC_ALL=C
  export GIT_ALLOW_PROTOCOL=http:https:ssh:git:file
  unset GIT_CONFIG_GLOBAL XDG_CONFIG_HOME
}

git_setting() { git config --file "$HOME/.gitconfig" --add "$1" "$2"; }

# git takes any value of GIT_SSL_NO_VERIFY for yes, even "false"; git-lfs reads the word.
trust_certificates() {
  case ${GIT_SSL_NO_VERIFY:-} in
    true | 1 | yes) export GIT_SSL_NO_VERIFY=true ;;
    *) unset GIT_SSL_NO_VERIFY ;;
  esac
  [ -n "${GIT_SSL_CAINFO:-}" ] || { unset GIT_SSL_CAINFO && return 0; }
  [ -r "$GIT_SSL_CAINFO" ] || die "GIT_SSL_CAINFO names $GIT_SSL_CAINFO, which cannot be read: is the secret mounted?"
}

# The token goes to the host of this URL and to no other, wherever redirects may point.
offer_token() {
  local rest=${1#*://}
  [ -n "${git_token:-}" ] || return 0
  # shellcheck disable=SC2016
  git_setting "credential.${1%%://*}://${rest%%/*}.helper" \
    '!f() { test "$1" = get && printf "username=%s\npassword=%s\n" "$GIT_USER" "$GIT_TOKEN"; }; f'
}

with_token() { GIT_USER=${git_user:-} GIT_TOKEN=${git_token:-} "$@"; }

in_push() { git -C "$push_dir" "$@"; }

make_tree() {
  say "preparing $(du -sh "$push_dir" | cut -f1) from $result for branch $branch"
  rm -rf "$push_dir/.git"
  in_push init -q --template= ${format:+--object-format=$format}
  in_push remote add origin "$OUTPUT_MODEL_URL"
  in_push lfs install --local >/dev/null
  write_model_card
  write_attributes
  run git -C "$push_dir" add --force --all . || die "git could not take in $result (is the volume full?)"
}

write_model_card() {
  [ -n "${MODEL_CARD:-}" ] || return 0
  rm -rf "$push_dir/README.md"
  {
    printf '%s\n' "${MODEL_CARD%$'\n'}"
    fetched 'base model' "${MODEL_DIR:-}"
    fetched 'data set' "${DATASET_DIR:-}"
  } >"$push_dir/README.md"
}

# The card ends in a list: the commits behind the names that it gives, as prepare left word of them.
fetched() {
  local commit
  [ -n "$2" ] || return 0
  plain "$2/.ftgen-source" || return 0
  commit=$(sed -n 's/^commit \([0-9a-f]*\)$/\1/p' "$2/.ftgen-source" | head -n 1)
  [ -z "$commit" ] || printf '\n- %s commit %s\n' "$1" "$commit"
}

# Weights by pattern, whatever else is large by name.
write_attributes() {
  local path
  rm -rf "$push_dir/.gitattributes"
  {
    printf '%s\n' '*.safetensors' '*.bin' '*.pt' '*.pth' '*.gguf' '*.onnx' '*.h5' '*.msgpack' '*.npz'
    find "$push_dir" -path "$push_dir/.git" -prune -o -type f -size +10485760c -printf '/%P\0' |
      LC_ALL=C sort -z | LC_ALL=C sed -z 's/[][*?\\]/\\&/g; s/[[:space:]]/[[:space:]]/g' | tr '\0' '\n'
  } | while read -r path; do
    printf '%s filter=lfs diff=lfs merge=lfs -text\n' "$path"
  done >"$push_dir/.gitattributes"
}

push_persistently() {
  local try=1 pause=$RETRY_SECONDS
  until run logged with_token push_once; do
    leave_if_stopped
    ! learn_format || { make_tree; continue; }
    [ "$try" -lt "$PUSH_RETRIES" ] || die "$(reason "$OUTPUT_MODEL_URL"). Tried $try times. The weights are still in $result on the volume; run the job again: what has finished is not repeated"
    say "$(reason "$OUTPUT_MODEL_URL") (attempt $try of $PUSH_RETRIES), again in $pause s"
    run sleep "$pause" || true
    leave_if_stopped
    try=$((try + 1)) pause=$((pause < 60 ? pause * 2 : 120))
  done
  say "pushed $result to $OUTPUT_MODEL_URL, branch $branch"
}

# git takes a new repository for one of SHA-1, and learns of the other kind from the server's refusal.
learn_format() { [ -z "$format" ] && said "$SHA256" && format=sha256; }

logged() { "$@" 2>&1 | tee "$scratch/log" >&2; }

# What a repository or a file is called is none of git's words.
said() { sed -E "s#[a-z]+://[^[:space:]']*##g; s#'[^'[:space:]]*/[^'[:space:]]*'##g" "$scratch/log" | grep -E "$1" >/dev/null; }

REFUSED='Authentication failed|Access denied|could not read Username|Authentication required|Authorization error|returned error: 40[13]'
UNTRUSTED='certificate|x509'
SHA256="mismatched algorithms|this repository's (object format|hash algorithm)"
ABSENT='repository .* not found|returned error: 404'

hopeless() { said "$REFUSED|$UNTRUSTED|$ABSENT"; }

reason() {
  if said "$REFUSED"; then
    echo "the server refused the user or token for $1: the git secret must be allowed to push"
  elif said "$UNTRUSTED"; then
    echo "the certificate of $1 is not trusted: set GIT_SSL_CAINFO, or GIT_SSL_NO_VERIFY=true"
  elif said 'remote rejected|hook declined|protected branch|pre-receive'; then
    echo "the server refused branch $branch (a protected branch or a hook): see its words above"
  elif said "$ABSENT"; then
    echo "$1 is not there, or the user may not see it: create the repository"
  else
    echo "pushing to $1 failed"
  fi
}

# On top of what an earlier attempt pushed, so that nothing is forced and a protected branch may be used.
push_once() {
  local tree tip='' commit
  tree=$(in_push write-tree) && tip=$(in_push ls-remote origin "refs/heads/$branch" | cut -f1) || return
  if [ -n "$tip" ]; then
    in_push fetch -q --depth 1 origin "+refs/heads/$branch:refs/remotes/origin/$branch" || return
    tip=$(in_push rev-parse "refs/remotes/origin/$branch") || return
    echo "$tip" >"$scratch/commit"
    [ "$tree" != "$(in_push rev-parse "$tip^{tree}")" ] || { echo "branch $branch holds this already" && return; }
  fi
  commit=$(commit_message | in_push commit-tree "$tree" ${tip:+-p "$tip"}) || return
  in_push push origin "$commit:refs/heads/$branch" && echo "$commit" >"$scratch/commit"
}

commit_message() {
  printf '%s\n\n' "${JOB_NAME:-Training}"
  [ -z "${BASE_MODEL_URL:-}" ] || printf 'Base model: %s %s\n' "$BASE_MODEL_URL" "${MODEL_REVISION:-}"
  [ -z "${DATASET_URL:-}" ] || printf 'Dataset: %s %s\n' "$DATASET_URL" "${DATASET_REVISION:-}"
}

# ---- the story -------------------------------------------------------------------------------------

trap clean_up EXIT
trap 'forward TERM' TERM
trap 'forward INT' INT
require_numbers NNODES NPROC_PER_NODE MASTER_PORT PEER_TIMEOUT PUSH_RETRIES RETRY_SECONDS GRACE_PERIOD
NODES=$NNODES
[ -n "${TRAIN_CONFIG:-}" ] || [ "$#" -gt 0 ] || die "there is neither a TRAIN_CONFIG nor a command to run"
enter_work_dir
make_scratch
settle_environment
find_ranks
settle_tracking
if [ -n "${TRAIN_CONFIG:-}" ]; then name_sharding; else name_ranks_for_command; fi
check_ahead
print=$(fingerprint "$@")
train "$@"
if [ "$rank" -ne 0 ]; then
  say "node 0 merges and pushes; this node is done"
  exit 0
fi
merge
push
register
