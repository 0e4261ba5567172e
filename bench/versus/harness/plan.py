"""The order of measurements: in each round every MTA does the same, one after another, so that a slow hour of the machine hits all."""
import sys
import time

from harness import figures, roots
from harness.cell import Group


def measurements(bench, drivers, workloads, group_parent):
    """Yields one dict after another; a measurement that fails is one too, with `remark`."""
    for driver in drivers:
        driver.join(Group(group_parent, driver.name, roots.cache() / f"{driver.name}.log"))
    try:
        for round_number in range(1, bench.sizes.rounds + 1):
            for name, workload in workloads.items():
                if round_number > getattr(workload, "ROUNDS_MOST", round_number):
                    continue
                cases = {driver: workload.cases(bench, driver) for driver in drivers}
                order = getattr(workload, "CASES", ())
                for case in sorted({case for own in cases.values() for case in own}, key=order.index if order else None):
                    for driver in drivers:
                        if case in cases[driver]:
                            yield one(bench, driver, name, workload, case) | {"workload": name, "mta": driver.name, "case": case, "round": round_number}
    finally:
        for driver in drivers:
            driver.group.remove()


def one(bench, driver, name, workload, case):
    driver.group.commands = []
    begin = time.monotonic()
    try:
        measured = workload.measure(bench, driver, case)
    except Exception as error:  # noqa: B902: one MTA that fails is a figure of that MTA, not the end of the others
        measured = {"messages": 0, "remark": f"failed: {error}"}
        driver.stop()
    measured["commands"] = summed_up(driver.group.commands)
    rate = f"{measured['messages_per_s']:,.0f}/s, {measured['cpu_ms_per_message']:.3f} ms CPU" if measured.get("messages_per_s") else ""
    print(f"{name} {figures.shown(case)}: {driver.title}: {rate} {measured.get('remark', '')} [{time.monotonic() - begin:.0f} s]", file=sys.stderr, flush=True)
    return measured


def summed_up(commands):
    """Repeated ones once, with their number."""
    return [command if commands.count(command) == 1 else f"{commands.count(command)} times: {command}" for command in dict.fromkeys(commands)]
