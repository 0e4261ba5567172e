#!/usr/bin/env bash
# Prints a folder that holds Exim: an MTA whose TLS is GnuTLS's.
set -euo pipefail
# shellcheck source=tools/unpacked_package.sh
. "$(dirname "$0")/unpacked_package.sh"

unpack exim4-daemon-light usr/sbin/exim4
echo "$unpacked/usr/sbin"
