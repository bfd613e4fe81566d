# Sourced. Makes the pex program that Pants builds virtual environments of its tools and tests with.
source "${BASH_SOURCE[0]%/*}/messages.bash"
source "${BASH_SOURCE[0]%/*}/pip.bash"

# $1: a CPython 3.9, $2: the file to make. Its bytes depend on the locked wheel alone: pants.toml holds
# their SHA-256. So no compression (zlib differs from machine to machine), one umask and one shebang.
make_pex_cli() {
  local python=$1 output=$2 tools=${BASH_SOURCE[0]%/*}/../../3rdparty/tools work wheels
  mkdir -p -- "${output%/*}"
  work=$(mktemp -d "$output.XXXXXX")
  say "making the pex program that Pants runs its tools with (once, about 10 s)"
  sed -n '/^pex==/,/[^\\]$/p' "$tools/pants.txt" >"$work/pex.txt"
  (
    trap 'rm -rf -- "$work"' EXIT
    pip_download "$python" "$work" --requirement "$work/pex.txt" --dest "$work/wheels"
    umask 022
    wheels=("$work"/wheels/pex-*.whl)
    "$python" -I -m zipfile -e "${wheels[0]}" "$work/pex"
    if ! quietly env PEX_ROOT="$work/root" PYTHONPATH="$work/pex" PYTHONDONTWRITEBYTECODE=1 PEX_IGNORE_RCFILES=1 \
      "$python" -m pex --no-pypi --find-links "$work/wheels" --requirement "$work/pex.txt" --script pex \
      --no-compress --python-shebang '/usr/bin/env python3' --output-file "$work/made"; then
      show_failure
      die "the pex program could not be made with $python."
    fi
    mv -f -- "$work/made" "$output"
  ) || exit 1
}
