#!/usr/bin/env bash
# What `sluice send` refuses: each mistake with its exit code, its place and nothing in the spool.
set -uo pipefail
sluice=$(realpath "${SLUICE:-build/sluice}") bad=0 tried=0
tmp=$(mktemp -d) && trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
good_message=$'From: a@sender.example\r\nTo: {{email}}\r\nSubject: Hi {{name}}\r\n\r\nHello {{name}}\r\n'
good_list=$'email,name\nann@a.example,Ann\nbob@b.example,Bob\n'

fail() { echo "$1"; bad=1; }
campaigns() { find spool -path '*/campaigns/*' -type f 2>/dev/null | wc -l; }

# expect LABEL CODE TEXT [OPTION]...: sends m.eml to the list, which must be refused so; `l.csv` unless --recipients is among the options.
expect() {
  local label=$1 code=$2 text=$3 real; shift 3
  [[ " $* " == *' --recipients '* ]] || set -- "$@" --recipients l.csv
  [[ " $* " == *' --spool '* ]] || set -- "$@" --spool spool
  [[ " $* " == *' --from '* ]] || set -- "$@" --from b@sender.example
  rm -rf spool; tried=$((tried + 1))
  "$sluice" send --message m.eml "$@" >out 2>err </dev/null; real=$?
  [[ $real == "$code" ]] || fail "$label: exit $real instead of $code: $(head -c 300 err)"
  grep -qF -- "$text" err || fail "$label: did not say '$text' but: $(head -c 300 err)"
  [[ $(campaigns) == 0 ]] || fail "$label: left something in the spool: $(find spool -type f)"
}
list() { printf '%b' "$1" >l.csv; printf '%s' "$good_message" >m.eml; }
message() { printf '%b' "$1" >m.eml; printf '%s' "$good_list" >l.csv; }

# ---- the list
list 'email,name\nann@a.example\nbob@b.example,Bob\n';              expect 'ragged row' 65 'l.csv:2: 1 field where the header has 2'
list 'email,name\nann@a.example,Ann\nno-at-sign,Bob\n';             expect 'bad address' 65 "l.csv:3: 'no-at-sign' is not an address: it has no @"
list 'email,name\nann@a.example,"Ann\nbob@b.example,Bob\n';         expect 'unclosed quote' 65 'l.csv:2: a quote opens here and is not closed'
expect 'unclosed quote, bad rows allowed' 65 'l.csv:2: a quote opens here and is not closed' --skip-invalid
list 'mail,name\nann@a.example,Ann\n';                              expect 'no email column' 65 'l.csv:1: no column is named email'
list 'email,name\nann@a.example,J\xf6rg\n';                         expect 'Latin-1' 65 "l.csv:2: column 'name': not UTF-8"
list '';                                                            expect 'empty file' 65 'l.csv: the list is empty'
list 'email,name\n';                                                expect 'no rows' 65 'l.csv: the list holds no recipients'
list 'email,name\nann@a.example,A\\0nn\n'; sed -i 's/\\0/\x00/' l.csv; expect 'NUL' 65 "l.csv:2: column 'name': a NUL octet"
list 'email,name\nann@a.example,"Ann\r\nBcc: x@y.example"\n';       expect 'line break for a header' 65 "l.csv:2: column 'name': a line break, and the message uses it in a header"
list 'email,name\nx,1\ny\nz,3\n';                                   expect 'all bad rows are told' 65 'l.csv:4:'
[[ $(grep -c '^l.csv:' err) == 3 ]] || fail "not three mistakes but: $(cat err)"
{ echo email,name; yes nobody,x | head -150; } >l.csv;     expect 'many bad rows' 65 'and 50 more'
list '{"email":"ann@a.example","name":["Ann"]}\n'; mv l.csv l.jsonl; expect 'nested JSON' 65 "l.jsonl:1: 'name': a nested value" --recipients l.jsonl
expect 'no such list' 66 'none.csv: cannot be read: No such file' --recipients none.csv
expect 'list from an empty pipe' 65 'standard input: the list is empty' --recipients -
list 'email,name\nx,1\n';                                           expect 'only bad rows' 65 'l.csv: nobody is left to send to: 1 rejected' --skip-invalid
[[ ! -e l.csv.rejected.csv ]] || fail 'only bad rows: a file of rejected rows is left'
list 'email,name\nann@a.example,Ann\nbob@b.example,Bob\n'; printf 'ann@a.example\nnobody\n' >s.txt;         expect 'bad suppression' 65 's.txt:2: '"'nobody'"' is neither an address nor an @domain' --suppress s.txt
printf 'ann@a.example\n@b.example\n' >s.txt;                        expect 'all suppressed' 65 'nobody is left to send to: 0 rejected, 2 suppressed' --suppress s.txt
expect 'no such suppressions' 66 'none.txt: cannot be read' --suppress none.txt

# ---- the message
message 'From: a@sender.example\r\nSubject: {{nmae}}\r\n\r\nx\r\n'; expect 'unknown tag' 65 'm.eml:2'; grep -q nmae err || fail 'unknown tag: not named'
message 'From: a@sender.example\r\n\r\nx\r\n{{name\r\n';            expect 'unclosed tag' 65 'm.eml:4'
message 'From: a@sender.example\r\nSubject: x\r\n';                 expect 'no border' 65 'm.eml'
message '';                                                         expect 'empty message' 65 'm.eml'
{ printf 'From: a@sender.example\r\n\r\n'; head -c 60000000 /dev/zero | tr '\0' x | fold -w 76; } >m.eml
expect 'message of 60 MB' 65 'm.eml: the message is larger than 52428800 octets'
rm m.eml; expect 'no message' 66 'm.eml: cannot be read'
message "$good_message"; expect 'unknown tag in the sender' 65 'nmae' --from 'b+{{nmae}}@sender.example'

# ---- the command line
expect 'bad next hop' 64 '--next-hop' --next-hop 'nonsense:port:x'
expect 'bad campaign' 64 '--campaign' --campaign $'a\nb'
expect 'long campaign' 64 '--campaign' --campaign "$(printf 'x%.0s' {1..81})"
expect 'unknown option' 64 '--nonsense' --nonsense
expect 'both' 64 'excludes' --deliver --dry-run
expect 'no such configuration' 78 'none.toml' --config none.toml

# ---- the spool
message "$good_message"
touch file; expect 'spool is a file' 73 'file' --spool file
if [[ $EUID != 0 ]]; then   # root may write anywhere
  mkdir closed && chmod 500 closed; expect 'read-only spool' 77 'closed' --spool closed
fi
if [[ $EUID == 0 ]] && mkdir full && mount -t tmpfs -o size=256k none full 2>/dev/null; then
  { echo email,name; seq -f 'u%.0f@a.example,a name of some length that fills a small disk' 20000; } >l.csv
  expect 'disk full' 75 'full' --spool full/spool
  [[ $(find full -type f | wc -l) == 0 ]] || fail "disk full: left $(find full -type f)"
  mount -o remount,size=8m full
  "$sluice" send --message m.eml --from b@sender.example --recipients l.csv --spool full/spool >out 2>err || fail "room again: $(cat err)"
  umount full
fi

# ---- none of it is the program's habit: the same, without a mistake
message "$good_message"; rm -rf spool
send() { "$sluice" send --message m.eml --from b@sender.example --recipients l.csv --spool spool "$@"; }
send --campaign one >out 2>err || fail "good list: $(cat err)"
[[ $(campaigns) == 1 ]] || fail 'good list: not one campaign in the spool'
send --campaign one >out 2>err || fail "the same campaign again: $(cat err)"
grep -q 'handed off before' out || fail "the same campaign again: $(cat out)"
[[ $(campaigns) == 1 ]] || fail 'the same campaign again: not one campaign in the spool'
printf '%b' 'email,name\nann@a.example,Ann\nx,"1, 2"\nANN@A.example,Ann\nbob@b.example,Bob\ncarl@c.example\n' >l.csv
printf 'bob@b.example\n' >s.txt
send --campaign two --skip-invalid --suppress s.txt --json >out 2>err || fail "bad rows left out: $(cat err)"
for part in '"recipients": 1' '"duplicates": 1' '"suppressed": 1' '"rejected": 2'; do grep -q "$part" out || fail "bad rows left out: no $part in $(cat out)"; done
printf '%s\n' 'reason,"email","name"' "\"'x' is not an address: it has no @\",x,\"1, 2\"" '"1 field where the header has 2",carl@c.example' | cmp - l.csv.rejected.csv ||
  fail "rejected rows: $(cat l.csv.rejected.csv)"
send --campaign three --preview 2 --skip-invalid --json >out 2>err || fail "preview: $(cat err)"
grep -q '"recipient": "bob@b.example"' out || fail "preview: $(cat out)"
send --campaign three --dry-run --skip-invalid >out 2>err || fail "dry run: $(cat err)"
grep -q '2 recipients at 2 destinations; nothing was handed off' out || fail "dry run: $(cat out)"
[[ $(campaigns) == 2 ]] || fail 'a look at it handed something off'

[[ $bad == 0 ]] && echo "$tried mistakes refused, each with its place and nothing left behind"
exit $bad
