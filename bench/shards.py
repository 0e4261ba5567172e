#!/usr/bin/env python3
"""What a second shard on a second core adds. Receiver and engine share the cores here, so each shard gets a share of one that
leaves the receiver out of breath never: a control group with a CPU quota for each shard's thread (with the threads that the kernel
runs for its ring), one shard against two of the same quota. Rounds interleaved, medians. Needs root, and the cpu controller.
Exit code 1 when the second shard brings less than --ratio-least.
"""
import argparse
import contextlib
import pathlib
import re
import statistics
import sys
import tempfile
import time

from _engine import Engine, Sink

PERIOD_US = 10_000


class Quota:
    """A control group whose threads have a share of one core together."""

    def __init__(self, name, share):
        mounts = pathlib.Path("/proc/mounts").read_text()
        first = re.search(r"^\S+ (\S+) cgroup \S*\bcpu\b", mounts, re.M)
        if not first:
            sys.exit("no cpu controller of control groups' first version is mounted here")
        self.path = pathlib.Path(first[1]) / f"sluice-bench-{name}"
        self.path.mkdir(exist_ok=True)
        (self.path / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (self.path / "cpu.cfs_quota_us").write_text(str(int(share * PERIOD_US)))

    def add(self, thread):
        (self.path / "tasks").write_text(str(thread))

    def remove(self):
        self.path.rmdir()


def rate(shards):
    """Messages a second of so many shards, each within its quota, once sessions are open."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        sink = stack.enter_context(Sink("--threads", "1"))
        quotas = [Quota(str(i), arguments.share) for i in range(shards)]
        for quota in quotas:
            stack.callback(quota.remove)
        engine = Engine(folder, f"127.0.0.1:{sink.port}", shards=shards, sessions_max=20 * shards)
        engine.hand_off(arguments.messages * shards)
        stack.enter_context(engine)
        # A ring's worker threads are made by the shard's thread, so they join its group by themselves.
        while len(engine.shard_threads()) < shards:
            time.sleep(0.001)
        for quota, thread in zip(quotas, engine.shard_threads(), strict=True):
            quota.add(thread)
        began = None
        for count in engine.delivered():
            now = time.monotonic()
            if began is None and count >= arguments.messages * shards // 5:
                began = count, now
            if count >= arguments.messages * shards * 4 // 5:
                break
        return (count - began[0]) / (now - began[1])


def main():
    rates = {1: [], 2: []}
    for number in range(arguments.rounds):
        for shards, results in rates.items():
            results.append(rate(shards))
        print(f"round {number + 1}: {rates[1][-1]:,.0f} and {rates[2][-1]:,.0f} messages/s", file=sys.stderr)
    one, two = (statistics.median(results) for results in rates.values())
    print(f"a shard of {arguments.share:.0%} of a core: {one:,.0f} messages/s; two of them: {two:,.0f}: {two / one:.2f} times")
    return 0 if two / one >= arguments.ratio_least else 1


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--share", type=float, default=0.4, help="of a core, for each shard (default: %(default)s)")
parser.add_argument("--messages", type=int, default=60_000, help="a shard (default: %(default)s)")
parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
parser.add_argument("--ratio-least", type=float, default=1.7, help="default: %(default)s")
arguments = parser.parse_args()

if __name__ == "__main__":
    sys.exit(main())
