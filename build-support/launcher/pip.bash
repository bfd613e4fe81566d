# Sourced. Runs pip with the user's own index configuration and explains its failures.
source "${BASH_SOURCE[0]%/*}/messages.bash"

# $1: the interpreter that has pip; the other arguments go to pip.
pip_run() {
  local python=$1 indexes assignment
  shift
  indexes=$("$python" -I "${BASH_SOURCE[0]%/*}/python_indexes.py" pip) || exit 1
  # Settings of the user's that would install elsewhere than into this interpreter's own folder.
  local environment=(env -u PIP_TARGET -u PIP_PREFIX -u PIP_ROOT -u PIP_REQUIRE_VIRTUALENV -u PIP_NO_BINARY
    PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore)
  while IFS= read -r assignment; do
    [[ -z $assignment ]] || environment+=("$assignment")
  done <<<"$indexes"
  if quietly "${environment[@]}" "$python" -I -m pip "$@"; then
    return
  fi
  show_failure
  case $failure_log in
    *'DO NOT MATCH THE HASHES'*)
      die "a downloaded file is not the one that 3rdparty/tools locks: its SHA-256 differs (see above)." \
        "Empty pip's cache ('pip cache purge') and try again. If it stays, the index serves another file: ask who runs it." ;;
    *'No space left on device'*)
      die "the disk is full." "Make room, or set XDG_CACHE_HOME (and TMPDIR) to folders on another disk." ;;
    *CERTIFICATE_VERIFY_FAILED*)
      die "the Python index has a certificate that this machine does not trust." \
        "Name the bundle with your authority's certificate: pip config set global.cert /path/to/bundle.pem" ;;
    *'Temporary failure in name resolution'* | *'Name or service not known'* | *'Network is unreachable'* | \
      *'Failed to establish a new connection'* | *'No route to host'* | *'Connection refused'* | *ConnectTimeout* | \
      *ReadTimeout* | *ProxyError* | *'Connection reset'*)
      die "the Python index cannot be reached." \
        "Check the network, or name an index that this machine reaches: pip config set global.index-url URL" ;;
    *'No matching distribution found'*)
      die "the Python index does not have what 3rdparty/tools locks for this machine (see above)." \
        "Name an index that has it: pip config set global.index-url URL" ;;
    *) die "pip failed (see above)." "Mend what it says and start again: nothing is half-installed." ;;
  esac
}

# $1: a CPython 3.9, $2: a folder for files that are needed meanwhile; the other arguments go to `pip download`.
pip_download() {
  local python=$1 work=$2
  shift 2
  if ! "$python" -I -c 'import pip' 2>/dev/null; then
    quietly "$python" -I -m venv "$work/pip" || die "$python could not make the virtual environment $work/pip."
    python=$work/pip/bin/python
  fi
  pip_run "$python" download --no-deps --require-hashes --only-binary :all: "$@"
}
