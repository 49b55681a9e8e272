# shellcheck shell=bash
# ray: runs a command on the head of a Ray cluster that the nodes of the job form.
#
# It stands in the place of a command of train.sh, in the workspace. Node 0 is the head: it starts Ray, waits until all
# nodes have joined, and runs the command, whose ray.init() finds the cluster by RAY_ADDRESS. The other nodes serve until
# the head has ended.
#
# Reads: NNODES NODE_RANK MASTER_ADDR MASTER_PORT PEER_TIMEOUT. The image needs ray, and the python that imports it.
set -euo pipefail

say() {
  local text=$*
  printf 'ray: %s\n' "${text//[[:cntrl:]]/ }" >&2
}
die() {
  say "error: $*"
  exit 1
}

needs() {
  local program
  for program; do type -P -- "$program" >/dev/null || die "the image has no $program: choose an image that has it"; done
}

# The head listens when its pod has fetched what this one has fetched too.
serve() {
  local deadline=$((SECONDS + PEER_TIMEOUT))
  until (: >"/dev/tcp/$MASTER_ADDR/$MASTER_PORT") 2>/dev/null; do
    ((SECONDS < deadline)) || die "Ray's head does not listen at $RAY_ADDRESS after $PEER_TIMEOUT s: look at the log of that pod"
    sleep 1
  done
  say "node $NODE_RANK joins $RAY_ADDRESS"
  ray start --address="$RAY_ADDRESS" --block || true
  die "Ray has ended on this node: its head is gone, or refused it"
}

COUNT='
import sys, time
import ray
ray.init(logging_level="ERROR", log_to_driver=False)
while sum(node["Alive"] for node in ray.nodes()) < int(sys.argv[1]):
    time.sleep(1)
'

# Programs ask at once for the cards of all nodes, and fail where one has not joined.
await_nodes() {
  needs python3
  timeout --foreground "$PEER_TIMEOUT" python3 -c "$COUNT" "$NNODES" ||
    die "the $NNODES nodes have not joined Ray after $PEER_TIMEOUT s: look at the logs of the other pods"
  say "$NNODES nodes have joined"
}

# ---- the story -------------------------------------------------------------------------------------

# Ray tells its own processes their ranks; those of the nodes would contradict it.
unset RANK WORLD_SIZE
export RAY_ADDRESS=$MASTER_ADDR:$MASTER_PORT RAY_USAGE_STATS_ENABLED=0
needs ray
[ "$NODE_RANK" -eq 0 ] || serve
needs "$1"
ray start --head --port="$MASTER_PORT"
[ "$NNODES" -eq 1 ] || await_nodes
exec -- "$@"
