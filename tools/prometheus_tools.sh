#!/usr/bin/env bash
# Prints a folder that holds promtool, which checks what /metrics answers.
set -euo pipefail
# shellcheck source=tools/unpacked_package.sh
. "$(dirname "$0")/unpacked_package.sh"

unpack prometheus usr/bin/promtool
echo "$unpacked/usr/bin"
