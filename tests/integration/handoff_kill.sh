#!/usr/bin/env bash
# timeout_s: 300
# kill -9 of the submitter at 50 random moments: each time the whole campaign is in the spool, or nothing that an engine would see.
# The seed is printed; SEED=... repeats its moments.
set -euo pipefail
sluice=$(realpath "${SLUICE:-build/sluice}") rounds=${1:-50} rows=${2:-60000}
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
RANDOM=${SEED:=$RANDOM}
echo "seed $SEED"
printf 'From: a@sender.example\r\nTo: {{email}}\r\nSubject: Hi {{name}}\r\n\r\nHello {{name}}\r\n' >"$tmp/m.eml"
{ echo email,name; awk -v n="$rows" 'BEGIN { for (i = 0; i < n; i++) printf "user%d@d%d.example,Name %d\n", i, i % 50, i }'; } >"$tmp/l.csv"
send() { exec "$sluice" send --message "$tmp/m.eml" --recipients "$tmp/l.csv" --from b@sender.example --spool "$tmp/spool" --campaign "$1"; }
visible() { find "$tmp/spool/campaigns" -maxdepth 1 -type f -name "$1" ! -name '.*' 2>/dev/null | wc -l; }

start=$(date +%s%N)
(send whole) >"$tmp/out" 2>&1
took_ms=$((($(date +%s%N) - start) / 1000000))
bytes=$(stat -c %s "$tmp/spool/campaigns/whole")

killed=0 whole=0
for ((i = 0; i < rounds; i++)); do
  (send "c$i") >"$tmp/out" 2>&1 & pid=$!
  # a wait that is no more exact than it must be: the moments are to be spread over the run and a little beyond
  delay_ms=$((RANDOM * (took_ms * 5 / 4 + 1) / 32768))
  sleep "$(printf '%d.%03d' $((delay_ms / 1000)) $((delay_ms % 1000)))"
  kill -9 "$pid" 2>/dev/null || true
  code=0; wait "$pid" 2>/dev/null || code=$?
  [[ $code == 137 ]] && killed=$((killed + 1))
  case $(visible "c$i") in
    0) [[ $code != 0 ]] || { echo "round $i: exit 0, and nothing was handed off"; exit 1; } ;;
    1) whole=$((whole + 1))
       [[ $(stat -c %s "$tmp/spool/campaigns/c$i") == "$bytes" ]] || { echo "round $i: a campaign of another size"; exit 1; } ;;
  esac
done

# What was half written is no campaign, and does not keep the same one from being handed off later.
for ((i = 0; i < rounds; i++)); do
  (send "c$i") >"$tmp/out" 2>&1 || { echo "again, c$i: $(cat "$tmp/out")"; exit 1; }
  [[ $(stat -c %s "$tmp/spool/campaigns/c$i") == "$bytes" ]] || { echo "again, c$i: a campaign of another size"; exit 1; }
done
[[ $(visible '*') == $((rounds + 1)) ]] || { echo "not $((rounds + 1)) campaigns in the spool but $(visible '*')"; exit 1; }
echo "$rounds submitters, $killed killed, $whole campaigns whole after that; all handed off later, each once"
[[ $killed -gt 0 ]]
