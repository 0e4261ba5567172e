#!/usr/bin/env bash
# Prints a folder that holds Postfix's smtp-sink and smtp-source: servers and clients that are not ours.
set -euo pipefail
# shellcheck source=tools/unpacked_package.sh
. "$(dirname "$0")/unpacked_package.sh"

make_wrappers() {
  mkdir bin
  for tool in smtp-sink smtp-source; do
    cat >"bin/$tool" <<'WRAPPER'
#!/bin/sh
root=$(dirname "$(dirname "$(readlink -f "$0")")")
LD_LIBRARY_PATH=$root/usr/lib/postfix exec "$root/usr/sbin/$(basename "$0")" "$@"
WRAPPER
    chmod 755 "bin/$tool"
  done
}

unpack postfix bin/smtp-source make_wrappers
echo "$unpacked/bin"
