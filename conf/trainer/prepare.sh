# shellcheck shell=bash
# prepare: brings the base model, the dataset and an adapter from their git repositories onto the volume.
#
# What is complete is used as it is, without a request to the network. What is missing or partial is
# fetched beside its place, checked, and renamed into it, so that a folder under its final name is
# always whole; what somebody else put there or changed is kept beside it. Any number of pods and jobs may
# share the volume: a lock lets one of them fetch while the others wait. A killed fetch leaves its large
# files behind, and the next one continues with them.
#
# The content of a repository is anybody's: no link in it may leave its folder, no name in it is taken
# for a line of a list, and git never runs with settings that came with it.
#
# Reads: BASE_MODEL_URL MODEL_DIR MODEL_REVISION MODEL_NEEDS_MIB, DATASET_URL DATASET_DIR
# DATASET_REVISION DATASET_NEEDS_MIB DATASET_INFO DATASET_NAMES DATASET_ARGUMENTS, ADAPTER_URL ADAPTER_DIR
# ADAPTER_REVISION, GIT_USER GIT_TOKEN GIT_SSL_NO_VERIFY GIT_SSL_CAINFO; LOCK_TIMEOUT, FETCH_RETRIES and RETRY_SECONDS
# have defaults. It brings what has a folder: a model by MODEL_DIR, a data set by DATASET_DIR, an adapter by ADAPTER_DIR.

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

set -euo pipefail

LOCK_TIMEOUT=${LOCK_TIMEOUT:-120}
FETCH_RETRIES=${FETCH_RETRIES:-5}
RETRY_SECONDS=${RETRY_SECONDS:-5}
MARKER=.ftgen-source
INFO_RECORD=.ftgen-dataset-info
UNTRUSTED='certificate|x509'
SHA256="mismatched algorithms|this repository's (object format|hash algorithm)"
POINTER='^version (https://git-lfs.github.com/spec/v1|https://hawser.github.com/spec/v1|http://git-media.io/v/2)'

kind=start scratch='' lock='' work='' heart='' child='' main=$BASHPID

# Names of files stand in messages: one with a line break must not look like a message of its own.
say() {
  local text=$*
  printf 'prepare: %s: %s\n' "$kind" "${text//[[:cntrl:]]/ }" >&2
}
die() {
  say "error: $*"
  exit 1
}

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

require_revision() {
  case $1 in
    -*) die "the revision must not begin with a dash" ;;
    +* | *..* | *[[:space:][:cntrl:]:^~?*[\\]*) die "the revision '$1' is not the name of a branch, a tag or a commit" ;;
  esac
}

# ---- leaving ---------------------------------------------------------------------------------------

clean_up() {
  local status=$?
  trap - EXIT TERM INT
  [ -z "$child" ] || kill -TERM -- "-$child" 2>/dev/null || true
  forget_empty_work
  release_lock
  [ -z "$scratch" ] || rm -rf "$scratch"
  exit "$status"
}

# Large files that were fetched stay for the next attempt; anything less is not worth keeping.
forget_empty_work() {
  [ -n "$work" ] || return 0
  rm -rf "$work/tree" "$work/store" "$work/index" 2>/dev/null || true
  [ -d "$work/lfs/objects" ] || [ -d "$work/lfs/incomplete" ] || rm -rf "$work" 2>/dev/null || true
}

# A command in its own process group, so that a signal for this script reaches all of it at once.
run() {
  local status=0
  set -m
  "$@" &
  child=$!
  set +m
  wait "$child" || status=$?
  child=''
  return "$status"
}

# ---- git -------------------------------------------------------------------------------------------

# The user's git settings live in a private HOME: git before 2.38 takes safe.directory from a file
# only, and non-root users often have no HOME to write to. No secret is in it: the credential helper
# reads the environment, which holds the token for commands that ask the server and for no others.
set_up_git() {
  [ -z "$scratch" ] || return 0
  command -v git >/dev/null || die "the image has no git"
  git lfs version >/dev/null 2>&1 || die "the image has no git-lfs: install it, or choose an image that has it"
  make_scratch
  trust_certificates
  [ ! -r "${HOME:-}/.gitconfig" ] || git_setting include.path "$HOME/.gitconfig"
  git_setting safe.directory '*'
  git_setting credential.helper ''
  offer_token "${BASE_MODEL_URL:-}"
  offer_token "${DATASET_URL:-}"
  offer_token "${ADAPTER_URL:-}"
  git_setting advice.detachedHead false
  git_setting init.defaultBranch main
  git_setting http.lowSpeedLimit 1
  git_setting http.lowSpeedTime 600
  git_setting lfs.activitytimeout 1800
  git_setting core.hooksPath /dev/null
  export HOME=$scratch GIT_TERMINAL_PROMPT=0 GIT_ASKPASS='' SSH_ASKPASS='' LC_ALL=C
  export GIT_ALLOW_PROTOCOL=http:https:ssh:git:file
  unset GIT_CONFIG_GLOBAL XDG_CONFIG_HOME
}

git_setting() { git config --file "$scratch/.gitconfig" --add "$1" "$2"; }

make_scratch() {
  local place
  for place in "${TMPDIR:-/tmp}" /dev/shm "$parent"; do
    scratch=$(mktemp -d "$place/prepare.XXXXXX" 2>/dev/null) && return
  done
  die "nowhere to write temporary files: mount an emptyDir at /tmp"
}

# git takes any value of GIT_SSL_NO_VERIFY for yes, even "false"; git-lfs reads the word.
trust_certificates() {
  case ${GIT_SSL_NO_VERIFY:-} in
    true | 1 | yes) export GIT_SSL_NO_VERIFY=true ;;
    *) unset GIT_SSL_NO_VERIFY ;;
  esac
  [ -n "${GIT_SSL_CAINFO:-}" ] || { unset GIT_SSL_CAINFO && return 0; }
  [ -r "$GIT_SSL_CAINFO" ] || die "GIT_SSL_CAINFO names $GIT_SSL_CAINFO, which cannot be read: is the secret mounted?"
}

# The token goes to the host of this URL and to no other, wherever redirects or .lfsconfig may point.
offer_token() {
  local rest=${1#*://}
  [ -n "$1" ] && [ -n "${git_token:-}" ] || return 0
  # shellcheck disable=SC2016
  git_setting "credential.${1%%://*}://${rest%%/*}.helper" \
    '!f() { test "$1" = get && printf "username=%s\npassword=%s\n" "$GIT_USER" "$GIT_TOKEN"; }; f'
}

with_token() { GIT_USER=${git_user:-} GIT_TOKEN=${git_token:-} "$@"; }

in_store() { git -C "$work/store" "$@"; }

in_tree() { GIT_INDEX_FILE=$work/index git --git-dir "$work/store/.git" --work-tree "$work/tree" "$@"; }

logged() { "$@" 2>&1 | tee "$scratch/log" >&2; }

# Runs a command again, with growing pauses, as long as it fails for a reason that may pass.
persist() {
  local what=$1 try=1 pause=$RETRY_SECONDS
  shift
  until run logged "$@"; do
    ! learn_format || continue
    explain
    [ "$try" -lt "$FETCH_RETRIES" ] || die "$what failed $try times; the last output is above. What was fetched is kept: a new pod continues"
    say "$what failed (attempt $try of $FETCH_RETRIES), again in $pause s"
    run sleep "$pause"
    try=$((try + 1)) pause=$((pause < 60 ? pause * 2 : 120))
  done
}

# What a repository or a file is called is none of git's words.
said() { sed -E "s#[a-z]+://[^[:space:]']*##g; s#'[^'[:space:]]*/[^'[:space:]]*'##g" "$scratch/log" | grep -E "$1" >/dev/null; }

# git takes a new repository for one of SHA-1, and learns of the other kind from the server's refusal.
learn_format() { [ -z "$format" ] && said "$SHA256" && format=sha256; }

# Ends at once where a further attempt would change nothing.
explain() {
  if said 'Authentication failed|Access denied|could not read Username|Authentication required|Authorization error|returned error: 40[13]'; then
    die "the server refused the user or token for $url: check the git secret and that it may read this repository"
  elif said "$UNTRUSTED"; then
    die "the certificate of $url is not trusted: mount its authority and set GIT_SSL_CAINFO, or set GIT_SSL_NO_VERIFY=true"
  elif said "[Cc]ouldn't find remote ref|did not match any|not our ref|reference is not a tree|unable to read tree|unknown revision"; then
    die "$url has no branch, tag or commit ${revision:-HEAD}: correct the revision, or push something to the repository"
  elif said 'repository .* not found|returned error: 404|Object does not exist|Repository or object not found'; then
    die "$url or one of its large files is not there, or the user may not see it: check the URL and the git secret"
  elif said 'No space left|quota exceeded'; then
    die "the volume of $parent is full: free space or enlarge the claim; what was fetched is kept and a new pod continues"
  fi
}

# ---- what lies there -------------------------------------------------------------------------------

# Sets state to complete, absent, partial, other (another source) or unknown (somebody's files), and
# found to what is known about it.
# A marker beside .git came with the clone, for a fetch leaves no .git.
examine() {
  found=''
  if [ -f "$dir" ] || { [ -L "$dir" ] && [ ! -d "$dir" ]; }; then die "$dir is no folder: move it away"; fi
  if [ ! -e "$dir" ] || is_empty; then state=absent && return; fi
  refuse_escapes "$dir"
  if [ -d "$dir/.git" ] && [ ! -L "$dir/.git" ]; then
    examine_clone
  elif plain "$dir/$MARKER"; then
    examine_fetched
  else
    examine_filled
  fi
}

plain() { [ -f "$1" ] && [ ! -L "$1" ]; }

is_empty() { [ -z "$(find -H "$dir" -mindepth 1 -print -quit)" ]; }

# The trainer follows the links of a folder, and what it reads may be pushed: /proc/self/environ, or
# the files of others. Links that stay inside are fine.
refuse_escapes() {
  local root path shown=${2:-$1/}
  IFS= read -r -d '' root < <(readlink -fz -- "$1")
  while IFS= read -r -d '' path; do
    [ -L "$root/$path" ] || die "$shown$path is neither a file nor a folder: remove it"
    case $path in .ftgen-*) die "$shown$path is a link, under a name that is ftgen's own: remove it" ;; esac
    stays_inside "$root" "$path" ||
      die "$shown$path is a link to $(readlink -- "$root/$path"), which leads out of its folder: put the file itself there, or remove the link"
  done < <(cd -- "$root" && find . -path ./.git -type d -prune -o ! -type f ! -type d -printf '%P\0')
}

# As it is written, since /proc/self is another folder to each process, and as it ends, through other links.
stays_inside() {
  local link=$1/$2 text written ends
  IFS= read -r -d '' text < <(readlink -z -- "$link")
  case $text in /*) ;; *) text=${link%/*}/$text ;; esac
  IFS= read -r -d '' written < <(realpath -smz -- "$text")
  IFS= read -r -d '' ends < <(readlink -mz -- "$link")
  within "$1" "$written" && within "$1" "$ends"
}

within() { case $2/ in "$1/.git/"*) return 1 ;; "$1/"*) ;; *) return 1 ;; esac }

recorded() { sed -n "s/^$1 //p" "$dir/$MARKER"; }

examine_fetched() {
  local have_revision lost
  have_revision=$(recorded revision)
  found="commit $(recorded commit) of $(recorded url), revision ${have_revision:-(default)}"
  same_source "$(recorded url)" "$(recorded commit)" "$have_revision" || { state=other && return; }
  lost=$(LC_ALL=C comm -23 <(recorded file | LC_ALL=C sort) <(sizes "$dir"))
  state=complete
  [ -z "$lost" ] || { state=partial && say "files in $dir are lost or cut short: $(head -n 3 <<<"$lost" | tr '\n' ' ')"; }
}

# A row for each file, whatever its name holds.
sizes() { find -H "$1" -type f "${@:2}" -printf '%s %P\0' | LC_ALL=C sed -z 's/\\/\\\\/g; s/\n/\\n/g' | tr '\0' '\n' | LC_ALL=C sort; }

# A clone that somebody made here. git would run the commands that its configuration names (fsmonitor,
# hooks, filters, promisors), so git works on a store of its own that borrows the clone's objects.
examine_clone() {
  local origin='' commit
  set_up_git
  ! plain "$dir/.git/config" || origin=$(git config --file "$dir/.git/config" --get remote.origin.url || true)
  borrow_clone
  commit=$(in_clone rev-parse --quiet --verify 'HEAD^{commit}' 2>/dev/null || true)
  ! holds_login "$origin" || say "warning: $dir/.git/config holds a user or token in its URL: remove it and replace the token"
  found="commit ${commit:-(none)} of a clone of $(bare_url "${origin:-an unnamed repository}")"
  if [ -n "$url" ] && [ -n "$origin" ] && ! same_url "$origin"; then
    state=other
  elif [ -z "$commit" ] || [ -n "$(in_clone ls-files --deleted)" ] || unfinished_clone; then
    state=partial
  else
    state=complete
    if [ -n "$url" ]; then same_source "$url" "$commit" '' || state=other; else doubt_revision "$commit"; fi
  fi
}

borrow_clone() {
  local objects=''
  ! plain "$dir/.git/config" || objects=$(git config --file "$dir/.git/config" --get extensions.objectFormat || true)
  rm -rf "$scratch/clone"
  case $objects in sha256) git init -q --object-format=sha256 "$scratch/clone" ;; *) git init -q "$scratch/clone" ;; esac
  (cd -- "$dir/.git" && printf '%s/objects\n' "$PWD") >"$scratch/clone/.git/objects/info/alternates"
  ! plain "$dir/.git/index" || cp -P "$dir/.git/index" "$scratch/clone/.git/index"
  commit_checked_out "$dir/.git" >"$scratch/clone/.git/HEAD"
}

in_clone() { git -C "$dir" --git-dir "$scratch/clone/.git" --work-tree . "$@"; }

commit_checked_out() {
  local head='' commit name ref
  ! plain "$1/HEAD" || IFS= read -r -n 4096 head <"$1/HEAD" || true
  case $head in
    'ref: refs/'*)
      ref=${head#ref: } head=''
      case /$ref/ in */../*) return ;; esac
      if plain "$1/$ref"; then
        IFS= read -r -n 4096 head <"$1/$ref" || true
      elif plain "$1/packed-refs"; then
        while IFS=' ' read -r commit name; do [ "$name" != "$ref" ] || head=$commit; done <"$1/packed-refs"
      fi ;;
  esac
  if [[ $head =~ ^[0-9a-f]{40,64}$ ]]; then printf '%s\n' "$head"; else echo 'ref: refs/heads/none'; fi
}

# git-lfs marks a file '*' when it has the size its pointer says.
unfinished_clone() { in_clone lfs ls-files | grep -E '^[0-9a-f]+ - ' >/dev/null || has_pointers "$dir"; }

examine_filled() {
  found="files that were put there by hand"
  state=complete
  if has_pointers "$dir"; then
    state=partial
  elif [ -n "$url" ] && [ "$kind" = model ]; then
    [ -f "$dir/config.json" ] && has_weights && [ -z "$(missing_shards "$dir")" ] || state=unknown
  fi
  [ "$state" != complete ] || doubt_revision ''
}

doubt_revision() { case $1 in "$revision"*) ;; *) say "warning: nobody can tell whether $dir is revision $revision; used as it is" ;; esac }

pointers() { find -H "$1" -name .git -prune -o -type f -size -1025c -print0 | xargs -0r grep -lEzZ "$POINTER" -- || true; }

has_pointers() { [ "$(pointers "$1" | head -c 1 | wc -c)" -gt 0 ]; }

has_weights() {
  [ -n "$(find -L "$dir" -maxdepth 1 -type f -size +0 \( -name '*.safetensors' -o -name '*.bin' -o -name '*.pt' -o -name '*.gguf' \) -print -quit)" ]
}

# The index of the largest models takes a few megabytes. A shard lies in the folder or it is none.
missing_shards() {
  local index shard
  for index in "$1"/*.index.json; do
    [ -f "$index" ] || continue
    { head -c 67108864 "$index" | grep -aoE '"[^"]+\.(safetensors|bin)"' || true; } | tr -d '"' | LC_ALL=C sort -u |
      while IFS= read -r shard; do
        case /$shard in */../*) ;; *) [ ! -s "$1/$shard" ] || continue ;; esac
        printf '%s ' "$shard"
      done
  done
}

# A URL without user, token, trailing slash and .git, to compare and to print.
bare_url() {
  local text=$1 host
  if holds_login "$text"; then
    text=${text%%://*}://${text##*@}
  elif [[ $text == ssh://* ]]; then
    host=${text#ssh://} && host=${host%%/*}
    text=ssh://${host#*@}${text#"ssh://$host"}
  fi
  text=${text%/}
  printf '%s\n' "${text%.git}"
}

same_url() { [ "$(bare_url "$1")" = "$(bare_url "$url")" ]; }

# No revision asked for takes whatever is there. A name that differs may still mean the same commit, if there is a
# repository to ask.
same_source() {
  local have_url=$1 have_commit=$2 have_revision=$3
  [ -z "$url" ] || same_url "$have_url" || return 1
  [ -n "$revision" ] && [ "$revision" != "$have_revision" ] || return 0
  case $have_commit in "$revision"*) [ "${#revision}" -lt 7 ] || return 0 ;; esac
  [ -n "$url" ] || return 1
  set_up_git
  [ -n "$have_commit" ] && with_token git -C "$scratch" ls-remote "$url" "refs/heads/$revision" "refs/tags/$revision" "refs/tags/$revision^{}" |
    grep "^$have_commit" >/dev/null
}

# ---- the lock --------------------------------------------------------------------------------------

# The lock is a folder that holds its owner's name. It comes into being by a rename, which fails where
# a folder with content lies: atomic on NFS too. The owner touches it; who waits counts, by their own
# clock, how long it did not change, so clocks of nodes need not agree.
take_lock() {
  lock=$parent/.$name.lock
  id=$(mktemp -u XXXXXXXXXX)
  me="pod ${HOSTNAME:-unknown}, $id"
  mkdir -p "$parent" || die "$parent cannot be made: is the volume mounted, and may uid $(id -u) write to it?"
  until try_lock; do
    await_owner
    examine
    [ "$state" != complete ] || { lock='' && return 1; }
  done
  keep_alive </dev/null >/dev/null 2>&1 &
  heart=$!
}

try_lock() {
  { mkdir -p "$lock.$id" && printf '%s\n' "$me" >"$lock.$id/owner"; } 2>/dev/null ||
    die "$parent cannot be written by uid $(id -u): give the pod a matching fsGroup, or free space on the volume"
  mv -fT "$lock.$id" "$lock" 2>/dev/null || { rm -rf "$lock.$id" && is_mine; }
}

# An NFS client that repeats a request may be told that a rename failed which it had already made.
is_mine() { [ "$(owner "$lock")" = "$me" ]; }

owner() { cat "$1/owner" 2>/dev/null || true; }

keep_alive() {
  while kill -0 "$main" && is_mine; do
    touch -c "$lock/owner" || true
    sleep "$((LOCK_TIMEOUT > 20 ? LOCK_TIMEOUT / 10 : 1))"
  done
}

await_owner() {
  local seen='' sign holder since=$SECONDS told=-60
  while holder=$(holder_of "$lock") && [ -n "$holder" ]; do
    sign="$holder $(stat -c %y "$lock/owner" 2>/dev/null || true)"
    [ "$sign" = "$seen" ] || { seen=$sign since=$SECONDS; }
    ((SECONDS - since < LOCK_TIMEOUT)) || { break_lock "$holder" && return; }
    ((SECONDS - told < 60)) || { say "waiting for $holder, which fetches it" && told=$SECONDS; }
    run sleep "$((LOCK_TIMEOUT > 20 ? 2 : 1))"
  done
}

# A lock may outlive its owner's name: NFS keeps a removed file that was open as .nfs… in the folder.
holder_of() {
  local named
  named=$(owner "$1")
  if [ -n "$named" ] || rmdir "$1" 2>/dev/null || [ ! -e "$1" ]; then
    printf '%s' "$named"
  else
    stat -c 'an unknown pod, %i' "$1" 2>/dev/null || true
  fi
}

# Only one of the waiters succeeds, and only against the owner that was seen idle: the name it is
# renamed to holds that owner's identity and is taken from then on.
break_lock() {
  say "no sign of life from $1 for $LOCK_TIMEOUT s: its lock is void"
  local sign=${1##* }
  mv -fT "$lock" "$lock.void-${sign//[!A-Za-z0-9]/}" 2>/dev/null || true
}

release_lock() {
  [ -z "$heart" ] || kill "$heart" 2>/dev/null || true
  heart=''
  [ -z "$lock" ] || ! is_mine || rm -rf "$lock" 2>/dev/null || true
  lock=''
}

# ---- fetching --------------------------------------------------------------------------------------

fetch() {
  set_up_git
  say "fetching $url at ${revision:-its default branch}"
  format=''
  adopt_leftovers
  check_space
  persist "fetching the repository" with_token fetch_commit
  check_out
  persist "fetching the large files" with_token fetch_large
  place_large
  seal
  swap_in
}

# Whoever held the lock before may be slow rather than dead: taking its files away by a rename stops it.
adopt_leftovers() {
  local old
  work=$parent/.$name.fetch-$id
  mkdir -p "$work"
  for old in "$parent/.$name".fetch-*; do
    if [ "$old" = "$work" ] || [ ! -d "$old" ]; then continue; fi
    if [ ! -L "$old" ] && [ ! -L "$old/lfs" ] && [ ! -d "$work/lfs" ] && mv -T "$old/lfs" "$work/lfs" 2>/dev/null; then say "continuing an interrupted fetch"; fi
    rm -rf "$old" 2>/dev/null || true
  done
  mkdir -p "$work/lfs"
}

check_space() {
  local free have
  [ -n "$needs" ] || return 0
  free=$(df -Pk "$work" | { read -r _ && read -r _ _ _ free _ && echo "$free"; })
  have=$(du -sk "$work" | cut -f1)
  case $free in '' | *[!0-9]*) say "the free space of $parent is not known; going on" && return 0 ;; esac
  free=$((free / 1024)) have=$((have / 1024))
  ((free + have >= needs)) || die "$parent has $free MiB free and needs $((needs - have)) MiB: $((needs - have - free)) MiB are missing. Enlarge the claim or remove what is not used"
}

# Attributes of the repository change nothing: each file is checked out as it was committed.
fetch_commit() {
  local want=FETCH_HEAD
  rm -rf "$work/store"
  git init -q ${format:+--object-format=$format} "$work/store" && in_store remote add origin "$url" && in_store config lfs.storage "$work/lfs" || return
  mkdir -p "$work/store/.git/info" || return
  echo '* -text !eol !ident !filter !working-tree-encoding' >"$work/store/.git/info/attributes" || return
  if ! in_store fetch -q --depth 1 --no-tags origin "${revision:-HEAD}"; then
    case $revision in '' | *[!0-9a-f]*) return 1 ;; esac
    [ "${#revision}" -ge 4 ] || return 1
    echo "the server does not hand out commit $revision alone: fetching the whole history"
    in_store fetch -q origin '+refs/heads/*:refs/remotes/origin/*' '+refs/tags/*:refs/tags/*' || return
    want=$revision
  fi
  in_store update-ref refs/ftgen/wanted "$want^{commit}"
}

# What git checks out lies apart from git's store, and what is refused is so before a long download.
check_out() {
  local own
  rm -rf "$work/tree" "$work/index" && mkdir "$work/tree"
  in_tree read-tree refs/ftgen/wanted || die "git cannot read the commit; its words are above"
  in_tree checkout-index --quiet --all || die "git could not write all files to $parent; its words are above"
  for own in "$work/tree"/.ftgen-*; do
    if [ ! -e "$own" ] && [ ! -L "$own" ]; then continue; fi
    say "the repository brings ${own##*/}, a name that is ftgen's own: left out"
    rm -rf "$own"
  done
  refuse_escapes "$work/tree" "the repository's "
}

# git-lfs looks for a .lfsconfig in the folder, the index and HEAD: here it finds none, so that no
# repository chooses the server, or leaves files out.
fetch_large() { in_store lfs fetch --include= --exclude= origin "$(in_store rev-parse refs/ftgen/wanted)"; }

# Links, where the volume can, so that no byte is written twice; git-lfs would copy.
place_large() {
  local path oid object
  while IFS= read -r -d '' path; do
    oid=$(sed -n 's/^oid sha256:\([0-9a-f]\{64\}\)$/\1/p' "$path" | head -n 1)
    object=$work/lfs/objects/${oid:0:2}/${oid:2:2}/$oid
    plain "$object" || die "the server did not give ${path#"$work/tree/"} (LFS object ${oid:-without a digest})"
    rm -f "$path"
    ln "$object" "$path" 2>/dev/null || cp "$object" "$path"
  done < <(pointers "$work/tree")
}

# From here on the folder tells what it is; git's own files are no longer needed.
seal() {
  local commit
  commit=$(in_store rev-parse refs/ftgen/wanted)
  {
    printf 'url %s\nrevision %s\ncommit %s\n' "$(bare_url "$url")" "$revision" "$commit"
    sizes "$work/tree" | sed 's/^/file /'
  } >"$work/$MARKER"
  mv -fT "$work/$MARKER" "$work/tree/$MARKER"
  [ "$kind" != dataset ] || write_dataset_info "$work/tree"
}

swap_in() {
  is_mine || die "the lock went to $(owner "$lock") meanwhile: this pod was silent for too long. A new pod finds what that one fetches"
  [ ! -e "$dir" ] || vacate
  mv -fT "$work/tree" "$dir" || die "$dir cannot be renamed into place"
  rm -rf "$work" "$lock".void-* || true
  work=''
}

# What somebody put there or changed is kept under a name of its own: it may be all that they have.
vacate() {
  local place=$dir.replaced-$id
  if is_unchanged; then place=$work/replaced; fi
  mv -fT "$dir" "$place" || die "$dir cannot be renamed: mount the volume at $parent instead"
  case $place in
    "$work"/*) say "replacing the incomplete $dir" ;;
    *) say "warning: what lay in $dir was incomplete, and not all of it was fetched by ftgen: kept as $place" ;;
  esac
}

# Whether a folder holds some of what ftgen fetched and no more: nothing was added or written since.
is_unchanged() {
  if [ -L "$dir" ]; then return 1; fi
  is_empty || { [ ! -e "$dir/.git" ] && plain "$dir/$MARKER" && [ -z "$(changes "$dir")" ]; }
}

changes() {
  local others=(! -path './.ftgen-*')
  ! is_own_info "$1" || others+=(! -path ./dataset_info.json)
  LC_ALL=C comm -13 <(recorded file | LC_ALL=C sort) <(cd -- "$1" && sizes . "${others[@]}")
  (cd -- "$1" && find . ! -type d "${others[@]}" -newer "$MARKER" -print)
}

# ---- the dataset's description ---------------------------------------------------------------------

# A dataset_info.json that came with the data is left alone; one written here follows the job's.
write_dataset_info() {
  local file=$1/dataset_info.json record=$1/$INFO_RECORD old=''
  [ -n "${DATASET_INFO:-}" ] || return 0
  if [ -e "$file" ]; then
    ! cmp -s "$file" <(printf '%s\n' "$DATASET_INFO") || return 0
    is_own_info "$1" || { say "$file came with the data; kept" && return; }
    say "$file was written for another job; replaced"
    old=$(sha256sum <"$file")$'\n'
  fi
  # The record comes first and names both, so that what is there is known for ftgen's wherever a pod ends.
  put "$record" "$old$(printf '%s\n' "$DATASET_INFO" | sha256sum)"
  put "$file" "$DATASET_INFO"
}

is_own_info() {
  plain "$1/dataset_info.json" && plain "$1/$INFO_RECORD" &&
    grep -qxF -- "$(sha256sum <"$1/dataset_info.json")" "$1/$INFO_RECORD"
}

put() {
  local new
  new=$(mktemp -u "$1.XXXXXX")
  (set -o noclobber && printf '%s\n' "$2" >"$new" && mv -fT "$new" "$1") 2>/dev/null && return
  rm -f "$new" 2>/dev/null || true
  die "$1 is missing and cannot be written by uid $(id -u): put it there, free space, or mount the volume writable"
}

# LLaMA-Factory would say it only once the node's cards are taken and its libraries loaded. It is a
# Python program, so the image has Python to read JSON with.
check_datasets() {
  local python words
  [ -n "${DATASET_NAMES:-}" ] || return 0
  if ! python=$(command -v python3 || command -v python); then
    say "the image has no python: nobody can tell whether $dir/dataset_info.json has $DATASET_NAMES"
    return
  fi
  words=$("$python" -I -S -c "$DATASETS" "$dir" "$DATASET_NAMES" "${DATASET_INFO:-}") || die "${words:-$python cannot read $dir/dataset_info.json}"
}

DATASETS='
import json, os, sys
folder, names, own = sys.argv[1:]
path = os.path.join(folder, "dataset_info.json")
def refuse(words):
    print(words.encode("ascii", "backslashreplace").decode())
    sys.exit(1)
def load(text):
    found = json.loads(text)
    return found if isinstance(found, dict) else refuse(f"{path} is not a mapping of names to data sets")
try:
    with open(path, "rb") as file:
        text = file.read((1 << 24) + 1)
    # As text: the trainer refuses a byte order mark, which bytes may have.
    entries = load(text.decode("utf-8")) if len(text) <= 1 << 24 else refuse(f"{path} is larger than 16 MiB")
except FileNotFoundError:
    refuse(f"{path} is not there, and the job trains on {names}: push one to the repository, or set dataset.info")
except (OSError, ValueError, RecursionError) as error:
    refuse(f"{path} cannot be read: {error}")
given = load(own) if own else {}
there = ", ".join(sorted(entries)[:20]) + (" ..." if len(entries) > 20 else "")
for name in map(str.strip, names.split(",")):
    if name not in entries:
        refuse(f"{path} has no entry {name}, which the job trains on; its entries: {there}. Choose one of them, or add it")
    entry = entries[name]
    if not isinstance(entry, dict):
        refuse(f"entry {name} of {path} is not a mapping")
    if {"hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name"} & entry.keys():
        continue
    file = entry.get("file_name")
    if not isinstance(file, str) or not file:
        refuse(f"entry {name} of {path} names no file (file_name)")
    place = os.path.join(folder, file)
    root, real = os.path.realpath(folder), os.path.realpath(place)
    if given.get(name) != entry and os.path.commonpath([root, real]) != root:
        refuse(f"entry {name} of {path} names {file}, which lies out of its folder: correct file_name")
    if not (os.path.isfile(real) or os.path.isdir(real) and os.listdir(real)):
        refuse(f"entry {name} of {path} names {file}, which is not there: correct file_name, or push the file")
'

# What `ftgen data` says before there is a job, where the image has ftgen: a row that ends the training is told before
# cards wait for it. An ftgen without that verb, or one that fails itself, decides nothing.
judge_rows() {
  local status=0
  [ -n "${DATASET_ARGUMENTS:-}" ] && command -v ftgen >/dev/null || return 0
  if [[ $(ftgen data --help 2>/dev/null </dev/null) != *--arguments* ]]; then
    say "the rows are not judged: the image's ftgen is too old for it"
    return 0
  fi
  run ftgen data "$dir" --arguments - <<<"$DATASET_ARGUMENTS" >&2 || status=$?
  case $status in
    0) ;;
    1) die "the training would end with this data: see the errors above, and mend the rows or the entry" ;;
    *) say "the rows could not be judged: ftgen ended with $status; going on" ;;
  esac
}

# ---- the story -------------------------------------------------------------------------------------

bring() {
  kind=$1 url=$2 revision=$3 dir=${4%/} needs=$5
  parent=$(dirname "$dir") name=$(basename "$dir")
  ! holds_login "$url" || die "the URL holds a user or token: leave them to the git secret"
  [ -z "$url" ] || require_url "$url"
  require_revision "$revision"
  examine
  if [ "$state" = absent ] || [ "$state" = partial ]; then
    obtain
  fi
  refuse
  say "complete in $dir${found:+: $found}"
  sweep
  case $kind in
    dataset) write_dataset_info "$dir" && check_datasets && judge_rows ;;
    adapter) plain "$dir/adapter_config.json" || die "$dir holds no adapter_config.json: what $(bare_url "$url") has at ${revision:-its default branch} is no adapter" ;;
  esac
}

obtain() {
  [ -n "$url" ] || die "$dir is $state and no URL says where to fetch it: fill the volume, or give the URL"
  [ ! -d "$dir" ] || [ "$(stat -c %d "$dir")" = "$(stat -c %d "$parent")" ] ||
    die "$dir is itself a mount: mount the volume at $parent, so that a fetch can be renamed into place"
  if take_lock; then
    examine
    case $state in absent | partial) fetch ;; esac
    examine
    release_lock
  fi
}

# A pod that died right after its rename left its folders behind. Nobody takes the lock of what is
# complete, so they are free to go once that lock is an hour old.
sweep() {
  local old
  [ -z "$(find "$parent/.$name.lock/owner" -mmin -60 2>/dev/null)" ] || return 0
  for old in "$parent/.$name".fetch-* "$parent/.$name.lock" "$parent/.$name".lock.*; do
    [ -z "$(find "$old" -maxdepth 0 -mmin +60 2>/dev/null)" ] || rm -rf "$old" 2>/dev/null || true
  done
}

# Never replaced: another job may read it now, and a merge reads the base weights again hours later.
refuse() {
  case $state in
    complete) ;;
    other) die "$dir holds $found, and this job wants ${url:+$(bare_url "$url") at }${revision:-its default branch}. Name another folder (model.folder, dataset.folder) or volume, or remove $dir once no job uses it" ;;
    unknown) die "$dir holds files, but not a whole model (config.json, weights; missing: $(missing_shards "$dir")). Finish or empty it, or choose another folder" ;;
    *) die "$dir is $state after it was fetched: somebody else writes to it" ;;
  esac
}

trap clean_up EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
require_numbers LOCK_TIMEOUT FETCH_RETRIES RETRY_SECONDS MODEL_NEEDS_MIB DATASET_NEEDS_MIB
[ -n "${MODEL_DIR:-}${DATASET_DIR:-}${ADAPTER_DIR:-}" ] || die "there is nothing to bring: MODEL_DIR, DATASET_DIR and ADAPTER_DIR are not set"
[ -z "${MODEL_DIR:-}" ] || bring model "${BASE_MODEL_URL:-}" "${MODEL_REVISION:-}" "$MODEL_DIR" "${MODEL_NEEDS_MIB:-}"
[ -z "${DATASET_DIR:-}" ] || bring dataset "${DATASET_URL:-}" "${DATASET_REVISION:-}" "$DATASET_DIR" "${DATASET_NEEDS_MIB:-}"
[ -z "${ADAPTER_DIR:-}" ] || bring adapter "${ADAPTER_URL:-}" "${ADAPTER_REVISION:-}" "$ADAPTER_DIR" ''
kind=all
brought="${MODEL_DIR:+, model in $MODEL_DIR}${DATASET_DIR:+, dataset in $DATASET_DIR}${ADAPTER_DIR:+, adapter in $ADAPTER_DIR}"
say "${brought#, }"
