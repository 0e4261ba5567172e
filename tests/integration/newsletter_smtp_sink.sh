#!/usr/bin/env bash
# A newsletter to Postfix's smtp-sink, which writes down all it takes: every recipient once, each with its own fields.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
sluice=${SLUICE:-$here/../../build/sluice} n=${1:-5000}
bin=$("$here/../../tools/postfix_tools.sh")
tmp=$(mktemp -d)
trap 'kill $sink 2>/dev/null || true; rm -rf "$tmp"' EXIT
chmod 755 "$tmp" && mkdir -m 777 "$tmp/taken"

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
user=()
[[ $EUID == 0 ]] && user=(-u nobody)  # smtp-sink wants it of root
LC_ALL=C "$bin/smtp-sink" "${user[@]}" -R "$tmp/taken" -D all "127.0.0.1:$port" 1000 &
sink=$!
for _ in $(seq 100); do (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.1; done

python3 - "$tmp" "$n" <<'P'
import csv, sys
folder, n = sys.argv[1], int(sys.argv[2])
with open(f"{folder}/news.eml", "w") as f:
    f.write("From: News <news@sender.example>\nTo: {{name}} <{{email}}>\nSubject: Hello {{name}}\nX-Token: {{token}}\n\n"
            "Dear {{name}}, your token is {{token}}.\n.a line that begins with a dot\n" + "Nothing new at all.\n" * 500)
with open(f"{folder}/list.csv", "w", newline="") as f:
    rows = csv.writer(f)
    rows.writerow(["email", "name", "token"])
    for i in range(n):
        rows.writerow([f"user{i}@d{i % 100}.example", f"Name, {i}", f"tok{i:08}"])
P
"$sluice" send --message "$tmp/news.eml" --recipients "$tmp/list.csv" --from 'bounce+{{token}}@sender.example' \
  --spool "$tmp/spool" --deliver --next-hop "127.0.0.1:$port" --json >"$tmp/result.json"
kill "$sink" && wait "$sink" 2>/dev/null || true

python3 - "$tmp" "$n" <<'P'
import collections, json, re, sys
folder, n = sys.argv[1], int(sys.argv[2])
result = json.load(open(f"{folder}/result.json"))
assert result["delivered"] == n, result
text = open(f"{folder}/taken/all", encoding="utf-8").read()
seen = collections.Counter()
for message in re.split(r"(?m)^X-Client-Addr: .*\n", text)[1:]:
    recipient = re.search(r"(?m)^X-Rcpt-Args: <user(\d+)@d\d+\.example>", message)
    assert recipient, message[:400]
    i = int(recipient.group(1))
    seen[i] += 1
    for line in (f"X-Mail-Args: <bounce+tok{i:08}@sender.example>", f'To: "Name, {i}" <user{i}@d{i % 100}.example>',
                 f"Subject: Hello Name, {i}", f"X-Token: tok{i:08}", f"Dear Name, {i}, your token is tok{i:08}."):
        assert line in message, (i, line, message[:800])
    assert re.search(r"(?m)^\.+a line that begins with a dot$", message)
    assert message.count("Nothing new at all.") == 500, i
missing, again = n - len(seen), [i for i, times in seen.items() if times > 1]
assert missing == 0 and not again, (missing, again[:10])
print(f"{n} recipients, each once, each with its own fields")
P
