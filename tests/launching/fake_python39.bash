#!/bin/bash
# Stands for a CPython 3.9 with venv and pip. Every call is a line in $FAKE_LOG. $FAKE_PIP_SAYS makes pip fail with that text.
printf 'python %s\n' "$*" >>"$FAKE_LOG"
[[ $1 == -I ]] && shift

case "$1 ${2:-}" in
  *ensurepip*)
    [[ -z ${FAKE_WITHOUT_ENSUREPIP:-} ]] || exit 1
    printf '%s\n' "$0"
    ;;
  '-c '*) ;;
  '-m venv')
    mkdir -p "$3/bin" "$3/lib/python3.9/site-packages/pants/bin"
    cp "$0" "$3/bin/python"
    printf 'home = %s\nversion = 3.9.18\n' "${0%/*}" >"$3/pyvenv.cfg"
    ;;
  '-m pip')
    if [[ -n ${FAKE_PIP_SAYS:-} ]]; then
      printf '%s\n' "$FAKE_PIP_SAYS" >&2
      exit 1
    fi
    [[ $3 == install ]] || exit 0
    sleep "${FAKE_PIP_SECONDS:-0}"
    venv=${0%/bin/python}
    cp "${FAKE_PANTS:?}" "$venv/lib/python3.9/site-packages/pants/bin/native_client"
    cp "$FAKE_PANTS" "$venv/bin/pants"
    chmod +x "$venv/bin/pants"
    ;;
  *python_indexes.py' pants') printf '%s' "${FAKE_INDEXES:-}" ;;
esac
