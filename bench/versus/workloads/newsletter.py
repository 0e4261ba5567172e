from harness.mail import Mails
from harness.receiver import Receiver
from workloads import workload

TITLE = "Newsletter"
HOW = "From a list to the receiver's last personal mail of 10 KB: Sluice merges; the others are handed a mail a recipient, ready merged, " \
      "by their best intake, and deliver meanwhile."


def cases(bench, driver):
    return [bench.count(driver, bench.sizes.messages, bench.sizes.messages_fast)]


def measure(bench, driver, count):
    mails = Mails(count)
    driver.prepare(workload.one_next_hop(bench))
    driver.ready_newsletter(mails)
    receiver = Receiver(bench.sluice, count)
    try:
        return workload.deliver(bench, driver, mails, receiver, lambda: driver.newsletter(mails))
    finally:
        driver.stop()
        receiver.stop()
