#!/usr/bin/env python3
"""What recipients cost that wait for a retry each of its own: a receiver defers every one of them (greylisting of a whole newsletter).
Memory when all wait; a restart, while nobody is due: memory, its peak, and the CPU time until it stands still; a restart when all are due
and the receiver takes them: the time to the first delivery. Exit code 1 when a memory figure is beyond --memory-most, or that time beyond
--start-most.
"""
import argparse
import subprocess
import sys
import tempfile
import time

from _engine import SLUICE, Engine, Sink, free_port


def settled(engine):
    """When its CPU time stands still: that time, and its memory and the peak of it in MB."""
    before = -1
    while before < engine.cpu_s() - 0.02:
        before = engine.cpu_s()
        time.sleep(1)
    return f"{engine.cpu_s():.2f}", engine.memory_kb() / 1024, engine.memory_kb("VmHWM") / 1024


def defer_all(engine, recipients, port):
    with Sink("--fault", "rcpt:451 4.2.0 come back", listen=f"127.0.0.1:{port}"), engine:
        for count in engine.counted("deferred"):
            if count >= recipients:
                break
        if engine.process.poll() is not None:
            sys.exit(f"the engine ended by itself: {engine.process.returncode}")
        return settled(engine)


def start_when_due(engine, port):
    """Seconds to the first delivery, and the peak of the memory by then in MB."""
    subprocess.run([SLUICE, "queue", "retry", "--all", "--config", engine.folder / "c.toml"], check=True, stdout=subprocess.DEVNULL)
    with Sink(listen=f"127.0.0.1:{port}"):
        began = time.monotonic()
        with engine:
            next(engine.delivered())
            return time.monotonic() - began, engine.memory_kb("VmHWM") / 1024


def measure(recipients):
    port = free_port()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        engine = Engine(folder, f"127.0.0.1:{port}", shards=arguments.shards, sessions_max=20, retry='{ first = "20d", ceiling = "20d" }',
                        expire='{ normal = "60d" }')
        engine.hand_off(recipients, lines=1)
        _, resident, peak = defer_all(engine, recipients, port)
        engine.remove_logs()  # some 400 octets a recipient
        with engine:
            cpu_s, resident_again, peak_again = settled(engine)
        first_s, peak_due = start_when_due(engine, port)
    print(f"| {recipients:,} | {resident:.0f} (at most {peak:.0f}) | {resident_again:.0f} (at most {peak_again:.0f}) | {cpu_s} | "
          f"{first_s:.2f} | {peak_due:.0f} |", flush=True)
    return max(peak, peak_again, peak_due) <= arguments.memory_most and first_s <= arguments.start_most


def main():
    print("| deferred | all wait, MB | after a restart, MB | its CPU time, s | start to first delivery when all are due, s | peak of that, MB |\n"
          "| --- | --- | --- | --- | --- | --- |")
    return 0 if all([measure(recipients) for recipients in arguments.recipients]) else 1


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--recipients", type=lambda text: [int(part) for part in text.split(",")], default=[1_000_000],
                    help="default: 1000000; 10000000 takes a log of 4 GB")
parser.add_argument("--shards", type=int, default=0, help="default: as many as there are cores")
parser.add_argument("--folder", help="where spools are made (default: the system's for temporary files)")
parser.add_argument("--memory-most", type=float, default=512, help="MB (default: %(default)s)")
parser.add_argument("--start-most", type=float, default=2.0, help="seconds (default: %(default)s)")
arguments = parser.parse_args()

if __name__ == "__main__":
    sys.exit(main())
