#!/usr/bin/env bash
# Sends a personalised newsletter to 100,000 readers, on this machine alone, and shows it happen.
#
#   tools/demo.sh [N]     N readers instead of 100,000
#
# Installs what is missing, builds, starts a receiving server on loopback, sends, compares what was sent with what the
# receiver counted. Exit 0 only if it counted every reader once. Leaves nothing behind but the build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readers=${1:-100000}
if [[ ! $readers =~ ^[1-9][0-9]{0,7}$ ]]; then
  echo "demo.sh: $readers is no number of readers; write one from 1 to 99999999" >&2
  exit 64
fi
sluice=build/sluice demo=tools/demo

if [[ -t 1 ]]; then bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'; else bold='' dim='' green='' red='' plain=''; fi
step() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
show() { printf '%s$ %s%s\n' "$dim" "$*" "$plain"; }
fail() {
  printf '%sdemo.sh: %s%s\n' "$red" "$*" "$plain" >&2
  exit 1
}
grouped() { printf '%.0f\n' "$1" | sed -E -e ':again' -e 's/([0-9])([0-9]{3})(,|$)/\1,\2\3/' -e 't again'; }
# number KEY FILE: of the JSON that a command printed
number() { sed -nE "s/^ *\"$1\": *([0-9.e+-]+),?\$/\\1/p" "$2" | head -1; }
# Soft line breaks joined, =XX made octets.
decode_quoted_printable() {
  local text
  text=$(sed -e ':join' -e '/=$/{N;s/=\n//;b join' -e '}' | sed -E -e 's/\\/\\\\/g' -e 's/=([0-9A-F]{2})/\\x\1/g')
  printf '%b\n' "$text"
}

step 'Install what is missing'
tools/setup.sh --build

step "Build, optimised: $sluice"
mkdir -p build
if ! { cmake --preset release && cmake --build --preset release --target sluice; } >build/demo.log 2>&1; then
  tail -30 build/demo.log >&2
  fail 'the build failed; all of it is in build/demo.log'
fi
"$sluice" --version

scratch=$(mktemp -d)
sink=''
clean_up() {
  if [[ -n $sink ]]; then
    kill "$sink" 2>/dev/null || true
    wait "$sink" 2>/dev/null || true
  fi
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step "A newsletter, and a list of $(grouped "$readers") readers"
show "$demo/list.sh $readers >list.csv"
"$demo/list.sh" "$readers" >"$scratch/list.csv"
head -3 "$scratch/list.csv"
echo '...'
printf '%s\n' "list.csv: $(grouped "$(wc -c <"$scratch/list.csv")") bytes; newsletter.eml: $(grouped "$(wc -c <"$demo/newsletter.eml")") bytes"

# A configuration of its own: nothing of this machine's is read or written.
cat >"$scratch/sluice.toml" <<TOML
[engine]
hostname = "mta1.news.example"
spool = "$scratch/spool"
log = "$scratch/log"
TOML
send=("$sluice" send --config "$scratch/sluice.toml" --message "$demo/newsletter.eml" --recipients "$scratch/list.csv"
  --from 'bounce+{{id}}@news.example' --unsubscribe 'https://gazette.example/leave?reader={{id}}')

step 'One of them, as it will be sent (sluice send --preview 1)'
"${send[@]}" --preview 1 >"$scratch/preview"
tr -d '\r' <"$scratch/preview" >"$scratch/message"
{
  grep -m 9 -E '^(MAIL|RCPT|From:|To:|Subject:|Date:|Message-ID:|List-)' "$scratch/message"
  echo
  awk '/^--=_/ { ++parts } parts == 1 && is_text; parts == 1 && /^$/ { is_text = 1 }' "$scratch/message" | decode_quoted_printable
} | sed "s/^/$dim  | $plain/"
echo "$dim  ... and the same in HTML$plain"

step 'A receiving server on loopback'
show 'sluice sink --listen 127.0.0.1:0 --json'
"$sluice" sink --listen 127.0.0.1:0 --json >"$scratch/sink.json" 2>"$scratch/sink.log" &
sink=$!
port=''
for _ in $(seq 100); do
  port=$(sed -nE 's/.*listening on 127\.0\.0\.1:([0-9]+).*/\1/p' "$scratch/sink.log")
  [[ -n $port ]] && break
  kill -0 "$sink" 2>/dev/null || break
  sleep 0.1
done
[[ -n $port ]] || fail "the receiver did not start: $(cat "$scratch/sink.log")"
echo "it listens on 127.0.0.1:$port"

step "Send to $(grouped "$readers") readers, each outcome durable on disk"
show "sluice send --message newsletter.eml --recipients list.csv --from 'bounce+{{id}}@news.example' --deliver --next-hop 127.0.0.1:$port"
code=0
"${send[@]}" --campaign gazette-47 --deliver --next-hop "127.0.0.1:$port" --json >"$scratch/send.json" || code=$?

kill -TERM "$sink"
wait "$sink" || true
sink=''
[[ -s $scratch/send.json ]] || fail "nothing was sent (exit $code)"
[[ -s $scratch/sink.json ]] || fail "the receiver did not report: $(cat "$scratch/sink.log")"

arrived=$(number messages "$scratch/sink.json") distinct=$(number distinct_recipients "$scratch/sink.json")
twice=$(number duplicates "$scratch/sink.json")
step 'What came of it'
row() { printf '  %-26s %s%14s%s %s\n' "$1" "$bold" "$2" "$plain" "${3:-}"; }
row 'delivered' "$(grouped "$(number delivered "$scratch/send.json")")"
row 'failed' "$(grouped "$(number failed "$scratch/send.json")")"
row 'seconds' "$(printf '%.2f' "$(number seconds "$scratch/send.json")")"
row 'messages a second' "$(grouped "$(number messages_per_second "$scratch/send.json")")"
row 'bytes of spool' "$(grouped "$(number spool_bytes "$scratch/send.json")")" "for $(grouped "$(number bytes "$scratch/sink.json")") bytes of mail"
row 'peak memory' "$(awk -v b="$(number memory_bytes "$scratch/send.json")" 'BEGIN { printf "%.1f MiB", b / 1048576 }')"
row 'counted by the receiver' "$(grouped "$arrived")" "($(grouped "$distinct") distinct readers, $(grouped "$twice") duplicates)"

step 'What the log knows of reader 1 (sluice log --history)'
"$sluice" log --log "$scratch/log" --history --recipient "$(sed -n '2s/,.*//p' "$scratch/list.csv")"

if [[ $code != 0 || $distinct != "$readers" || $arrived != "$readers" || $twice != 0 ]]; then
  fail "not every reader was reached exactly once (sluice send: exit $code)"
fi
printf '\n%sEvery one of %s readers has the newsletter, once.%s\n' "$green" "$(grouped "$readers")" "$plain"
