#!/usr/bin/env bash
# Speed with durable fates beside what bounds it, in one run on one machine, rounds interleaved, medians:
#   A  Postfix's smtp-source straight into its smtp-sink (no spool, no log, no fate)
#   B  the bare ceiling: bench/bare_client into `sluice sink` (no spool, no log, no fate)
#   C  smtp-sink as a receiver, and `sluice sink` as a receiver, fed by bench/bare_client
#   D  `sluice send --deliver`: list to last durable fate, into `sluice sink`
# usage: bench/delivery.sh [MESSAGES [ROUNDS [BUILD]]]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
n=${1:-100000} rounds=${2:-5} build=${3:-$here/../build} sessions=20
sluice=$build/sluice bare=$build/bare_client postfix=$("$here/../tools/postfix_tools.sh")
tmp=$(mktemp -d) receiver=
trap 'kill $receiver 2>/dev/null || true; rm -rf "$tmp"' EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
await() { for _ in $(seq 100); do (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return; sleep 0.05; done; echo "nothing listens on $1" >&2; exit 1; }
start_sink() { port=$(free_port); "$sluice" sink --listen "127.0.0.1:$port" --quiet & receiver=$!; await "$port"; }
start_smtp_sink() {
  local user=()
  [[ $EUID == 0 ]] && user=(-u nobody)
  port=$(free_port); LC_ALL=C "$postfix/smtp-sink" "${user[@]}" "127.0.0.1:$port" 1000 & receiver=$!; await "$port"
}
stop() { kill "$receiver"; wait "$receiver" 2>/dev/null || true; }
# per_second COUNT COMMAND...: messages a second by the clock
per_second() {
  local count=$1 begin end; shift
  begin=$(date +%s%N); "$@" >/dev/null; end=$(date +%s%N)
  echo $((count * 1000000000 / (end - begin)))
}

python3 - "$tmp" "$n" <<'P'
import sys
folder, n = sys.argv[1], int(sys.argv[2])
line = "Sixty-five characters of newsletter that say nothing new at all.\n"
with open(f"{folder}/news.eml", "w") as f:
    f.write("From: News <news@sender.example>\nTo: {{name}} <{{email}}>\nSubject: Hello {{name}}\n\nDear {{name}}, your token is {{token}}.\n" + line * 155)
with open(f"{folder}/list.csv", "w") as f:
    f.write("email,name,token\n")
    for i in range(n):
        f.write(f'user{i}@d{i % 100}.example,"Name, {i}",tok{i:08}\n')
P

few=$((n / 5))
for round in $(seq "$rounds"); do
  start_smtp_sink
  a=$(per_second "$few" "$postfix/smtp-source" -s "$sessions" -m "$few" -l 10240 -N "127.0.0.1:$port")
  c1=$(per_second "$few" "$bare" --messages "$few" --bytes 10240 --sessions "$sessions" "127.0.0.1:$port")
  stop
  start_sink
  b=$(per_second "$n" "$bare" --messages "$n" --bytes 10240 --sessions "$sessions" "127.0.0.1:$port")
  stop
  start_sink
  rm -rf "$tmp/spool"
  "$sluice" send --message "$tmp/news.eml" --recipients "$tmp/list.csv" --from 'bounce+{{token}}@sender.example' \
    --spool "$tmp/spool" --deliver --next-hop "127.0.0.1:$port" --json >"$tmp/result.json"
  stop
  d=$(python3 -c 'import json, sys; print(int(json.load(open(sys.argv[1]))["messages_per_second"]))' "$tmp/result.json")
  echo "round $round: smtp-source|smtp-sink $a, bare|smtp-sink $c1, bare|sluice sink $b, sluice send|sluice sink $d messages/s" >&2
  echo "$a $c1 $b $d"
done >"$tmp/rounds"

python3 - "$tmp/rounds" <<'P'
import statistics, sys
a, c, b, d = (statistics.median(column) for column in zip(*(map(int, line.split()) for line in open(sys.argv[1]))))
print("| what | messages/s (median) | ratio |\n| --- | --- | --- |")
print(f"| smtp-source into smtp-sink | {a:,.0f} | {a / b:.2f} of the bare ceiling |")
print(f"| bare client into smtp-sink | {c:,.0f} | |")
print(f"| bare client into `sluice sink` (the bare ceiling) | {b:,.0f} | {b / c:.1f} times what smtp-sink takes |")
print(f"| `sluice send --deliver` into `sluice sink`, fates durable | {d:,.0f} | {d / b:.2f} of the bare ceiling, {d / a:.1f} times smtp-source into smtp-sink |")
P
