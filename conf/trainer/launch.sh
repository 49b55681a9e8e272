# shellcheck shell=bash
# launch: puts the pods of a master and its workers into one order, and starts the script that trains.
#
# The master is node 0 and the workers follow it, in the variables by which train.sh finds the nodes of a single task.
# So the order of nodes is the same for every launcher, and is the one that Volcano's pytorch plugin gives.
#
# Reads: TASK_NAME, and Volcano's VC_MASTER_HOSTS VC_WORKER_HOSTS VC_TASK_INDEX. Its arguments are the script and those
# of the script.
set -euo pipefail

die() {
  printf 'launch: error: %s\n' "${*//[[:cntrl:]]/ }" >&2
  exit 1
}

for variable in VC_MASTER_HOSTS VC_WORKER_HOSTS; do
  [ -n "${!variable:-}" ] || die "$variable is not set: the job needs plugins svc: [] and the tasks master and worker"
done
[[ ${VC_TASK_INDEX:-} =~ ^[0-9]{1,9}$ ]] || die "VC_TASK_INDEX is '${VC_TASK_INDEX:-}': the job needs plugins env: []"
case ${TASK_NAME:-} in
  master) ;;
  worker) VC_TASK_INDEX=$((10#$VC_TASK_INDEX + 1)) ;;
  *) die "TASK_NAME is '${TASK_NAME:-}': a pod belongs to the task master or worker" ;;
esac
# RANK and WORLD_SIZE of the pytorch plugin count pods: train.sh says them to a command, torchrun to its processes.
unset RANK WORLD_SIZE
export VC_TASK_INDEX VC_TRAIN_HOSTS=$VC_MASTER_HOSTS,$VC_WORKER_HOSTS
exec "$BASH" "$@"
