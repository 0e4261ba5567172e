#!/usr/bin/env bash
# Prints a folder that holds knotd: a name server that is not ours.
#
# Debian's package is unpacked into a cache, not installed: its server would start on this machine. What it loads is in
# setup.sh.
set -euo pipefail

cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/sluice/knot

# Puts the package into the current folder; with fresh lists if the old ones do not lead to it.
download() {
  # As root apt would fetch as a user of its own, who may not write here.
  local get=(apt-get -qq -o APT::Sandbox::User=root download knot) root=()
  "${get[@]}" && return
  [[ $EUID == 0 ]] || root=(sudo)
  "${root[@]}" apt-get -qq update && "${get[@]}"
}

if [[ ! -x $cache/usr/sbin/knotd ]]; then
  mkdir -p "$(dirname "$cache")"
  # Complete before it gets its name: two test runs may start at once.
  fresh=$(mktemp -d "$cache.XXXXXX")
  trap 'rm -rf "$fresh"' EXIT
  (cd "$fresh" && download && dpkg --extract knot_*.deb . && rm knot_*.deb) >&2
  [[ -x $cache/usr/sbin/knotd ]] || rm -rf "$cache"
  mv -T "$fresh" "$cache" 2>/dev/null || [[ -x $cache/usr/sbin/knotd ]]
fi

echo "$cache/usr/sbin"
