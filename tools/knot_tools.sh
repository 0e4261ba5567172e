#!/usr/bin/env bash
# Prints a folder that holds knotd: a name server that is not ours.
set -euo pipefail
# shellcheck source=tools/unpacked_package.sh
. "$(dirname "$0")/unpacked_package.sh"

unpack knot usr/sbin/knotd
echo "$unpacked/usr/sbin"
