#!/usr/bin/env bash
# Prints a folder that holds Postfix's smtp-sink and smtp-source: servers and clients that are not ours.
#
# Debian's package is unpacked into a cache, not installed: its MTAs exclude one another, and a mail server must not
# start on a machine because someone runs our tests. What the tools load besides is in setup.sh.
set -euo pipefail

cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/sluice/postfix

# Puts the package into the current folder; with fresh lists if the old ones do not lead to it.
download() {
  # As root apt would fetch as a user of its own, who may not write here.
  local get=(apt-get -qq -o APT::Sandbox::User=root download postfix) root=()
  "${get[@]}" && return
  [[ $EUID == 0 ]] || root=(sudo)
  "${root[@]}" apt-get -qq update && "${get[@]}"
}

if [[ ! -x $cache/bin/smtp-source ]]; then
  mkdir -p "$(dirname "$cache")"
  # Complete before it gets its name: two test runs may start at once.
  fresh=$(mktemp -d "$cache.XXXXXX")
  trap 'rm -rf "$fresh"' EXIT
  (cd "$fresh" && download && dpkg --extract postfix_*.deb . && rm postfix_*.deb) >&2
  mkdir "$fresh/bin"
  for tool in smtp-sink smtp-source; do
    cat >"$fresh/bin/$tool" <<'WRAPPER'
#!/bin/sh
root=$(dirname "$(dirname "$(readlink -f "$0")")")
LD_LIBRARY_PATH=$root/usr/lib/postfix exec "$root/usr/sbin/$(basename "$0")" "$@"
WRAPPER
    chmod 755 "$fresh/bin/$tool"
  done
  # Loses against a run that was faster, or against the remains of one that was killed before it was whole.
  [[ -x $cache/bin/smtp-source ]] || rm -rf "$cache"
  mv -T "$fresh" "$cache" 2>/dev/null || [[ -x $cache/bin/smtp-source ]]
fi

echo "$cache/bin"
