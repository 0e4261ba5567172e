# shellcheck shell=bash
# Sourced by scripts that want the programs of a Debian package whose server must not start on this machine: the package
# is unpacked into a cache, not installed. What its programs load besides is in setup.sh.

# unpack PACKAGE PROGRAM [FINISH]: sets `unpacked` to the folder where PACKAGE lies with PROGRAM (a path in it). FINISH, a
# function, is called there after the unpacking.
unpack() {
  unpacked=${XDG_CACHE_HOME:-${HOME:?}/.cache}/sluice/$1
  [[ -x $unpacked/$2 ]] && return
  mkdir -p "$(dirname "$unpacked")"
  # Complete before it gets its name: two test runs may start at once.
  fresh=$(mktemp -d "$unpacked.XXXXXX")
  trap 'rm -rf "$fresh"' EXIT
  (cd "$fresh" && download "$1" && dpkg --extract "$1"_*.deb . && rm "$1"_*.deb && "${3:-:}") >&2
  # Loses against a run that was faster, or against the remains of one that was killed before it was whole.
  [[ -x $unpacked/$2 ]] || rm -rf "$unpacked"
  mv -T "$fresh" "$unpacked" 2>/dev/null || [[ -x $unpacked/$2 ]]
}

# Puts the package into the current folder; with fresh lists if the old ones do not lead to it.
download() {
  # As root apt would fetch as a user of its own, who may not write here.
  local get=(apt-get -qq -o APT::Sandbox::User=root download "$1") root=()
  "${get[@]}" && return
  [[ $EUID == 0 ]] || root=(sudo)
  "${root[@]}" apt-get -qq update && "${get[@]}"
}
