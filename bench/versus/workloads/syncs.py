import tempfile

from harness.mail import Mails
from harness.receiver import Receiver
from harness.syncs import SyncTracer
from workloads import workload

TITLE = "Syncs a message"
HOW = "A drain of {traced_messages:,} mails with all processes traced: calls of the fsync family (strace), and the same asked of io_uring " \
      "(the kernel's tracer), while mail is taken in and while it is delivered. Slow, so it has no other figures."
ROUNDS_MOST = 1


def cases(bench, driver):
    return [bench.sizes.traced_messages]


def measure(bench, driver, count):
    mails = Mails(count)
    driver.prepare(workload.one_next_hop(bench))
    with tempfile.TemporaryDirectory() as folder:
        tracer = SyncTracer(driver.group, folder, "sluice-versus")
        try:
            driver.accept(mails)
            accepting = tracer.count()
            receiver = Receiver(bench.sluice, count)
            try:
                driver.release()
                end = receiver.wait(bench.sizes.patience_s)
                driver.group.settled_cpu_s()
                measures = {"messages": count, "syncs_accepting": accepting / count, "syncs_delivering": (tracer.count() - accepting) / count}
                return measures if end else measures | {"remark": "not all arrived"}
            finally:
                driver.stop()
                receiver.stop()
        finally:
            tracer.close()
