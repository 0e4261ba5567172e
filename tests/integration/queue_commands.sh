#!/usr/bin/env bash
# sluice queue, explain and log --history on a real spool, at rest and beside a running engine: who waits and why, holds before and after the mail,
# release, retry, cancel, and the whole story of one recipient whose server was away, then busy, then there.
set -euo pipefail
sluice=$(realpath "${SLUICE:?the binary}")
scratch=$(mktemp -d)
cd "$scratch"
engine='' sink=''
clean_up() {
  local pid
  for pid in $engine $sink; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$scratch"
}
trap clean_up EXIT
die() {
  echo "$*"
  exit 1
}
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >c.toml <<END
[engine]
spool = "spool"
log = "spool/log"
shards = 2
hostname = "mta1.news.example"
[destination."*"]
next_hop = ["127.0.0.1:$port"]
[destination."c.example"]
hold = "manual"
[destination."*".retry]
first = "1s"
ceiling = "1s"
END
printf 'From: a@news.example\nTo: {{email}}\nSubject: Hi\n\nHello {{id}}\n' >m.eml
{
  echo email,id
  for i in $(seq 200); do echo "u$i@a.example,$i"; done
  for i in $(seq 201 250); do echo "u$i@b.example,$i"; done
  for i in $(seq 251 260); do echo "u$i@c.example,$i"; done
} >list.csv
queue() { "$sluice" queue "$@" --config c.toml; }
json() { python3 -c 'import json, sys; d = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"; }
totals() { queue summary --json | json '"{waiting} {deferred} {held} {cancelled}".format(**d["total"])'; }
# until COMMAND...: true within 20 s
until_true() {
  for _ in $(seq 100); do
    if "$@"; then return; fi
    sleep 0.2
  done
  die "did not come: $*; $(totals); $(tail -3 serve.err 2>/dev/null)"
}
is() { [[ $("$1") == "$2" ]]; }
events() { grep -c "\"event\":\"$1\"" spool/log/transactions.jsonl || true; }
delivered() { events delivered; }
cancelled() { events cancelled; }
# A ring of a process that has ended may keep its port for a moment.
listens() {
  "$sluice" sink --listen "127.0.0.1:$port" --quiet "$@" 2>/dev/null &
  sink=$!
  for _ in $(seq 20); do
    sleep 0.1
    kill -0 $sink 2>/dev/null || return 1
    (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return 0
  done
  return 1
}
code_of() {
  local code=0
  "$@" >out 2>err || code=$?
  echo $code
}

# ---- nothing is there
[[ $(code_of queue summary) == 66 ]] || die "no spool: exit $(cat err)"
grep -q 'no spool is there' err || die "no spool: $(cat err)"
[[ ! -e spool ]] || die 'a look made a spool'

# ---- at rest
"$sluice" send --message m.eml --recipients list.csv --from 'bounce+{{id}}@news.example' --campaign may --spool spool --quiet >/dev/null
[[ $(totals) == '250 0 10 0' ]] || die "at rest: $(totals)"
queue summary | grep -q 'engine: none runs' || die 'an engine runs?'
[[ $(code_of queue hold) == 64 && $(code_of queue frobnicate) == 64 && $(code_of queue show) == 64 ]] || die 'usage'
[[ $(code_of queue list --recipient nonsense) == 64 ]] || die 'bad address'
[[ $(code_of queue cancel --campaign none) == 66 ]] || die 'nothing to cancel'
queue hold --destination b.example | grep -q '^50 recipients held, and so is what comes later; no engine' || die 'hold at rest'
queue cancel --sender bounce+7@news.example | grep -q '^1 recipient cancelled' || die 'cancel by sender'
queue cancel --recipient U8@A.example | grep -q 'nothing waits' && die 'the local part has two spellings'
queue cancel --recipient u8@A.example --dry-run | grep -q '^1 recipient would be cancelled' || die 'dry run'
[[ $(totals) == '199 0 60 1' ]] || die "after two words: $(totals)"
id=$(queue list --recipient u42@a.example --json | json 'd["recipients"][0]["id"]')
held=$(queue list --recipient u201@b.example --json | json 'd["recipients"][0]["id"]')
queue show "$held" | grep -q 'why  *sluice queue hold --destination b.example' || die "why held: $(queue show "$held")"
queue show "$(queue list --destination c.example --limit 1 --json | json 'd["recipients"][0]["id"]')" | grep -q 'why  *hold (c.toml:9)' || die 'held by the configuration'
queue list --limit 5 | grep -q 'and 255 more' || die "list: $(queue list --limit 5)"

# ---- the engine runs, the server is away
"$sluice" serve --config c.toml 2>serve.err &
engine=$!
until_true is cancelled 1
is_deferred() { [[ $(queue show "$id" --json | json 'd["state"], d["attempts"] > 1') == "('deferred', True)" ]]; }
until_true is_deferred
queue summary | grep -q "engine: process $engine" || die "engine: $(queue summary | tail -1)"
"$sluice" explain u42@a.example --config c.toml --json >explained
[[ $(json 'd["hosts"][0]["remote"], d["policy"]["retry.first"]["place"], d["waiting"]["own"][0]["state"]' <explained) == "('127.0.0.1:$port', 'c.toml:11', 'deferred')" ]] ||
  die "explain: $(cat explained)"
"$sluice" explain u42@a.example --config c.toml | grep -q 'expired, given up: expire.normal = 5d (built-in)' || die 'explain: no end'
queue hold --recipient u43@a.example | grep -q "the engine (process $engine) does it now" || die 'hold beside an engine'

# ---- it comes back, busy
until_true listens --fault 'rcpt:451 4.7.1 come back'
busy() { [[ $(events deferred) -gt 0 ]] && grep '"id":"'"$id"'"' spool/log/transactions.jsonl | grep -q '"phase":"rcpt"'; }
until_true busy
kill $sink
wait $sink 2>/dev/null || true

# ---- it takes mail: all but what is held, or cancelled
until_true listens
until_true is delivered 198
queue retry --all >/dev/null 2>&1 || true
[[ $(totals) == '0 0 61 0' ]] || die "what is held: $(totals)"
queue release --destination b.example | grep -q '^50 recipients released' || die 'release'
until_true is delivered 248
queue release --recipient u43@a.example | grep -q '^1 recipient released' || die 'release of one'
until_true is delivered 249
queue cancel --destination c.example --json | json 'd["recipients"]' | grep -qx 10 || die 'cancel held'
until_true is cancelled 11
empty() { [[ $(totals) == '0 0 0 0' ]]; }
until_true empty

# ---- mail that comes later: the hold of b.example was taken back, and a new one meets it
queue hold --destination a.example >/dev/null
"$sluice" send --message m.eml --recipients list.csv --from 'bounce+{{id}}@news.example' --campaign june --spool spool --quiet >/dev/null
until_true is delivered 299
[[ $(totals) == '0 0 210 0' ]] || die "later mail: $(totals)"
queue cancel --all >/dev/null
until_true is cancelled 221
until_true empty
kill $engine
wait $engine || die "engine: $(cat serve.err)"
engine=''

# ---- until empty: held mail is not waited for
"$sluice" send --message m.eml --recipients list.csv --from 'bounce+{{id}}@news.example' --campaign july --spool spool --quiet >/dev/null
[[ $(code_of timeout 60 "$sluice" serve --config c.toml --until-empty) == 75 ]] || die "held, until empty: $(cat err)"
grep -q '^sluice: 210 recipients are held: sluice queue list --spool spool' err || die "held, until empty: $(cat err)"
queue release --all >/dev/null
[[ $(code_of timeout 60 "$sluice" serve --config c.toml --until-empty) == 0 ]] || die "released, until empty: $(cat err)"
empty || die "until empty: $(totals)"

# ---- its story
"$sluice" log --config c.toml --history --id "$id" >story
for part in 'connection refused' 'changed: 451 4.7.1' 'delivered' "to 127.0.0.1:$port"; do
  grep -q -- "$part" story || die "the story lacks '$part': $(cat story)"
done
python3 - story <<'END' || die "attempts are not 1, 2, 3 ...: $(cat story)"
import re, sys
tries = [int(m[1]) for m in re.finditer(r"^  \d{4}-\S+ \S+ (\d+)  *(?:deferred|delivered)", open(sys.argv[1]).read(), re.M)]
sys.exit(tries != list(range(1, len(tries) + 1)) or len(tries) < 3)
END

# ---- zeros where the power went
before=$("$sluice" log --config c.toml --event delivered --json | wc -l)
head -c 3000000 /dev/zero >>spool/log/transactions.jsonl
printf '{"time":"2026-11-22T05:27:44.000000Z","event":"delivered","recipient":"late@a.example","tls":null}\n' >>spool/log/transactions.jsonl
after=$("$sluice" log --config c.toml --event delivered --json 2>err | wc -l)
[[ $after == $((before + 1)) && ! -s err ]] || die "zeros in the log: $before, then $after lines: $(cat err)"
