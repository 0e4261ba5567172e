#!/usr/bin/env python3
"""DKIM's share of a delivery: `sluice send --deliver` of a newsletter of 10 KB whose header is personal, by one shard on one core into a sink on the other,
with RSA-2048, Ed25519, both and no key; beside the signatures a second that a bare loop makes on the same core. Rounds interleaved in one run, medians.
A message's share of the core's own time is told beside the clock's, which neighbours on the machine slow down.
Then how late a shard that does nothing but sign is with the deadlines of --timers other sessions.

Exit code 1 when with RSA, or both, deliveries come to less than --share-least of the bare loop, or most deadlines are later than --late-most milliseconds.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from _engine import LINE, SLUICE, Engine, Sink

CORES = sorted(os.sched_getaffinity(0))[:2]
GREETING_S = 3
ON_ENGINE_CORE = ["taskset", "-c", str(CORES[0])]


def bare(name):
    """Signatures a second of the core's time."""
    out = subprocess.run([*ON_ENGINE_CORE, SLUICE.parent / "bench_dkim", f"--benchmark_filter=^bare_signature/{name}$", "--benchmark_min_time=1",
                          "--benchmark_format=json"], check=True, capture_output=True, text=True).stdout
    return json.loads(out)["benchmarks"][0]["items_per_second"]


def delivered(folder, selectors, recipients):
    """Messages a second, by the clock and by the time that the core was the engine's."""
    def cpu_s():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    with tempfile.TemporaryDirectory() as run, Sink("--threads", "1") as sink:
        subprocess.run(["taskset", "-a", "-p", "-c", str(CORES[-1]), str(sink.process.pid)], check=True, stdout=subprocess.DEVNULL)
        config = pathlib.Path(run) / "c.toml"
        config.write_text(f'[engine]\nhostname = "mta.sender.example"\nspool = "{run}/spool"\nlog = "{run}/log"\nshards = 1\n'
                          f'[destination."*"]\nnext_hop = ["127.0.0.1:{sink.port}"]\n'
                          + "".join(f'[[dkim."sender.example"]]\nselector = "{s}"\nkey = "{folder}/{s}.pem"\n' for s in selectors))
        (pathlib.Path(run) / "l.csv").write_text("email,name\n" + "".join(f"user{i}@d{i % 100}.example,Name {i}\n" for i in range(recipients)))
        before = cpu_s()
        out = subprocess.run([*ON_ENGINE_CORE, SLUICE, "send", "--config", config, "--message", folder / "m.eml", "--recipients", f"{run}/l.csv",
                              "--from", "bounce@sender.example", "--deliver", "--json"], check=True, capture_output=True, text=True).stdout
        return json.loads(out)["messages_per_second"], recipients / (cpu_s() - before)


def late_by(keys):
    """Milliseconds, ascending: by how much deadlines were late while messages were signed all the time."""
    with tempfile.TemporaryDirectory() as folder, Sink() as sink, Sink("--fault", "greeting:stall", listen="0.0.0.0:0") as silent:
        hops = {"*": f"127.0.0.1:{sink.port}"} | {f"d{100 + i}.example": f"127.1.0.{i}:{silent.port}" for i in range(arguments.timers)}
        engine = Engine(folder, hops, 1, {"greeting": f"{GREETING_S}s"})
        with open(engine.folder / "c.toml", "a") as config:
            config.write(f'[dkim."sender.example"]\nselector = "rsa"\nkey = "{keys}/rsa.pem"\n')
        engine.hand_off(12 * arguments.recipients)
        with engine:
            time.sleep(1)
            engine.hand_off(arguments.timers, arguments.timers, first_domain=100)
            time.sleep(GREETING_S + 1)
        records = [json.loads(line) for line in open(engine.log)]
    assert sum(r["event"] == "delivered" for r in records) < 12 * arguments.recipients, "it had nothing left to sign"
    return sorted(r["phases_ms"]["greeting"] - 1000 * GREETING_S for r in records if r.get("phase") == "greeting")


def main():
    rates, own = ({name: [] for name in ("bare rsa", "bare ed25519", "plain", "rsa", "ed25519", "both")} for _ in range(2))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for selector in ("rsa", "ed25519"):
            subprocess.run([SLUICE, "dkim", "keygen", "--domain", "sender.example", "--selector", selector, "--type", selector, "--out", folder / f"{selector}.pem"],
                           check=True, stdout=subprocess.DEVNULL)
        (folder / "m.eml").write_text("From: News <news@sender.example>\nTo: {{name}} <{{email}}>\nSubject: Hello {{name}}\n\n" + LINE * 155)
        for _ in range(arguments.rounds):
            rates["bare rsa"].append(bare("rsa_2048"))
            rates["bare ed25519"].append(bare("ed25519"))
            for name, selectors, times in (("plain", [], 20), ("rsa", ["rsa"], 1), ("ed25519", ["ed25519"], 10), ("both", ["rsa", "ed25519"], 1)):
                by_clock, by_core = delivered(folder, selectors, times * arguments.recipients)
                rates[name].append(by_clock)
                own[name].append(by_core)
            print(", ".join(f"{name} {of[-1]:,.0f}" for name, of in rates.items()), file=sys.stderr)
        late = late_by(folder)
    rate = {name: statistics.median(of) for name, of in rates.items()}
    by_core = {name: statistics.median(of) for name, of in own.items() if of}
    rate["bare both"] = 1 / (1 / rate["bare rsa"] + 1 / rate["bare ed25519"])
    print("| signed with | messages/s | of plain | a second of the core's own time | bare loop, signatures/s | share of it, by the clock | by the core's own time |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print(f"| nothing | {rate['plain']:,.0f} | 1 | {by_core['plain']:,.0f} | | | |")
    for name, title in (("rsa", "RSA-2048"), ("ed25519", "Ed25519"), ("both", "both")):
        loop = rate["bare " + name]
        print(f"| {title} | {rate[name]:,.0f} | {rate[name] / rate['plain']:.3f} | {by_core[name]:,.0f} | {loop:,.0f} | {rate[name] / loop:.2f} | {by_core[name] / loop:.2f} |")
    share = min(rate[name] / rate["bare " + name] for name in ("rsa", "both"))
    print(f"{len(late)} deadlines of {GREETING_S} s meanwhile: late by {late[len(late) // 2]:.2f} ms (median), {late[len(late) * 9 // 10]:.2f} ms (90 %), {late[-1]:.2f} ms (most)")
    return 0 if share >= arguments.share_least and late[len(late) * 9 // 10] <= arguments.late_most else 1


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--recipients", type=int, default=5000, help="of a run with RSA; ten times as many with Ed25519 alone, twenty without (default: %(default)s)")
parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
parser.add_argument("--share-least", type=float, default=0.85, help="default: %(default)s")
parser.add_argument("--timers", type=int, default=100, help="sessions whose deadline comes while messages are signed (default: %(default)s)")
parser.add_argument("--late-most", type=float, default=4, help="milliseconds, of nine in ten; one is the wheel's tick, one the last look (default: %(default)s)")
arguments = parser.parse_args()

if __name__ == "__main__":
    sys.exit(main())
