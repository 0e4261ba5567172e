import time

from harness import cell
from harness.mail import Mails
from harness.receiver import Receiver
from workloads import workload

TITLE = "kill -9 in the middle"
HOW = "Every process of the MTA is killed at once when two fifths of the mail went over the wire; it is started again, and when nothing has moved for " \
      "{quiet_s} s the receiver's count is compared with what was accepted. (The page cache survives a kill: a power cut would show what was not synced.)"
ROUNDS_MOST = 1
SHARE_BEFORE = 0.4


def cases(bench, driver):
    return [bench.count(driver, bench.sizes.messages, bench.sizes.messages_fast)]


def measure(bench, driver, count):
    mails = Mails(count)
    driver.prepare(workload.one_next_hop(bench))
    driver.accept(mails)
    receiver = Receiver(bench.sluice)
    try:
        before = cell.loopback_bytes()
        start = time.monotonic()
        driver.release()
        while cell.loopback_bytes() - before < SHARE_BEFORE * count * mails.bytes:
            if time.monotonic() - start > bench.sizes.patience_s:
                return {"messages": count, "remark": "too slow to be killed in the middle"}
            time.sleep(0.002)
        driver.group.kill()
        sent = cell.loopback_bytes() - before
        killed_after_s = time.monotonic() - start
        driver.restart()
        quiet = await_quiet(bench.sizes.quiet_s, bench.sizes.patience_s)
        counted = receiver.stop()
        measures = {"messages": count, "message_bytes": mails.bytes, "receiver": receiver.command, "killed_after_s": killed_after_s,
                    "share_sent": sent / (count * mails.bytes)} | workload.losses(mails, counted)
        return measures if quiet else measures | {"remark": f"not at rest after {bench.sizes.patience_s} s"}
    finally:
        driver.stop()
        receiver.stop()


def await_quiet(quiet_s, patience_s):
    """Whether loopback fell silent, but for a keep-alive now and then."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        before = cell.loopback_bytes()
        time.sleep(quiet_s)
        if cell.loopback_bytes() - before < 10_000:
            return True
    return False
