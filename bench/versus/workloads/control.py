from workloads import workload

TITLE = "Control: smtp-sink as the receiver"
HOW = "The drain again with Postfix's smtp-sink instead of `sluice sink`, at the same counts: who is not faster than smtp-sink must come out alike."


def cases(bench, driver):
    return [bench.count(driver, bench.sizes.messages, bench.sizes.messages_fast)]


def measure(bench, driver, count):
    return workload.drain(bench, driver, count, workload.one_next_hop(bench), smtp_sink=bench.smtp_sink)
