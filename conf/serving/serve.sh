# shellcheck shell=bash
# serve: starts vLLM on the configuration that it is given.
#
# Reads: SERVE_CONFIG, arguments of `vllm serve` as YAML, and SOURCE_FILES, the shell files that set up the
# accelerator's libraries.

# Vendors' environment files read variables that are not set: they come before the strict mode.
for source_file in ${SOURCE_FILES:-}; do
  if [ ! -f "$source_file" ] || [ ! -r "$source_file" ]; then
    echo "serve: this image has no $source_file; going on with the environment it came with" >&2
    continue
  fi
  # shellcheck disable=SC1090
  . "$source_file"
done
set -euo pipefail

die() {
  echo "serve: error: $*" >&2
  exit 1
}

command -v vllm >/dev/null || die "the image has no vllm: set serving.image to one that has it"
[ -n "${SERVE_CONFIG:-}" ] || die "SERVE_CONFIG is not set"
folder=$(mktemp -d) || die "nowhere to write temporary files: mount an emptyDir at /tmp"
printf '%s\n' "$SERVE_CONFIG" >"$folder/vllm.yaml"
# vLLM takes the place of this script, so that it gets the SIGTERM that ends the pod.
exec vllm serve --config "$folder/vllm.yaml"
