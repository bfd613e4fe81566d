# Sourced. What the launcher says goes to stderr: stdout belongs to Pants.

say() {
  printf '%s: %s\n' "${program:-pants}" "$*" >&2
}

# Ends the launcher: the first argument is what is wrong, the others are lines with the remedy.
die() {
  printf '%s: error: %s\n' "${program:-pants}" "$1" >&2
  shift
  [[ $# -eq 0 ]] || printf '  %s\n' "$@" >&2
  exit 1
}

# Runs a command with its output in a log file that goes away; on failure shows the end of the log and returns 1.
quietly() {
  local log
  log=$(mktemp "${TMPDIR:-/tmp}/pants-launcher.XXXXXX") || die "no temporary file can be made in ${TMPDIR:-/tmp}"
  if "$@" >"$log" 2>&1 </dev/null; then
    rm -f -- "$log"
    return 0
  fi
  failure_log=$(tail -c 20000 -- "$log")
  rm -f -- "$log"
  return 1
}

# Prints the last lines of the command that failed under `quietly`.
show_failure() {
  printf '%s\n' "$failure_log" | grep -v '^$' | tail -n "${1:-12}" | sed 's/^/  | /' >&2
}
