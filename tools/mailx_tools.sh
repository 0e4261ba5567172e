#!/usr/bin/env bash
# Prints a folder that holds bsd-mailx, the mail(1) that hands its messages to sendmail(1). Its package would bring an MTA.
set -euo pipefail
# shellcheck source=tools/unpacked_package.sh
. "$(dirname "$0")/unpacked_package.sh"

unpack bsd-mailx usr/bin/bsd-mailx
echo "$unpacked/usr/bin"
