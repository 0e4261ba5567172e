#!/usr/bin/env bash
# Four shards and more than one queue: batches, permits and returns go between threads while campaigns arrive, logs are reopened, and the engine is stopped
# and goes on. Every recipient once, and every shard has delivered. Under ThreadSanitizer this is the run that says whether threads share only what they may.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
sluice=${SLUICE:-$here/../../build/sluice} n=${1:-3000}
tmp=$(mktemp -d) sink='' engine=''
trap 'kill $sink $engine 2>/dev/null || true; wait; rm -rf "$tmp"' EXIT
fail() { echo "threads: $*" >&2; cat "$tmp"/*.err >&2 || true; exit 1; }
# until_it SECONDS COMMAND...
until_it() { local i; for ((i = $1 * 20; i > 0; i--)); do "${@:2}" && return; sleep 0.05; done; return 1; }
wait_for_end() { local code=0; wait "$1" || code=$?; [[ $code == 0 ]] || fail "$2: exit $code"; }
delivered() { cat "$tmp"/log/*.jsonl* 2>/dev/null | grep -c '"event":"delivered"' || true; }
has_delivered() { (($(delivered) >= $1)); }

"$sluice" sink --listen 127.0.0.1:0 --threads 2 --json --delay final_dot=2ms --fault connect:drop@2 --fault mail:421@1 --fault rcpt:451@5 --fault final_dot:451@2 \
  >"$tmp/sink.json" 2>"$tmp/sink.err" & sink=$!
until_it 20 grep -qs 'listening on' "$tmp/sink.err" || fail 'the sink does not listen'
port=$(sed -nE 's/.*listening on 127\.0\.0\.1:([0-9]+).*/\1/p' "$tmp/sink.err")
cat >"$tmp/c.toml" <<T
[engine]
hostname = "mta.sender.example"
shards = 4
spool = "$tmp/spool"
log = "$tmp/log"
[destination."*"]
next_hop = ["127.0.0.1:$port"]
sessions_max = 16
[destination."*".retry]
first = "100ms"
ceiling = "200ms"
[destination."d1.example"]
sessions_max = 3
[destination."d2.example"]
messages_per_session_max = 5
T
printf 'From: a@sender.example\nTo: {{email}}\nSubject: Hi {{name}}\n\nHello {{name}}\n' >"$tmp/m.eml"
campaigns=3
hand_off() {
  awk -v n=$((n / campaigns)) -v c="$1" 'BEGIN { print "email,name"; for (i = 0; i < n; i++) printf "user%d.%d@d%d.example,Name %d\n", c, i, i % 6, i }' >"$tmp/list.csv"
  "$sluice" send --config "$tmp/c.toml" --message "$tmp/m.eml" --recipients "$tmp/list.csv" --from b@sender.example --campaign "c$1" >/dev/null
}

hand_off 1
"$sluice" serve --config "$tmp/c.toml" --quiet 2>"$tmp/serve.err" & engine=$!
hand_off 2
until_it 60 has_delivered $((n / 6)) || fail "only $(delivered) delivered"
mv "$tmp/log/transactions.jsonl" "$tmp/log/transactions.jsonl.1" && kill -USR1 $engine
until_it 20 test -s "$tmp/log/transactions.jsonl" || fail 'the log was not opened anew'
kill $engine
wait_for_end $engine 'stopped'
# Beyond a segment's header of 24 octets stand outcomes.
writers=$(find "$tmp/spool/journal" -type f -size +24c -printf '%f\n' | cut -d- -f2 | sort -u | wc -l)
hand_off 3
"$sluice" serve --config "$tmp/c.toml" --until-empty --quiet 2>"$tmp/serve.err" & engine=$!
wait_for_end $engine 'until empty'
kill $sink
wait_for_end $sink 'the sink'

python3 - "$tmp/sink.json" "$n" <<'P' || fail counts
import json, sys
result, n = json.load(open(sys.argv[1])), int(sys.argv[2])
assert result["distinct_recipients"] == n and result["duplicates"] == 0, result
P
[[ $(delivered) == "$n" ]] || fail "$(delivered) delivered lines for $n"
[[ $writers == 4 ]] || fail "only $writers of 4 shards have delivered"
echo "$n recipients of $campaigns campaigns on 4 shards, each once"
