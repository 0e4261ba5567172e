#!/usr/bin/env python3
"""Tens of thousands of sessions at the final dot at once, of one process.

1. Memory: the receiver answers each dot after --hold seconds; resident memory a session, at the moment when most are held.
2. Timers: the receiver never answers, and the engine's deadline for the dot is --hold: how late is each session told, by its own log
   line (`phases_ms`), while all of the others come due as well.

Exit code 1 when a session takes more than --kib-most, or a deadline is later than --late-most milliseconds.
"""
import argparse
import json
import subprocess
import sys
import tempfile
import time

from _engine import Engine, Sink

SOCKETS_A_SHARD = 16_000  # of the 20,000 descriptors that a process may have here
HOPS = 10                 # with one address local ports would end at 28,000
DOT_MS = 1                # the wheel's tick


def held(port):
    table = subprocess.run(["ss", "-Htn", "state", "established", f"( dport = :{port} )"], capture_output=True, text=True, check=True).stdout
    return table.count("\n")


def start(stack_folder, delay, recipients, **policy):
    shards = max(2, -(-arguments.sessions // SOCKETS_A_SHARD))
    sink = Sink("--threads", str(shards), "--delay", f"final_dot={delay}s", listen="0.0.0.0:0")
    hops = [f"127.0.0.{i + 1}:{sink.port}" for i in range(HOPS)]
    engine = Engine(stack_folder, hops, shards=shards, sessions_max=arguments.sessions, **policy)
    engine.hand_off(recipients)
    return sink, engine


def memory():
    with tempfile.TemporaryDirectory() as folder:
        sink, engine = start(folder, arguments.hold, 2 * arguments.sessions)
        with sink, engine:
            most, began = (0, 0), time.monotonic()
            while most[0] < arguments.sessions and time.monotonic() - began < arguments.seconds_most:
                most = max(most, (held(sink.port), engine.memory_kb()))
                time.sleep(0.2)
        each = most[1] / most[0]
        print(f"{most[0]:,} sessions held (the receiver saw {sink.result['connections_peak']:,}), {most[1]:,} KiB resident, "
              f"{each:.2f} KiB a session", flush=True)
        return most[0] >= arguments.sessions and each <= arguments.kib_most


def timers():
    with tempfile.TemporaryDirectory() as folder:
        sink, engine = start(folder, 10 * arguments.hold, arguments.sessions, timeout={"final_dot": f"{arguments.hold}s"})
        late, rest = [], b""
        with sink, engine:
            began = time.monotonic()
            while not engine.log.exists():
                time.sleep(0.1)
            with open(engine.log, "rb") as log:
                while len(late) < arguments.sessions and time.monotonic() - began < arguments.seconds_most:
                    octets = log.read()
                    time.sleep(0 if octets else 0.1)
                    *lines, rest = (rest + octets).split(b"\n")
                    for record in map(json.loads, lines):
                        if record.get("phase") == "final_dot":
                            late.append(record["phases_ms"]["final_dot"] - 1000 * arguments.hold)
        late.sort()
        print(f"{len(late):,} deadlines of {arguments.hold} s: late by {late[len(late) // 2]:.2f} ms (median), {late[len(late) * 99 // 100]:.2f} ms (99 %), "
              f"{late[-1]:.2f} ms (most); early by {max(0, -late[0]):.2f} ms at most", flush=True)
        return len(late) >= arguments.sessions and late[-1] <= arguments.late_most and late[0] >= 0


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("sessions", type=int, nargs="?", default=50_000, help="default: %(default)s")
parser.add_argument("--hold", type=int, default=10, help="seconds (default: %(default)s)")
parser.add_argument("--kib-most", type=float, default=4, help="default: %(default)s")
parser.add_argument("--late-most", type=float, default=2 * DOT_MS, help="milliseconds: a tick, and what the log rounds (default: %(default)s)")
parser.add_argument("--seconds-most", type=float, default=90, help="a part (default: %(default)s)")
arguments = parser.parse_args()

if __name__ == "__main__":
    sys.exit(0 if all([memory(), timers()]) else 1)
