#!/usr/bin/env python3
"""Does it matter how much waits? The same number of messages is delivered, into one next hop, from queues of different depths:
from start to first delivery (its line in the log), CPU a message, messages a second, and memory. Rounds interleaved, medians.
Exit code 1 when CPU a message differs by more than --spread-most, or a start took more than --start-most seconds.
"""
import argparse
import statistics
import subprocess
import sys
import tempfile
import time

from _engine import Engine, Sink


def measure(depth):
    """Delivers `--messages` from a queue so deep, or, where it is shallower, from as many such queues one after another."""
    taken = {"first_s": [], "cpu_s": 0, "seconds": 0, "messages": 0, "memory_kb": 0}
    while taken["messages"] < arguments.messages:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, Sink("--threads", "1") as sink:
            engine = Engine(folder, f"127.0.0.1:{sink.port}", sessions_max=20)
            engine.hand_off(depth)
            subprocess.run(["sync"], check=True)
            began = time.monotonic()
            with engine:
                first = None
                for count in engine.delivered():
                    if first is None:
                        first = count, time.monotonic(), engine.cpu_s()
                        taken["first_s"].append(first[1] - began)
                        taken["memory_kb"] = max(taken["memory_kb"], engine.memory_kb())
                    if count >= min(depth, arguments.messages):
                        break
                taken["cpu_s"] += engine.cpu_s() - first[2]
                taken["seconds"] += time.monotonic() - first[1]
                taken["messages"] += count - first[0]
                taken["memory_kb"] = max(taken["memory_kb"], engine.memory_kb("VmHWM"))
    return taken


def main():
    rounds = {depth: [] for depth in arguments.depths}
    for number in range(arguments.rounds):
        for depth, results in rounds.items():
            results.append(measure(depth))
            print(f"round {number + 1}: {depth:,} waiting: {results[-1]}", file=sys.stderr)
    print("| waiting | start to first delivery, s | CPU us a message | messages/s | peak memory, MB |\n| --- | --- | --- | --- | --- |")
    costs, slowest = [], 0
    for depth, results in rounds.items():
        costs.append(statistics.median(1e6 * r["cpu_s"] / r["messages"] for r in results))
        rate = statistics.median(r["messages"] / r["seconds"] for r in results)
        firsts = [s for r in results for s in r["first_s"]]
        slowest = max(slowest, statistics.median(firsts))
        print(f"| {depth:,} | {statistics.median(firsts):.3f} (at most {max(firsts):.3f}) | {costs[-1]:.1f} | {rate:,.0f} | "
              f"{max(r['memory_kb'] for r in results) / 1024:.1f} |")
    spread = max(costs) / min(costs)
    print(f"\nCPU a message: dearest {spread:.2f} times the cheapest")
    return 0 if spread <= arguments.spread_most and slowest <= arguments.start_most else 1


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--depths", type=lambda text: [int(part) for part in text.split(",")], default=[10_000, 100_000, 1_000_000, 10_000_000],
                    help="default: 10000,100000,1000000,10000000")
parser.add_argument("--messages", type=int, default=200_000, help="delivered at each depth (default: %(default)s)")
parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
parser.add_argument("--folder", help="where spools are made (default: the system's for temporary files)")
parser.add_argument("--spread-most", type=float, default=1.2, help="default: %(default)s")
parser.add_argument("--start-most", type=float, default=2.0, help="default: %(default)s")
arguments = parser.parse_args()

if __name__ == "__main__":
    sys.exit(main())
