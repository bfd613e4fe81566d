# Sourced. Finds a CPython 3.9: the newest that the newest Pants of the Python index runs on.
source "${BASH_SOURCE[0]%/*}/messages.bash"

# Sets `python39` to the path of a CPython 3.9 that can make virtual environments, or ends the launcher.
find_python39() {
  local candidate without_ensurepip=
  if [[ -n ${PY:-} ]]; then
    python39=$(describe_python39 "$PY") ||
      die "PY is '$PY', which is not a working CPython 3.9 with venv and ensurepip." \
        "Set PY to the path of one, or unset it to have it looked for."
    return
  fi
  while IFS= read -r candidate; do
    # A pyenv shim is there for each version that pyenv knows, and fails for those that are not chosen.
    if python39=$(describe_python39 "$candidate"); then
      return
    elif [[ -z $without_ensurepip ]] && "$candidate" -I -c "$is_python39" >/dev/null 2>&1; then
      without_ensurepip=$candidate
    fi
  done < <(python39_candidates)
  if [[ -n $without_ensurepip ]]; then
    die "$without_ensurepip is CPython 3.9, but has no ensurepip to make a virtual environment with." \
      "On Debian and Ubuntu: sudo apt-get install --yes python3.9-venv" \
      "Or set PY to the path of another CPython 3.9."
  fi
  die "no CPython 3.9 was found, and Pants $(pants_version) needs it. It was looked for on PATH and where pyenv, uv," \
    "asdf, mise and conda keep interpreters. Install one, for example with one of:" \
    "pyenv install 3.9" \
    "uv python install 3.9" \
    "or set PY to the path of one."
}

is_python39='import sys; assert sys.version_info[:2] == (3, 9) and sys.implementation.name == "cpython"'

# Prints the interpreter below any virtual environment, so that ours does not end with the user's.
describe_python39() {
  "$1" -I -c "$is_python39; import ensurepip, venv; print(getattr(sys, '_base_executable', sys.executable))" 2>/dev/null
}

python39_candidates() {
  local pattern data=${XDG_DATA_HOME:-$HOME/.local/share} name
  type -ap python3.9 || true
  for pattern in \
    "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.9*/bin/python3.9" \
    "${UV_PYTHON_INSTALL_DIR:-$data/uv/python}/cpython-3.9*/bin/python3.9" \
    "${ASDF_DATA_DIR:-$HOME/.asdf}/installs/python/3.9*/bin/python3.9" \
    "${MISE_DATA_DIR:-$data/mise}/installs/python/3.9*/bin/python3.9" \
    "${SCIE_BASE:-${XDG_CACHE_HOME:-$HOME/.cache}/nce}/*/cpython-3.9*/python/bin/python3.9" \
    "$HOME/*conda3/bin/python3.9" "$HOME/*conda3/envs/*/bin/python3.9" "/opt/*conda*/bin/python3.9" \
    "/usr/local/bin/python3.9" "/usr/bin/python3.9" "/opt/*/bin/python3.9" "/opt/python/*3.9*/bin/python3.9"; do
    # The newest patch release first.
    compgen -G "$pattern" | sort -rV || true
  done
  for name in python3 python; do
    type -ap "$name" || true
  done
}

pants_version() {
  sed -n 's/^pantsbuild-pants==\([^ ]*\).*/\1/p' "${BASH_SOURCE[0]%/*}/../../3rdparty/tools/pants.txt"
}
