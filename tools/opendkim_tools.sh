#!/usr/bin/env bash
# Prints a folder that holds opendkim: a verifier of DKIM signatures that is not ours.
set -euo pipefail
# shellcheck source=tools/unpacked_package.sh
. "$(dirname "$0")/unpacked_package.sh"

unpack opendkim usr/sbin/opendkim
echo "$unpacked/usr/sbin"
