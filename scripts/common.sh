# shellcheck shell=bash
# Shared by the scripts in this folder: sourced, not run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n== %s\n' "$*"; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# retry N CMD…: networks fail for a moment.
retry() {
  local left=$1; shift
  until "$@"; do
    left=$((left - 1))
    [[ $left -gt 0 ]] || return 1
    sleep 5
  done
}

# Compilers running at once: one a core, and 1.5 GB of memory each.
jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/MemAvailable/ {print int($2 / 1500000)}' /proc/meminfo)
  echo $((memory < 1 ? 1 : memory < cores ? memory : cores))
}

# newest_python [MINOR…]: of these versions, otherwise from 3.11 on, the newest here that can make virtual environments.
newest_python() {
  local candidate minor
  [[ $# -gt 0 ]] || set -- 14 13 12 11
  for minor in "$@"; do
    for candidate in "python3.$minor" "$HOME/.pyenv/versions/3.$minor".*/bin/python3; do
      if "$candidate" -c "import ensurepip, sys; sys.exit(sys.version_info[:2] != (3, $minor))" 2>/dev/null; then
        command -v "$candidate"
        return
      fi
    done
  done
  fail "no Python 3.${*: -1} or later with venv; install python3-venv"
}

# With ccache, a build in another checkout is as quick as one in this.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

# build PRESET [TARGET…]
build() {
  local preset=$1; shift
  cmake --preset "$preset" >/dev/null || { cmake --preset "$preset"; fail "cmake --preset $preset failed"; }
  cmake --build --preset "$preset" --parallel "$(jobs)" ${1:+--target "$@"}
}

# OpenMPI refuses root and more ranks than cores unless told, and in containers its single-copy
# shared memory prints an error a message.
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
[[ $(id -u) -ne 0 ]] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
