from workloads import workload

TITLE = "Drain to one next hop"
HOW = "10 KB mails are accepted and held; the clock runs from release to the receiver's last one. By depth of the queue."
ALONG = "messages"


def cases(bench, driver):
    most = bench.count(driver, bench.sizes.messages, bench.sizes.messages_fast)
    return [depth for depth in sorted({*bench.sizes.depths, most}) if depth <= most]


def measure(bench, driver, depth):
    return workload.drain(bench, driver, depth, workload.one_next_hop(bench))
