#!/usr/bin/env python3
"""Many destinations by MX, through a real name server (Knot), each with an MX and an address of its own (127.x.y.z).

1. Does a dead or slow destination delay the rest? Rounds, interleaved: healthy destinations alone, and the same among black
   holes (SYNs unanswered) and tarpits (a greeting after 20 s), a tenth of all each. The clock stops when the last healthy
   recipient is delivered. Exit code 1 when the medians' ratio is beyond --ratio-most.
2. Distinct domains, a message each: what it costs to find and reach each for one message.
"""
import argparse
import json
import os
import pathlib
import re
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
HEALTHY, HOLE, TARPIT = "healthy.test", "hole.test", "tarpit.test"


def address(i):
    """A loopback address for each: a port of ours is then in use once a host, as it is in the world."""
    return f"127.{1 + (i >> 16)}.{i >> 8 & 255}.{i & 255}"


def zone(name, count):
    return (f"$ORIGIN {name}.\n$TTL 3600\n@ SOA ns root 1 3600 600 86400 300\n@ NS ns\nns A 127.0.0.1\n"
            + "".join(f"d{i} MX 10 mx.d{i}\nmx.d{i} A {address(i)}\n" for i in range(count)))


def black_hole():
    """A full backlog leaves further SYNs unanswered."""
    hole = socket.create_server(("0.0.0.0", 0), backlog=0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(hole.getsockname())
    return hole.getsockname()[1], [hole, *fillers]


class Sink:
    def __init__(self, *options):
        self.port = free_port()
        self.process = subprocess.Popen([SLUICE, "sink", "--listen", f"0.0.0.0:{self.port}", "--quiet", "--threads", "2", *options])
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                time.sleep(0.05)


class Run:
    """One engine, one campaign to `domains`, `each` recipients a domain, until `wanted` healthy ones were delivered."""

    def __init__(self, ports, knot, domains, each, wanted):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            (path / "m.eml").write_text("From: a@sender.example\nTo: {{email}}\nSubject: hello\n\n" + "Nothing new.\n" * 75)
            with open(path / "l.csv", "w") as f:
                f.write("email\n")
                f.writelines(f"u{n}@{domain}\n" for domain in domains for n in range(each))
            (path / "c.toml").write_text(
                f'[engine]\nspool = "{folder}/spool"\nlog = "{folder}/log"\n[dns]\nservers = ["127.0.0.1:{knot.port}"]\n'
                + "".join(f'[destination."*.{name}"]\nport = {port}\n' for name, port in ports.items()))
            subprocess.run([SLUICE, "send", "--config", path / "c.toml", "--message", path / "m.eml", "--recipients", path / "l.csv",
                            "--from", "b@sender.example"], check=True, stdout=subprocess.DEVNULL)
            began = time.monotonic()
            engine = subprocess.Popen([SLUICE, "serve", "--config", path / "c.toml"], stderr=subprocess.DEVNULL)
            try:
                self.follow(path / "log" / "transactions.jsonl", engine, wanted)
                self.seconds = time.monotonic() - began
                status = pathlib.Path(f"/proc/{engine.pid}/status").read_text()
                self.peak_mb = int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024
            finally:
                engine.terminate()
                try:
                    engine.wait(30)
                except subprocess.TimeoutExpired:
                    engine.kill()
                    raise

    def follow(self, log_path, engine, wanted):
        delivered, log, rest, deferred = 0, None, b"", []
        healthy = f'.{HEALTHY}"'.encode()
        latest = time.monotonic() + arguments.seconds_most
        while delivered < wanted:
            if engine.poll() is not None:
                sys.exit("the engine ended")
            if log is None and log_path.exists():
                log = open(log_path, "rb")
            octets = log.read() if log else b""
            whole, _, rest = (rest + octets).rpartition(b"\n")
            for line in whole.splitlines():
                if healthy in line:
                    delivered += b'"event":"delivered"' in line
                    if b'"event":"deferred"' in line:
                        deferred.append(line)
            if not octets:
                time.sleep(0.01)
            if time.monotonic() > latest:
                sys.exit(f"only {delivered} of {wanted} after {arguments.seconds_most} s; "
                         + (f"{len(deferred)} deferred, first: {deferred[0].decode()}" if deferred else "none deferred"))


def among_bad_ones():
    bad = arguments.destinations // 10
    count = arguments.destinations - 2 * bad
    hole_port, sockets = black_hole()
    sinks = Sink(), Sink("--delay", "greeting=20s")
    ports = {HEALTHY: sinks[0].port, HOLE: hole_port, TARPIT: sinks[1].port}
    healthy = [f"d{i}.{HEALTHY}" for i in range(count)]
    mixed = healthy + [f"d{i}.{name}" for name in (HOLE, TARPIT) for i in range(bad)]
    zones = {HEALTHY: zone(HEALTHY, count), HOLE: zone(HOLE, bad), TARPIT: zone(TARPIT, bad)}
    runs = [], []
    try:
        with tempfile.TemporaryDirectory() as folder, Knot(folder, zones) as knot:
            for _ in range(arguments.rounds):
                for domains, results in zip((healthy, mixed), runs):
                    results.append(Run(ports, knot, domains, arguments.each, count * arguments.each))
    finally:
        for sink in sinks:
            sink.process.terminate()
        del sockets
    alone, among = (statistics.median(run.seconds for run in results) for results in runs)
    result = {"healthy": count, "bad": 2 * bad, "recipients_each": arguments.each, "alone_s": round(alone, 2),
              "among_s": round(among, 2), "ratio": round(among / alone, 2), "rounds": [[round(r.seconds, 2) for r in s] for s in runs],
              "peak_mb": round(max(r.peak_mb for r in runs[0] + runs[1]))}
    tell(result, "{healthy} healthy destinations, {recipients_each} recipients each: {alone_s} s alone, {among_s} s among {bad} black "
         "holes and tarpits: {ratio} times; engine at most {peak_mb} MB")
    return result["ratio"] <= arguments.ratio_most


def distinct_domains():
    count, sink = arguments.distinct, Sink()
    try:
        with tempfile.TemporaryDirectory() as folder, Knot(folder, {HEALTHY: zone(HEALTHY, count)}) as knot:
            runs = [Run({HEALTHY: sink.port}, knot, domains, 1, len(domains))
                    for domains in ([f"d0.{HEALTHY}"], [f"d{i}.{HEALTHY}" for i in range(count)])]
    finally:
        sink.process.terminate()
    empty, full = runs
    tell({"domains": count, "seconds": round(full.seconds, 2), "domains_a_second": round(count / full.seconds),
          "look_ups_a_second": round(3 * count / full.seconds), "peak_mb": round(full.peak_mb),
          "bytes_a_domain": round((full.peak_mb - empty.peak_mb) * 2**20 / count)},
         "{domains} distinct domains, a message each: {seconds} s, {domains_a_second} domains/s resolved and delivered "
         "({look_ups_a_second} look-ups/s: MX, A, AAAA); engine at most {peak_mb} MB, {bytes_a_domain} octets a domain")


def tell(result, text):
    print(json.dumps(result) if arguments.json else text.format(**result), flush=True)


def main():
    is_fair = among_bad_ones() if arguments.destinations else True
    if arguments.distinct:
        distinct_domains()
    return 0 if is_fair else 1


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--destinations", type=int, default=10000, help="0: not this part (default: %(default)s)")
parser.add_argument("--each", type=int, default=10, help="recipients a destination (default: %(default)s)")
parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
parser.add_argument("--distinct", type=int, default=100000, help="domains; 0: not this part (default: %(default)s)")
parser.add_argument("--ratio-most", type=float, default=1.3, help="default: %(default)s")
parser.add_argument("--seconds-most", type=float, default=300, help="a run; default: %(default)s")
parser.add_argument("--json", action="store_true", help="a line of JSON for each part")
arguments = parser.parse_args()

if __name__ == "__main__":
    sys.exit(main())
