#!/usr/bin/env bash
# Resident memory of the engine with many sessions at the final dot, each held for 5 s by the receiver.
# usage: bench/held_sessions.sh [SESSIONS [BUILD]]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
sessions=${1:-10000} sluice=${2:-$here/../build}/sluice
tmp=$(mktemp -d) sink='' engine=''
trap 'kill $sink $engine 2>/dev/null || true; wait; rm -rf "$tmp"' EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
{ printf 'From: a@sender.example\nTo: {{email}}\nSubject: Hi {{name}}\n\nHello {{name}}\n'; for _ in $(seq 155); do echo 'Sixty-five characters of newsletter that say nothing new at all..'; done; } >"$tmp/m.eml"
awk -v n=$((3 * sessions)) 'BEGIN { print "email,name"; for (i = 0; i < n; i++) printf "user%d@d%d.example,Name %d\n", i, i % 100, i }' >"$tmp/list.csv"
cat >"$tmp/c.toml" <<T
[engine]
hostname = "mta.sender.example"
spool = "$tmp/spool"
log = "$tmp/log"
[destination."*"]
next_hop = ["127.0.0.1:$port"]
sessions_max = $sessions
T
"$sluice" sink --listen "127.0.0.1:$port" --delay final_dot=5s --quiet --json >"$tmp/sink.json" & sink=$!
"$sluice" send --config "$tmp/c.toml" --message "$tmp/m.eml" --recipients "$tmp/list.csv" --from b@sender.example >/dev/null
"$sluice" serve --config "$tmp/c.toml" --until-empty --quiet & engine=$!
rss=0 held=0
while kill -0 $engine 2>/dev/null; do
  now=$(ss -Htn state established "( dport = :$port )" | wc -l)
  kb=$(awk '/VmRSS/ { print $2 }' "/proc/$engine/status" 2>/dev/null || echo 0)
  if ((now >= held)); then held=$now; rss=$((${kb:-0} > rss ? ${kb:-0} : rss)); fi
  sleep 0.2
done
wait $engine
kill $sink; wait $sink || true
python3 - "$tmp/sink.json" "$held" "$rss" "$sessions" <<'P'
import json, sys
sink, held, rss, sessions = json.load(open(sys.argv[1])), *map(int, sys.argv[2:])
assert sink["distinct_recipients"] == 3 * sessions and sink["duplicates"] == 0, sink
print(f"{held} sessions held (the receiver saw {sink['connections_peak']}), {rss} KiB resident, {rss / held:.2f} KiB a session; {sink['messages']} messages, none twice")
P
