# Sourced. Installs the Debian packages of system tools that builds need, or says how.
source "${BASH_SOURCE[0]%/*}/messages.bash"

install_system_tools() {
  local skip="To go on without them: C5C3_SKIP_SYSTEM_TOOLS=1 ./pants ..."
  local install="apt-get install --yes --no-install-recommends $*"
  if ! command -v apt-get >/dev/null; then
    die "system tools are missing: $(programs_of "$@")." \
      "Install them with the package manager of this system (their Debian packages are: $*)." "$skip"
  fi
  if [[ $(id -u) != 0 ]]; then
    die "system tools are missing: $(programs_of "$@"). Install them with:" "sudo apt-get update && sudo $install" "$skip"
  fi

  say "installing with apt-get, since builds need them: $*"
  if [[ -z $(compgen -G '/var/lib/apt/lists/*_Packages*') ]] || ! quietly apt_get install "$@"; then
    say "waiting for apt-get update"
    if ! quietly apt_get update || ! quietly apt_get install "$@"; then
      show_failure
      die "apt-get could not install: $*. Mend what it says above, then run:" "apt-get update && $install" "$skip"
    fi
  fi
}

apt_get() {
  local command=$1
  shift
  [[ $command != install ]] || set -- --no-install-recommends "$@"
  DEBIAN_FRONTEND=noninteractive apt-get --yes -o DPkg::Lock::Timeout=300 "$command" "$@"
}

programs_of() {
  local package programs=()
  for package in "$@"; do
    case $package in
      bubblewrap) programs+=(bwrap) ;;
      uidmap) programs+=(newuidmap) ;;
      *) programs+=("$package") ;;
    esac
  done
  local IFS=' '
  printf '%s' "${programs[*]}"
}
