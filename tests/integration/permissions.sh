#!/usr/bin/env bash
# A spool that cannot be used: of another owner, on a read-only disk, owned by a running engine. A clear line and the right exit code each time.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [[ $EUID != 0 ]]; then
  echo 'permissions: needs root to become somebody else; the owner test of the unit tests covers the rest'
  exit 0
fi
sluice=${SLUICE:-$here/../../build/sluice}
tmp=$(mktemp -d) engine=''
trap 'kill $engine 2>/dev/null || true; umount "$tmp/ro" 2>/dev/null || true; rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
cp "$sluice" "$tmp/sluice" && chmod 755 "$tmp/sluice"  # somebody else may not reach the build folder
printf 'From: a@sender.example\nTo: {{email}}\nSubject: Hi\n\nHello\n' >"$tmp/m.eml"
printf 'email\nann@a.example\n' >"$tmp/list.csv"
bad=0
# try LABEL EXIT TEXT COMMAND...
try() {
  local label=$1 expected=$2 text=$3 code=0
  shift 3
  timeout -k 1 20 "$@" >"$tmp/out" 2>"$tmp/err" || code=$?
  if [[ $code != "$expected" ]] || ! grep -qi -- "$text" "$tmp/err"; then
    echo "$label: exit $code, expected $expected and '$text': $(head -c 400 "$tmp/err")"
    bad=1
  fi
}
send=("$tmp/sluice" send --message "$tmp/m.eml" --recipients "$tmp/list.csv" --from b@sender.example --next-hop 127.0.0.1:9)
somebody=(setpriv --reuid=65534 --regid=65534 --clear-groups)

"${send[@]}" --spool "$tmp/ours" >/dev/null
try 'hand-off to a spool of another owner' 77 'ours' "${somebody[@]}" "${send[@]}" --spool "$tmp/ours"
try 'an engine on a spool of another owner' 77 'ours' "${somebody[@]}" "$tmp/sluice" serve --spool "$tmp/ours" --until-empty
try 'a spool below a folder one may not write' 77 'ours' "${somebody[@]}" "${send[@]}" --spool "$tmp/ours/below"

mkdir "$tmp/ro" && mount -t tmpfs tmpfs "$tmp/ro"
"${send[@]}" --spool "$tmp/ro/spool" >/dev/null
mount -o remount,ro "$tmp/ro"
try 'hand-off to a read-only spool' 77 'read-only' "${send[@]}" --spool "$tmp/ro/spool"
try 'an engine on a read-only spool' 77 'read-only' "$tmp/sluice" serve --spool "$tmp/ro/spool" --until-empty

"$tmp/sluice" serve --spool "$tmp/ours" --quiet & engine=$!
for _ in $(seq 100); do [[ -s $tmp/ours/owner ]] && break; sleep 0.05; done
try 'a second engine' 75 "$engine" "$tmp/sluice" serve --spool "$tmp/ours" --until-empty
kill $engine
wait $engine || { echo "SIGTERM: exit $?"; bad=1; }
engine=''
[[ $bad == 0 ]] && echo 'each refused, each with its reason'
exit $bad
