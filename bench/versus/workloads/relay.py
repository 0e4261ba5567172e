import subprocess

from harness import mail
from harness.mail import Mails
from harness.receiver import Receiver
from workloads import workload

TITLE = "Relaying"
HOW = "Postfix's smtp-source hands mails of 10 KB over in so many sessions, each message answered before the next of its session, and the MTA delivers " \
      "meanwhile: from the first to the receiver's last. By number of sessions."
ALONG = "sessions"
SESSIONS = (1, 20, 200)


def cases(bench, driver):
    return list(SESSIONS)


def measure(bench, driver, sessions):
    count = bench.count(driver, bench.sizes.messages, bench.sizes.messages_fast) // (10 if sessions == 1 else 1)
    mails = Mails(count)
    driver.prepare(workload.one_next_hop(bench))
    host, port = driver.ready_relay(sessions)
    receiver = Receiver(bench.sluice, count)
    source = [*bench.smtp_source, "-d", "-N", "-s", str(sessions), "-m", str(count), "-l", str(mails.bytes), "-f", mail.SENDER, "-t",
              "reader@d0.example", f"{host}:{port}"]
    feeding = []
    try:
        measures = workload.deliver(bench, driver, mails, receiver, lambda: feeding.append(subprocess.Popen(source)))
        return measures | {"sessions": sessions, "source": " ".join(map(str, source))}
    finally:
        for process in feeding:
            process.kill()
            process.wait()
        driver.stop()
        receiver.stop()
