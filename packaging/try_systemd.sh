#!/usr/bin/env bash
# Boots a Debian root with systemd (systemd-nspawn, nothing but loopback), where the package is installed, and lets systemd run the unit: start, mail, reload, a kill, stop, with all of its hardening. As root; needs debootstrap and systemd-container.
#
#   packaging/try_systemd.sh build/sluice_0.1.0_amd64.deb [ROOT]      a ROOT that is there already is used again
set -euo pipefail
package=$(realpath "$1") root=${2:-}
[[ $EUID == 0 ]] || { echo 'try_systemd.sh: needs root, for debootstrap and systemd-nspawn' >&2; exit 77; }
keep=$root
root=${root:-$(mktemp -d)}
trap '[[ -n $keep ]] || rm -rf "$root"' EXIT
[[ -x $root/usr/bin/apt-get ]] || debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus bookworm "$root" >"/dev/null"
cp /etc/resolv.conf "$root/etc/"
[[ ! -f /etc/apt/sources.list ]] || cp /etc/apt/sources.list "$root/etc/apt/"
cp "$package" "$root/root/sluice.deb"
chroot "$root" env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -qq && apt-get install -y -qq --reinstall --no-install-recommends /root/sluice.deb' >/dev/null

cat >"$root/etc/sluice/sluice.toml" <<'TOML'
[engine]
hostname = "mta.example"
[destination."*"]
next_hop = ["127.0.0.1:2525"]
[[listen]]
address = "127.0.0.1:25"
[admin]
address = "127.0.0.1:8025"
TOML
cat >"$root/root/tour.sh" <<'TOUR'
set -euo pipefail
# The exit status of a booted system is not its guest's, so it is left in a file.
trap 'status=$?; [[ $status == 0 ]] || journalctl --no-pager -u sluice | tail -30; echo $status >/root/status; systemctl poweroff --no-block' EXIT
sluice sink --listen 127.0.0.1:2525 --count 3 >/root/sink.txt 2>&1 & sink=$!
submit() { printf 'Subject: %s\n\nx\n' "$1" | setpriv --reuid=65534 --regid=65534 --clear-groups sendmail -f nobody@mta.example "$1@d.example"; }
running() { [[ $(systemctl show -P ActiveState sluice) == active ]]; }
echo '== start: systemd waits for its word, READY=1'
systemctl start sluice && running
systemctl show -p Type,ActiveState,SubState,StatusText,User,NoNewPrivileges sluice
exec 3<>/dev/tcp/127.0.0.1/25 && read -r greeting <&3 && echo "$greeting" && [[ $greeting == '220 mta.example '* ]]
submit one
echo '== a mistake in the configuration stops the reload, not the engine'
cp /etc/sluice/sluice.toml /root/good.toml
echo 'mistake = 1' >>/etc/sluice/sluice.toml
! systemctl reload sluice 2>/dev/null && running
cp /root/good.toml /etc/sluice/sluice.toml
systemctl reload sluice && running
submit two
echo '== killed, it is started again'
first=$(systemctl show -P MainPID sluice)
kill -9 "$first"
for _ in $(seq 100); do sleep 0.1; [[ $(systemctl show -P MainPID sluice) != "$first" ]] && running && break; done
running && [[ $(systemctl show -P NRestarts sluice) == 1 ]]
submit three
for _ in $(seq 100); do kill -0 $sink 2>/dev/null || break; sleep 0.1; done
wait $sink || { cat /root/sink.txt; exit 1; }
setpriv --reuid=sluice --regid=sluice --clear-groups sluice log --event delivered
echo '== stop'
systemctl stop sluice
[[ $(systemctl show -P Result sluice) == success ]]
systemd-analyze --no-pager security sluice | tail -1
echo 'started, reloaded, restarted, stopped by systemd'
TOUR
cat >"$root/etc/systemd/system/tour.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash /root/tour.sh
StandardOutput=append:/root/tour.txt
StandardError=append:/root/tour.txt
TimeoutStartSec=100
[Install]
WantedBy=graphical.target multi-user.target
UNIT
rm -f "$root/root/status" "$root/root/tour.txt"
chroot "$root" systemctl --quiet enable tour.service
chroot "$root" systemctl --quiet disable sluice.service
# nspawn's own filter of system calls knows no io_uring, as Docker's.
timeout --kill-after=10 150 systemd-nspawn --boot --quiet --register=no --keep-unit --private-network --system-call-filter='@aio io_uring_setup io_uring_enter io_uring_register' -D "$root" \
  </dev/null >"$root/root/console.txt" 2>&1 || true
cat "$root/root/tour.txt"
[[ $(cat "$root/root/status") == 0 ]]
