# shellcheck shell=bash
# mpi: runs a command of MPI on the master, and on all nodes the ssh server by which mpirun reaches them.
#
# It stands in the place of a command of train.sh, in the workspace. mpirun of Open MPI, MPICH and Intel finds the nodes by
# itself, by `hostfile` and `machinefile`, which lie in the workspace; other launchers take one of them as an argument.
# What ssh starts on a worker has the environment of the worker's container. A worker serves until the master has ended.
#
# Reads: NNODES NODE_RANK NPROC_PER_NODE PEER_TIMEOUT, Volcano's VC_TRAIN_HOSTS, and SSH_KEYS SSH_PORT of its ssh plugin.
# The image needs ssh, sshd and ssh-keygen, and an account of its user.
set -euo pipefail

say() {
  local text=$*
  printf 'mpi: %s\n' "${text//[[:cntrl:]]/ }" >&2
}
die() {
  say "error: $*"
  exit 1
}

needs() {
  local program
  for program; do type -P -- "$program" >/dev/null || die "the image has no $program: choose an image that has it"; done
}

# ---- every node ------------------------------------------------------------------------------------

list_nodes() {
  local host
  # The workspace may be a shared one: no link is written through.
  rm -f hostfile machinefile
  IFS=, read -ra hosts <<<"${VC_TRAIN_HOSTS:-localhost}"
  for host in "${hosts[@]}"; do printf '%s slots=%s\n' "$host" "$NPROC_PER_NODE"; done >hostfile
  for host in "${hosts[@]}"; do printf '%s:%s\n' "$host" "$NPROC_PER_NODE"; done >machinefile
}

# ssh refuses a private key that others may read, and the user of the container does not own the mounted one.
set_up_ssh() {
  needs ssh ssh-keygen
  [[ ${SSH_PORT:-} =~ ^[0-9]{1,5}$ ]] || die "SSH_PORT is '${SSH_PORT:-}': it must be a port"
  folder=$(mktemp -d "${TMPDIR:-/tmp}/mpi.XXXXXX")
  install -m 600 -- "$SSH_KEYS/id_rsa" "$SSH_KEYS/authorized_keys" "$folder" ||
    die "the keys of the job are not in $SSH_KEYS: it needs plugins ssh: [--ssh-key-file-path=$SSH_KEYS]"
  printf '%s\n' 'Host *' "  Port $SSH_PORT" "  IdentityFile \"$folder/id_rsa\"" '  IdentitiesOnly yes' '  BatchMode yes' \
    '  ConnectTimeout 10' '  StrictHostKeyChecking no' '  UserKnownHostsFile /dev/null' '  LogLevel ERROR' >"$folder/ssh_config"
  mkdir "$folder/bin"
  # Every launcher calls ssh by its name, on the workers too where there are many.
  printf '#!/bin/bash\nexec %q -F %q "$@"\n' "$(type -P ssh)" "$folder/ssh_config" >"$folder/bin/ssh"
  chmod 755 "$folder/bin/ssh"
  export PATH=$folder/bin:$PATH
}

# ssh gives a session an environment of its own: the script puts back that of the container.
# shellcheck disable=SC2016
SESSION='. "${BASH_SOURCE[0]%/*}/environment"
cd -- "$WORK_DIR" || exit
exec /bin/bash -c "$SSH_ORIGINAL_COMMAND"'

# The master has a server too: launchers such as DeepSpeed's reach every node by ssh, their own as well.
set_up_server() {
  server=$(type -P sshd || echo /usr/sbin/sshd)
  [ -x "$server" ] || die "the image has no sshd: choose an image that has it, such as one with openssh-server"
  ssh-keygen -q -t ed25519 -N '' -f "$folder/host_key"
  (umask 077 && export -p >"$folder/environment")
  printf '%s\n' "$SESSION" >"$folder/session"
  printf '%s\n' "Port $SSH_PORT" "HostKey \"$folder/host_key\"" "AuthorizedKeysFile \"$folder/authorized_keys\"" \
    'AuthenticationMethods publickey' 'PermitRootLogin prohibit-password' 'StrictModes no' 'UsePAM no' 'PidFile none' \
    'MaxStartups 4096' 'MaxSessions 4096' "ForceCommand /bin/bash $(printf %q "$folder/session")" >"$folder/sshd_config"
  [ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
}

# ---- a worker --------------------------------------------------------------------------------------

serve() {
  say "node $NODE_RANK waits for the master on port $SSH_PORT"
  "$server" -D -e -f "$folder/sshd_config" || true
  die "the ssh server has ended"
}

# ---- the master ------------------------------------------------------------------------------------

# Where Open MPI to 4 and from 5 on, MPICH and Intel MPI look for the nodes. The first two refuse to run as root, the user
# of most images, unless they are told twice.
name_nodes() {
  export OMPI_MCA_orte_default_hostfile=$PWD/hostfile OMPI_MCA_orte_keep_fqdn_hostnames=true
  export PRTE_MCA_prte_default_hostfile=$PWD/hostfile PRTE_MCA_prte_keep_fqdn_hostnames=true
  export HYDRA_HOST_FILE=$PWD/machinefile I_MPI_HYDRA_HOST_FILE=$PWD/machinefile
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  export PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
}

# A worker can be reached when it has fetched what the master has fetched too.
await_nodes() {
  local host deadline=$((SECONDS + PEER_TIMEOUT))
  "$server" -E "$folder/sshd_log" -f "$folder/sshd_config"
  for host in "${hosts[@]}"; do
    until ssh "$host" true 2>/dev/null; do
      ((SECONDS < deadline)) || die "$host cannot be reached by ssh after $PEER_TIMEOUT s: look at the log of that pod"
      sleep 1
    done
  done
  say "${#hosts[@]} nodes with $NPROC_PER_NODE process(es) each"
}

# ---- the story -------------------------------------------------------------------------------------

# Each process learns its rank from its launcher; those of the nodes would contradict it.
unset RANK WORLD_SIZE
if [ "$NNODES" -gt 1 ]; then
  set_up_ssh
  set_up_server
fi
[ "$NODE_RANK" -eq 0 ] || serve
needs "$1"
list_nodes
name_nodes
if [ "$NNODES" -gt 1 ]; then await_nodes; fi
exec -- "$@"
