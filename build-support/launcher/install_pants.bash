# Sourced. Installs the locked Pants into a virtual environment of its own.
source "${BASH_SOURCE[0]%/*}/messages.bash"
source "${BASH_SOURCE[0]%/*}/python39.bash"
source "${BASH_SOURCE[0]%/*}/pip.bash"

# $1: the virtual environment to make, $2: the requirements file with hashes to install.
install_pants() {
  local venv=$1 lock=$2 cache=${1%/*}
  [[ $venv != *[[:space:]]* ]] ||
    die "the cache folder '$cache' has white space in its path, which Pants cannot run Python from." \
      "Set XDG_CACHE_HOME to a folder without."
  mkdir -p -- "$cache" 2>/dev/null && : 2>/dev/null >>"$venv.lock" ||
    die "the cache folder $cache cannot be written." \
      "Make it writable, or set XDG_CACHE_HOME to a folder that is."

  exec 8>"$venv.lock"
  if ! flock --nonblock 8; then
    say "waiting for another start, which is installing Pants into $venv"
    flock 8
  fi
  # That other start may have finished the work.
  if [[ ! -e $venv/installed || ! -x $venv/bin/python ]]; then
    make_pants_venv "$venv" "$lock"
  fi
  # Pants' daemon would inherit the lock and hold it for ever.
  exec 8>&-
}

make_pants_venv() {
  local venv=$1 lock=$2
  find_python39
  say "installing Pants $(pants_version) for $python39 into $venv (once, about 20 s)"
  rm -rf -- "$venv"
  if ! quietly "$python39" -I -m venv "$venv"; then
    show_failure
    die "$python39 could not make the virtual environment $venv." \
      "Set PY to the path of another CPython 3.9, or XDG_CACHE_HOME to another folder."
  fi
  pip_run "$venv/bin/python" install --no-deps --require-hashes --only-binary :all: --requirement "$lock"
  # The wheel format has no room for the executable bit here.
  chmod +x "$venv/lib/python3.9/site-packages/pants/bin/native_client"
  : >"$venv/installed"
}
