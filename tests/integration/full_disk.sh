#!/usr/bin/env bash
# A full disk, on a small tmpfs: a hand-off is refused and leaves nothing; a delivery pauses, says so, loses nothing, repeats nothing, and goes on by itself
# when there is room; first with the journal on it, then with the transaction log.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [[ $EUID != 0 && -z ${SLUICE_IN_NAMESPACE:-} ]]; then
  SLUICE_IN_NAMESPACE=1 exec unshare --user --map-root-user --mount "$0" "$@"  # tmpfs needs root of somewhere
fi
sluice=${SLUICE:-$here/../../build/sluice}
tmp=$(mktemp -d) sink='' engine=''
trap 'kill $sink $engine 2>/dev/null || true; wait; umount "$tmp/small" 2>/dev/null || true; rm -rf "$tmp"' EXIT
fail() { echo "full_disk: $*" >&2; cat "$tmp"/*.err >&2 || true; exit 1; }
fresh_disk() { umount "$tmp/small" 2>/dev/null || true; mkdir -p "$tmp/small"; mount -t tmpfs -o size="$1" tmpfs "$tmp/small"; }
fill() { dd if=/dev/zero of="$tmp/small/filler" bs=64k 2>/dev/null || true; }  # until ENOSPC
make_list() { awk -v n="$1" 'BEGIN { print "email,name"; for (i = 0; i < n; i++) printf "user%d@d%d.example,Name %d\n", i, i % 50, i }' >"$tmp/list.csv"; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
printf 'From: a@sender.example\nTo: {{email}}\nSubject: Hi {{name}}\n\nHello {{name}}\n' >"$tmp/m.eml"
send() { "$sluice" send --message "$tmp/m.eml" --recipients "$tmp/list.csv" --from b@sender.example "$@"; }

# Hand-off.
fresh_disk 1m
make_list 100000
code=0
send --spool "$tmp/small/spool" 2>"$tmp/send.err" || code=$?
[[ $code == 75 ]] || fail "hand-off on a full disk: exit $code"
grep -qi 'space' "$tmp/send.err" || fail "hand-off on a full disk does not say so"
[[ -z $(find "$tmp/small/spool" -type f 2>/dev/null) ]] || fail "hand-off on a full disk left $(find "$tmp/small/spool" -type f)"
make_list 100
send --spool "$tmp/small/spool" >/dev/null || fail "a small hand-off after it does not work"

# delivery SPOOL LOG: fills the disk, delivers, waits for the pause, makes room, wants everything once.
delivery() {
  local n=200000 port
  fresh_disk 128m
  port=$(free_port)
  make_list $n
  rm -rf "${tmp:?}/spool" "$tmp/log"
  cat >"$tmp/c.toml" <<T
[engine]
hostname = "mta.sender.example"
spool = "$1"
log = "$2"
[destination."*"]
next_hop = ["127.0.0.1:$port"]
[destination."*".retry]
first = "300ms"
ceiling = "1s"
T
  send --config "$tmp/c.toml" >/dev/null
  mkdir -p "$2" && fill
  "$sluice" sink --listen "127.0.0.1:$port" --json >"$tmp/sink.json" 2>/dev/null & sink=$!
  : >"$tmp/serve.err"  # the background job may empty it only after we looked
  "$sluice" serve --config "$tmp/c.toml" --until-empty 2>"$tmp/serve.err" & engine=$!
  for _ in $(seq 300); do grep -q 'deliveries pause' "$tmp/serve.err" && break; sleep 0.1; done
  grep -q 'deliveries pause' "$tmp/serve.err" || fail "no pause was told"
  kill -0 $engine 2>/dev/null || fail "the engine died on a full disk"
  rm "$tmp/small/filler"
  for _ in $(seq 600); do kill -0 $engine 2>/dev/null || break; sleep 0.1; done
  wait $engine || fail "exit $? after there was room again"
  grep -q 'go on' "$tmp/serve.err" || fail "it was not told that deliveries go on"
  kill $sink; wait $sink || true
  python3 - "$tmp/sink.json" $n <<'P' || fail "counts"
import json, sys
result, n = json.load(open(sys.argv[1])), int(sys.argv[2])
assert result["distinct_recipients"] == n and result["duplicates"] == 0, result
P
  local lines
  lines=$(cat "$2"/*.jsonl | grep -c '"event":"delivered"')
  [[ $lines == "$n" ]] || fail "$lines delivered lines for $n"
}
delivery "$tmp/small/spool" "$tmp/log"
delivery "$tmp/spool" "$tmp/small/log"
echo "a full disk: refused, paused, gone on; nothing lost, nothing twice"
