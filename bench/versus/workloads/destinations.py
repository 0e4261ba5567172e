from harness.mail import Mails, Route
from workloads import workload

TITLE = "Drain to many destinations"
HOW = "As the drain, to {domains:,} domains, each with a next hop address of its own on loopback, by transport rules; no DNS."


def cases(bench, driver):
    return [bench.count(driver, bench.sizes.messages, bench.sizes.messages_fast)]


def measure(bench, driver, count):
    route = Route(bench.sizes.sessions, bench.sizes.domains)
    return workload.drain(bench, driver, count, route, Mails(count, domains=bench.sizes.domains)) | {"domains": bench.sizes.domains}
