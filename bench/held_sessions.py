#!/usr/bin/env python3
"""Tens of thousands of sessions at the final dot at once, of one process, whose receiver answers each dot after --hold seconds.

1. Memory: resident memory a session, at the moment when most are held.
2. Timers: while they are held, a session each of --timers further destinations comes due, which never greet: how late is each told,
   by `phases_ms` of its log line?

With --tls all of them are under TLS: `openssl` makes the receiver's certificate.

Exit code 1 when not all are held, a session takes more than --kib-most, or a deadline is later than --late-most milliseconds.
"""
import argparse
import json
import subprocess
import sys
import tempfile
import time

from _engine import Engine, Sink

SOCKETS_A_SHARD = 13_000  # for sessions, of the 20,000 descriptors that a process may have here
HOPS = 10                 # with one address the kernel would run out of local ports
GREETING_S = 3


def held(port):
    table = subprocess.run(["ss", "-Htn", "state", "established", f"( dport = :{port} )"], capture_output=True, text=True, check=True).stdout
    return table.count("\n")


def certificate(folder):
    """The sink's options, with a certificate of the length that most have: RSA."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=sink.example", "-addext",
                    "subjectAltName=DNS:sink.example", "-out", f"{folder}/sink.pem", "-keyout", f"{folder}/sink.key"], check=True, capture_output=True)
    return ["--tls-certificate", f"{folder}/sink.pem", "--tls-key", f"{folder}/sink.key"]


def deadlines(log):
    """How late they were, in milliseconds, ascending."""
    late = []
    for line in open(log):
        record = json.loads(line)
        if record.get("phase") == "greeting":
            late.append(record["phases_ms"]["greeting"] - 1000 * GREETING_S)
    return sorted(late)


def main():
    shards = max(2, -(-(arguments.sessions + arguments.timers) // SOCKETS_A_SHARD))
    with tempfile.TemporaryDirectory() as folder, Sink(*(certificate(folder) if arguments.tls else ()), "--threads", str(shards), "--delay", f"final_dot={arguments.hold}s", listen="0.0.0.0:0") as sink, \
            Sink("--fault", "greeting:stall", listen="0.0.0.0:0") as silent:
        hops = {f"d{i}.example": f"127.0.0.{i + 1}:{sink.port}" for i in range(HOPS)}
        hops |= {f"d{HOPS + i}.example": f"127.1.{i >> 8}.{i & 255}:{silent.port}" for i in range(arguments.timers)}
        engine = Engine(folder, hops, shards, {"greeting": f"{GREETING_S}s"}, sessions_max=arguments.sessions // HOPS,
                        tls='"required"' if arguments.tls else '"none"')
        engine.hand_off(2 * arguments.sessions, HOPS)
        with engine:
            most, began = (0, 0), time.monotonic()
            while most[0] < arguments.sessions and time.monotonic() - began < arguments.seconds_most:
                time.sleep(0.2)
                most = max(most, (held(sink.port), engine.memory_kb()))
            engine.hand_off(arguments.timers, arguments.timers, first_domain=HOPS)
            time.sleep(GREETING_S + 1)
            still = held(sink.port)
        late = deadlines(engine.log)
    each = most[1] / most[0]
    print(f"{most[0]:,} sessions held (the receiver saw {sink.result['connections_peak']:,}), {most[1]:,} KiB resident, {each:.2f} KiB a session")
    print(f"{len(late):,} deadlines of {GREETING_S} s meanwhile ({still:,} sessions held at their end): late by {late[len(late) // 2]:.2f} ms (median), "
          f"{late[len(late) * 99 // 100]:.2f} ms (99 %), {late[-1]:.2f} ms (most); early: {sum(ms < 0 for ms in late)}")
    return 0 if most[0] >= arguments.sessions and each <= arguments.kib_most and late[-1] <= arguments.late_most else 1


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("sessions", type=int, nargs="?", default=50_000, help="default: %(default)s")
parser.add_argument("--hold", type=int, default=10, help="seconds (default: %(default)s)")
parser.add_argument("--timers", type=int, default=200, help="destinations whose session comes due (default: %(default)s)")
parser.add_argument("--tls", action="store_true", help="all sessions are under TLS")
parser.add_argument("--kib-most", type=float, help="default: 4, and 24 with --tls")
parser.add_argument("--late-most", type=float, default=2, help="milliseconds; a tick is one (default: %(default)s)")
parser.add_argument("--seconds-most", type=float, default=90, help="until they are held (default: %(default)s)")
arguments = parser.parse_args()
arguments.kib_most = arguments.kib_most or (24 if arguments.tls else 4)

if __name__ == "__main__":
    sys.exit(main())
