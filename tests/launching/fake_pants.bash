#!/bin/bash
# Stands for Pants: says how it was called.
printf 'program=%s\n' "${0##*/}"
printf 'argument=%s\n' "$@"
env | grep -E '^(PANTS_|_PANTS_|NO_SCIE|PYTHON|C5C3_)' | sort
