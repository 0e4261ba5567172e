#!/usr/bin/env bash
# `sluice log --follow` survives rotation, a file that comes later and a line written in two parts; `sluice log` ends quietly when its reader does.
set -euo pipefail
sluice=${SLUICE:?the binary}
scratch=$(mktemp -d)
follower=''
clean_up() {
  [[ -z $follower ]] || kill "$follower" 2>/dev/null || true
  rm -rf "$scratch"
}
trap clean_up EXIT
log=$scratch/log
mkdir "$log"

line() { printf '{"time":"2026-11-22T05:27:%02d.000000Z","event":"delivered","recipient":"%s","tls":null}\n' "$1" "$2"; }
# Waits until the follower has printed N lines; they are to be those of "$@", in order.
expect() {
  for _ in $(seq 100); do
    [[ $(wc -l <"$scratch/out") -ge $# ]] && break
    sleep 0.1
  done
  local found
  found=$(sed -E 's/.*"recipient":"([^"]*)".*/\1/' "$scratch/out" | xargs)
  [[ $found == "$*" ]] || {
    echo "followed: $found; wanted: $*"
    exit 1
  }
}

"$sluice" log --log "$log" --follow --json >"$scratch/out" &
follower=$!
line 1 a >>"$log/transactions.jsonl"
expect a
line 2 b | head -c 30 >>"$log/transactions.jsonl"
line 2 b | tail -c +31 >>"$log/transactions.jsonl"
expect a b
# Rotated, and written to by one who had not noticed.
mv "$log/transactions.jsonl" "$log/transactions-20261122T052703.000000Z.jsonl"
line 3 c >>"$log/transactions-20261122T052703.000000Z.jsonl"
expect a b c
line 4 d >>"$log/transactions.jsonl"
expect a b c d
kill -INT "$follower" 2>/dev/null || true
kill -TERM "$follower" 2>/dev/null || true  # it may have ended already
code=0
wait "$follower" || code=$?
follower=''
[[ $code == 0 ]] || {
  echo "the follower ended with $code"
  exit 1
}

[[ $("$sluice" log --log "$log" --json | wc -l) == 4 ]] || {
  echo 'rotated lines are missing'
  exit 1
}
for i in $(seq 3000); do line 5 "reader$i"; done >>"$log/transactions.jsonl"
"$sluice" log --log "$log" 2>"$scratch/err" | head -1 >/dev/null || [[ $? == 141 ]]
[[ ! -s $scratch/err ]] || {
  cat "$scratch/err"
  exit 1
}

# Nothing there: 66, and what to do.
code=0
"$sluice" log --log "$scratch/none" 2>"$scratch/err" || code=$?
if [[ $code != 66 ]] || ! grep -q -- '--log' "$scratch/err"; then
  echo "a missing log: exit $code, said: $(<"$scratch/err")"
  exit 1
fi
