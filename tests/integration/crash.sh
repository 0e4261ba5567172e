#!/usr/bin/env bash
# kill -9 of the engine at 50 random moments of 20,000 recipients: none is missing, and a duplicate is at most what was under way on a session at a kill.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
sluice=${SLUICE:-$here/../../build/sluice} n=${1:-20000} kills=${2:-50} sessions=20
tmp=$(mktemp -d) sink='' engine=''
trap 'kill -9 $sink $engine 2>/dev/null || true; rm -rf "$tmp"' EXIT
seed=${SEED:-$RANDOM}
RANDOM=$seed
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
awk -v n="$n" 'BEGIN { print "email,name"; for (i = 0; i < n; i++) printf "user%d@d%d.example,Name %d\n", i, i % 100, i }' >"$tmp/list.csv"
{ printf 'From: a@sender.example\nTo: {{email}}\nSubject: Hi {{name}}\n\nHello {{name}}\n'; for _ in $(seq 100); do echo 'Nothing new at all in this line either.'; done; } >"$tmp/m.eml"
cat >"$tmp/c.toml" <<T
[engine]
hostname = "mta.sender.example"
spool = "$tmp/spool"
log = "$tmp/log"
[destination."*"]
next_hop = ["127.0.0.1:$port"]
sessions_max = $sessions
[destination."*".retry]
first = "100ms"
ceiling = "200ms"
T
# The receiver takes its time, so that all kills fall into the run.
"$sluice" sink --listen "127.0.0.1:$port" --delay final_dot=4ms --json >"$tmp/sink.json" 2>/dev/null & sink=$!
"$sluice" send --config "$tmp/c.toml" --message "$tmp/m.eml" --recipients "$tmp/list.csv" --from b@sender.example >/dev/null
done=0
for _ in $(seq "$kills"); do
  "$sluice" serve --config "$tmp/c.toml" --until-empty --quiet & engine=$!
  sleep "0.$(printf '%03d' $((RANDOM % 90 + 10)))"
  kill -9 $engine 2>/dev/null || break
  wait $engine 2>/dev/null || true
  done=$((done + 1))
done
timeout -k 1 120 "$sluice" serve --config "$tmp/c.toml" --until-empty --quiet
kill $sink
wait $sink || true
python3 - "$tmp" "$n" "$done" "$sessions" "$seed" <<'P'
import collections, json, sys
folder, (n, kills, sessions, seed) = sys.argv[1], map(int, sys.argv[2:])
sink = json.load(open(f"{folder}/sink.json"))
print(f"{kills} kills, {sink['messages']} messages, {sink['duplicates']} duplicates; seed {seed}")
assert kills > 0 and sink["distinct_recipients"] == n, sink
# A session has one message at the dot and may have had one more answered whose fate was not written yet.
assert sink["duplicates"] <= kills * 2 * sessions, sink
delivered = collections.Counter()
for line in open(f"{folder}/log/transactions.jsonl", encoding="utf-8", errors="replace"):
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        continue  # torn by a kill
    if record["event"] == "delivered":
        delivered[record["recipient"]] += 1
assert len(delivered) == n, (len(delivered), n)
P
