#!/usr/bin/env python3
"""Many destinations by MX, through a real name server (Knot): does a dead or slow one delay the rest?

Rounds, interleaved: healthy destinations alone, and the same among black holes (SYNs unanswered) and tarpits (a greeting after
20 s). The clock stops when the last healthy recipient is delivered. Then DISTINCT domains once each, for the look-ups.

usage: bench/destinations.py [DESTINATIONS [RECIPIENTS_EACH [ROUNDS [DISTINCT]]]]   (10000 10 3 100000)
"""
import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "tests" / "integration"))
from _knot import Knot, free_port  # noqa: E402

SLUICE = os.environ.get("SLUICE", here.parent / "build" / "sluice")
destinations, each, rounds, distinct = (int(a) for a in (sys.argv[1:] + ["10000", "10", "3", "100000"][len(sys.argv) - 1:]))
# Several addresses, since a connection that idles keeps its local port from the next one to the same address.
HEALTHY, HOLE, TARPIT = ["127.0.0.21", "127.0.0.31", "127.0.0.32", "127.0.0.33"], "127.0.0.22", "127.0.0.23"


def zone(names):
    return ("$ORIGIN bench.test.\n$TTL 3600\n@ SOA ns root 1 3600 600 86400 300\n@ NS ns\nns A 127.0.0.1\n"
            + "".join(f"d{i} MX 10 mx.d{i}\nmx.d{i} A {address}\n" for i, address in names))


def black_hole(port):
    """A full backlog leaves further SYNs unanswered."""
    hole = socket.create_server((HOLE, port), backlog=0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex((HOLE, port))
    return hole, fillers


def deliver(folder, port, knot, domains, each, wanted):
    """Seconds until `wanted` recipients were delivered, and the engine's peak memory in MB."""
    path = pathlib.Path(folder)
    (path / "m.eml").write_text("From: a@sender.example\nTo: {{email}}\nSubject: hello\n\n" + "Nothing new.\n" * 75)
    with open(path / "l.csv", "w") as f:
        f.write("email\n" + "".join(f"u{n}@d{i}.bench.test\n" for i in domains for n in range(each)))
    (path / "c.toml").write_text(f'[engine]\nspool = "{folder}/spool"\nlog = "{folder}/out"\n[dns]\nservers = ["127.0.0.1:{knot.port}"]\n'
                                 f'[destination."*"]\nport = {port}\n')
    subprocess.run([SLUICE, "send", "--config", path / "c.toml", "--message", path / "m.eml", "--recipients", path / "l.csv", "--from",
                    "b@sender.example"], check=True, stdout=subprocess.DEVNULL)
    began = time.monotonic()
    engine = subprocess.Popen([SLUICE, "serve", "--config", path / "c.toml"], stderr=subprocess.DEVNULL)
    delivered, log = 0, None
    while delivered < wanted:
        if engine.poll() is not None:
            sys.exit("the engine ended")
        if log is None and (path / "out" / "transactions.jsonl").exists():
            log = open(path / "out" / "transactions.jsonl", "rb")
        octets = log.read() if log else b""
        delivered += octets.count(b'"event":"delivered"')
        if not octets:
            time.sleep(0.005)
        if time.monotonic() - began > 300:
            sys.exit(f"only {delivered} of {wanted} after 300 s")
    seconds = time.monotonic() - began
    peak = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{engine.pid}/status").read_text()).group(1)) / 1024
    engine.send_signal(signal.SIGTERM)
    engine.wait(20)
    return seconds, peak


def main():
    port = free_port()
    hole = black_hole(port)
    sinks = [*(subprocess.Popen([SLUICE, "sink", "--listen", f"{address}:{port}", "--quiet"]) for address in HEALTHY),
             subprocess.Popen([SLUICE, "sink", "--listen", f"{TARPIT}:{port}", "--quiet", "--delay", "greeting=20s"])]
    try:
        kind = {0: HOLE, 1: TARPIT}
        names = [(i, kind.get(i % 10, HEALTHY[i % 4])) for i in range(destinations)]
        healthy = [i for i, address in names if address in HEALTHY]
        alone, among, memory = [], [], []
        with tempfile.TemporaryDirectory() as knot_folder, Knot(knot_folder, {"bench.test": zone(names)}) as knot:
            for _ in range(rounds):
                for domains, results in ((healthy, alone), (range(destinations), among)):
                    with tempfile.TemporaryDirectory() as folder:
                        seconds, peak = deliver(folder, port, knot, domains, each, len(healthy) * each)
                        results.append(seconds)
                        memory.append(peak)
        a, b = statistics.median(alone), statistics.median(among)
        print(f"{len(healthy)} healthy destinations, {each} recipients each: {a:.2f} s alone, {b:.2f} s among {destinations - len(healthy)} "
              f"black holes and tarpits: {b / a:.2f} times; engine at most {max(memory):.0f} MB")
        names = [(i, HEALTHY[i % 4]) for i in range(distinct)]
        with tempfile.TemporaryDirectory() as knot_folder, Knot(knot_folder, {"bench.test": zone(names)}) as knot, \
                tempfile.TemporaryDirectory() as folder:
            seconds, peak = deliver(folder, port, knot, range(distinct), 1, distinct)
        print(f"{distinct} distinct domains, a message each: {seconds:.2f} s, {distinct / seconds:.0f} domains/s resolved and delivered; "
              f"engine at most {peak:.0f} MB")
    finally:
        for sink in sinks:
            sink.terminate()
        del hole


if __name__ == "__main__":
    main()
