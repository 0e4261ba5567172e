#!/usr/bin/env bash
# Look-ups of COUNT distinct domains (default 100,000), each with an MX of its own or a shared one, against Knot DNS on
# loopback: bench/dns.sh [COUNT [AT_ONCE]]. Prints look-ups a second and the cache's memory an entry.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd) count=${1:-100000} at_once=${2:-0}
program=${DNS_LOOK_UPS:-$here/../build/dns_look_ups}
bin=$("$here/../tools/knot_tools.sh")
tmp=$(mktemp -d)
trap 'kill "$knot" 2>/dev/null && wait "$knot" 2>/dev/null; rm -rf "$tmp"' EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

for kind in own shared; do
  {
    printf '$ORIGIN bench.test.\n$TTL 3600\n@ SOA ns root 1 3600 600 86400 3600\n@ NS ns\nns A 127.0.0.1\nmx A 192.0.2.1\n'
    awk -v n="$count" -v kind=$kind 'BEGIN { for (i = 0; i < n; i++)
      if (kind == "own") printf "d%d MX 10 mx.d%d\nmx.d%d A 192.0.2.%d\n", i, i, i, i % 256
      else printf "d%d MX 10 mx\n", i }'
  } >"$tmp/zone"
  cat >"$tmp/knot.conf" <<C
server:
  rundir: $tmp
  listen: 127.0.0.1@$port
  udp-workers: 1
log:
 - target: $tmp/log
   any: info
database:
  storage: $tmp/db
template:
 - id: default
   storage: $tmp
   zonefile-sync: -1
   journal-content: none
zone:
 - domain: bench.test
   file: zone
C
  "$bin/knotd" -c "$tmp/knot.conf" >/dev/null 2>&1 &
  knot=$!
  for _ in $(seq 300); do grep -q 'bench.test.\].*loaded' "$tmp/log" 2>/dev/null && break; sleep 0.1; done
  echo "$kind MX:"
  "$program" "127.0.0.1:$port" "$count" "$at_once"
  kill "$knot" && wait "$knot" 2>/dev/null || true
  rm -f "$tmp/log"
done
