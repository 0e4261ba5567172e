"""One measurement: how long, how much CPU, how much memory, and what the receiver counted."""
import os
import time

from harness.mail import Mails, Route
from harness.receiver import Receiver


class Bench:
    """What every workload works with."""

    def __init__(self, sizes, sluice, smtp_sink=None, smtp_source=None):
        self.sizes, self.sluice, self.smtp_sink, self.smtp_source = sizes, sluice, smtp_sink, smtp_source

    def count(self, driver, slow, fast):
        return fast if driver.fast else slow


def deliver(bench, driver, mails, receiver, begin):
    """From begin() to the receiver's last message; the measures of it. The receiver listens already and ends by itself."""
    group = driver.group
    os.sync()
    cpu_s = group.cpu_s()
    group.watch_memory()
    start = time.monotonic()
    begin()
    end = receiver.wait(bench.sizes.patience_s)
    given_up = time.monotonic()
    counted = receiver.stop()
    seconds = (counted["last_monotonic_s"] if end and counted else end or given_up) - start
    peak_bytes = group.forget_memory()
    cpu_s = group.settled_cpu_s() - cpu_s
    measures = {"messages": mails.count, "message_bytes": mails.bytes, "seconds": seconds, "peak_mb": peak_bytes and peak_bytes / 1e6,
                "receiver": receiver.command}
    arrived = mails.count
    if counted:
        arrived = counted["messages"]
        measures |= {"connections": counted["connections"], "connections_peak": counted["connections_peak"]}
        measures |= {name: counted[name] for name in ("messages_tls", "messages_signed", "tls_handshakes", "tls_resumed")}
        measures |= losses(mails, counted) if end else {}  # what was given up is late, not lost
    if not end:
        measures["remark"] = f"gave up after {bench.sizes.patience_s} s with {arrived:,} of {mails.count:,} received"
    if arrived:
        measures |= {"messages_per_s": arrived / seconds, "cpu_ms_per_message": 1000 * cpu_s / arrived}
    return measures


def losses(mails, counted):
    return {"lost": mails.count - counted["distinct_recipients"], "duplicated": counted["recipients"] - counted["distinct_recipients"]}


def drain(bench, driver, count, route, mails=None, delay=None, smtp_sink=None):
    """Takes `count` mails in, holds them, lets go."""
    mails = mails or Mails(count)
    driver.prepare(route)
    driver.accept(mails)
    receiver = Receiver(bench.sluice, count, delay, smtp_sink, route.sessions_in_all)
    try:
        return deliver(bench, driver, mails, receiver, driver.release)
    finally:
        driver.stop()
        receiver.stop()


def one_next_hop(bench):
    return Route(bench.sizes.sessions)
