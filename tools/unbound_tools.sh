#!/usr/bin/env bash
# Prints a folder that holds unbound: a resolver that validates DNSSEC, and is not ours.
set -euo pipefail
# shellcheck source=tools/unpacked_package.sh
. "$(dirname "$0")/unpacked_package.sh"

unpack unbound usr/sbin/unbound
echo "$unpacked/usr/sbin"
