#!/usr/bin/env bash
# What `sluice` answers to a mistaken command line, and `sluice check` to a mistaken configuration: exit code and words.
set -uo pipefail
sluice=${SLUICE:?the binary}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bad=0

# try EXIT WORDS COMMAND...: the words are in what it prints, wherever
try() {
  local wanted=$1 words=$2 code=0
  shift 2
  "$@" >"$scratch/out" 2>&1 || code=$?
  if [[ $code != "$wanted" ]] || ! grep -qF -- "$words" "$scratch/out"; then
    bad=1
    echo "$*: exit $code instead of $wanted, or no '$words' in: $(head -c 500 "$scratch/out")"
  fi
}

try 0 'Usage: sluice COMMAND' "$sluice" --help
try 64 'Usage: sluice COMMAND' "$sluice"
try 0 'sluice ' "$sluice" --version
try 64 'unknown command snd; did you mean send?' "$sluice" snd
try 64 'unknown option --versoin; did you mean --version?' "$sluice" --versoin
for command in $("$sluice" --help | sed -nE '/^Commands:/,/^$/s/^  ([a-z]+) .*/\1/p'); do
  try 0 'Examples:' "$sluice" "$command" --help
  try 64 "sluice $command --help" "$sluice" "$command" --no-such-option
done

cat >"$scratch/bad.toml" <<'TOML'
[engine]
hostnme = "mta1.news.example"
[destination."*".timeout]
connect = "30x"
[dkim."news.example"]
selector = "s1"
key = "/nonexistent/s1.pem"
TOML
try 78 "bad.toml:2: engine.hostnme: unknown key; did you mean hostname?" "$sluice" check --config "$scratch/bad.toml"
try 78 'bad.toml:4: destination."*".timeout.connect: "30x" is not a duration; write 30s, 5m, 2h or 1d' "$sluice" check --config "$scratch/bad.toml"
try 78 'bad.toml:7: dkim."news.example".key: "/nonexistent/s1.pem" cannot be read: No such file' "$sluice" check --config "$scratch/bad.toml"
try 78 '3 mistakes' "$sluice" check --config "$scratch/bad.toml"
try 78 '"field": "engine.hostnme"' "$sluice" check --config "$scratch/bad.toml" --json
try 78 'cannot be read: No such file' "$sluice" check --config "$scratch/none.toml"
try 78 'bad.toml:4' "$sluice" serve --config "$scratch/bad.toml" --until-empty
"$sluice" check --defaults >"$scratch/good.toml"
try 0 'no mistakes' "$sluice" check --config "$scratch/good.toml"
try 0 '"ok": true' "$sluice" check --config "$scratch/good.toml" --json

# A disk that is full, or a reader that has seen enough, is no crash.
code=0
"$sluice" check --describe >/dev/full 2>"$scratch/err" || code=$?
[[ $code == 74 ]] || { bad=1; echo "a full disk: exit $code: $(<"$scratch/err")"; }
# The log of a spool of one's own is beside it, unless the configuration puts it elsewhere.
printf '[engine]\nhostname = "mta1.news.example"\n' >"$scratch/good.toml"
printf '[engine]\nlog = "%s/elsewhere"\n' "$scratch" >"$scratch/log.toml"
mkdir -p "$scratch/mine/log" "$scratch/elsewhere"
printf '{"time":"2026-11-22T10:00:00.000000Z","event":"delivered","id":"a.0","recipient":"beside@x.example"}\n' >"$scratch/mine/log/transactions.jsonl"
printf '{"time":"2026-11-22T10:00:00.000000Z","event":"delivered","id":"a.0","recipient":"elsewhere@x.example"}\n' >"$scratch/elsewhere/transactions.jsonl"
try 0 'beside@x.example' "$sluice" log --config "$scratch/good.toml" --spool "$scratch/mine"
try 0 'elsewhere@x.example' "$sluice" log --config "$scratch/log.toml" --spool "$scratch/mine"

exit $bad
