#!/usr/bin/env bash
# Installs the package in a Debian root of its own and takes the README's tour there: a receiver, a newsletter, the relay, sendmail. As root; needs debootstrap. Nothing of it touches this machine's own system.
#
#   packaging/try.sh build/sluice_0.1.0_amd64.deb [ROOT]      a ROOT that is there already is used again
set -euo pipefail
package=$(realpath "$1") root=${2:-}
[[ $EUID == 0 ]] || { echo 'try.sh: needs root, for debootstrap and chroot' >&2; exit 77; }
keep=$root
root=${root:-$(mktemp -d)}
cleanup() {
  [[ ! -d $root/proc/1 ]] || umount --lazy "$root/proc"
  ! mountpoint -q "$root/dev" || umount --lazy "$root/dev"
  [[ -n $keep ]] || rm -rf "$root"
}
trap cleanup EXIT
[[ -x $root/usr/bin/apt-get ]] || debootstrap --variant=minbase bookworm "$root" >"/dev/null"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
cp /etc/resolv.conf "$root/etc/"
[[ ! -f /etc/apt/sources.list ]] || cp /etc/apt/sources.list "$root/etc/apt/"
cp "$package" "$root/root/sluice.deb"

cat >"$root/root/tour.sh" <<'TOUR'
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
apt-get update -qq && apt-get install -y -qq --no-install-recommends /root/sluice.deb >/dev/null
sluice --version && sluice check
stat -c '%A %U:%G %n' /usr/sbin/sendmail /etc/sluice /var/spool/sluice /var/log/sluice
cd "$(mktemp -d)" && chmod 755 .

echo '== a newsletter, from the command line'
sluice sink --listen 127.0.0.1:2525 --count 3 >sink.txt 2>&1 & sink=$!
sleep 1
printf 'From: News <news@news.example>\nTo: {{email}}\nSubject: Hello {{name}}\n\nDear {{name}}, it is out.\n' >news.eml
printf 'id,email,name\n1,ann@a.example,Ann\n2,bob@b.example,Bob\n3,cy@c.example,Cy\n' >list.csv
sluice send --message news.eml --recipients list.csv --from 'bounce+{{id}}@news.example' --spool spool --deliver --next-hop 127.0.0.1:2525
wait "$sink" || { cat sink.txt; exit 1; }
sluice log --spool spool --event delivered

echo '== the daemon, as its own user on a port below 1024, and sendmail by anybody, before and while it runs'
cat >/etc/sluice/sluice.toml <<'TOML'
[engine]
hostname = "mta.example"
user = "sluice"
[destination."*"]
next_hop = ["127.0.0.1:2525"]
[[listen]]
address = "127.0.0.1:25"
[admin]
address = "127.0.0.1:8025"
TOML
nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
sluice sink --listen 127.0.0.1:2525 --count 3 >sink.txt 2>&1 & sink=$!
printf 'Subject: before\n\nx\n' | nobody sendmail -f nobody@mta.example dan@d.example
sluice serve >serve.txt 2>&1 & engine=$!
for _ in $(seq 100); do (: </dev/tcp/127.0.0.1/25) 2>/dev/null && break; kill -0 "$engine" || { cat serve.txt; exit 1; }; sleep 0.1; done
printf 'Subject: while\n\nx\n' | nobody sendmail -f nobody@mta.example eve@d.example
exec 3<>/dev/tcp/127.0.0.1/25
reply() { read -r line <&3 && echo "$line" && [[ $line == "$1"* ]]; }
say() { printf '%s\r\n' "$1" >&3; }
reply 220; say 'HELO client.example'; reply 250
say 'MAIL FROM:<a@client.example>'; reply 250; say 'RCPT TO:<fay@d.example>'; reply 250
say DATA; reply 354; say $'Subject: by SMTP\r\n\r\nx\r\n.'; reply 250; say QUIT; reply 221
wait "$sink" || { cat sink.txt; exit 1; }
grep -E 'Uid|Gid|CapEff|NoNewPrivs' "/proc/$engine/status"
[[ $(stat -c %U /proc/$engine) == sluice || $(awk '/^Uid/ {print $2}' /proc/$engine/status) == "$(id -u sluice)" ]]
if nobody cat /var/log/sluice/transactions.jsonl 2>/dev/null; then echo 'the log is for all to read'; exit 1; fi
if nobody sendmail --spool /tmp/x ann@a.example </dev/null; then echo 'sendmail obeys its caller'; exit 1; fi
kill "$engine"; wait "$engine"
setpriv --reuid=sluice --regid=sluice --clear-groups sluice log --event delivered | tail -4
apt-get purge -y -qq sluice >/dev/null
[[ ! -e /var/spool/sluice && ! -e /usr/sbin/sendmail ]]
echo 'installed, toured, purged'
TOUR
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root chroot "$root" bash /root/tour.sh
