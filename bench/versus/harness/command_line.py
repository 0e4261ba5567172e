import argparse
import dataclasses
import os
import pathlib
import shlex
import signal
import sys

from drivers.exim import Exim
from drivers.haraka import Haraka
from drivers.opensmtpd import OpenSmtpd
from drivers.postfix import Postfix
from drivers.sluice import Sluice
from harness import cell, machine, plan, report, roots, sizes
from workloads import control, destinations, drain, killed, newsletter, relay, slow, syncs, trust
from workloads.workload import Bench

TREE = pathlib.Path(__file__).resolve().parents[3]
WORKLOADS = {"drain": drain, "destinations": destinations, "slow": slow, "newsletter": newsletter, "relay": relay, "trust": trust,
             "killed": killed, "control": control, "syncs": syncs}
MTAS = ("sluice", "postfix", "exim", "opensmtpd", "haraka")


def subset(all_names):
    def parse(text):
        names = text.split(",")
        unknown = [name for name in names if name not in all_names]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(all_names)}")
        return [name for name in all_names if name in names]
    return parse


def parse():
    parser = argparse.ArgumentParser(prog="bench/versus/run", description="Measures Sluice beside other MTAs, on this machine, on loopback alone. As root.",
                                     epilog="SLUICE=FILE is the binary, else build/sluice. README.md says what is measured and how.")
    parser.add_argument("--out", type=pathlib.Path, default=TREE / "build" / "versus",
                        help="folder of table.md, results.json and the plots (default: build/versus)")
    parser.add_argument("--quick", action="store_true", help="small sizes and one round: a few minutes")
    parser.add_argument("--mtas", type=subset(MTAS), default=list(MTAS), metavar="LIST", help="only these of " + ",".join(MTAS))
    parser.add_argument("--workloads", type=subset(WORKLOADS), default=list(WORKLOADS), metavar="LIST", help="only these of " + ",".join(WORKLOADS))
    parser.add_argument("--install-only", action="store_true", help="install what is missing, and end")
    sizes.add_options(parser)
    return parser.parse_args()


def main():
    arguments = parse()
    if os.geteuid() != 0:
        print("versus: it makes roots and namespaces: run it as root", file=sys.stderr)
        return 77
    binary = pathlib.Path(os.environ.get("SLUICE") or TREE / "build" / "sluice")
    drivers = [driver for driver in (Sluice(binary), Postfix(), Exim(), OpenSmtpd(), Haraka()) if driver.name in arguments.mtas]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if cell.inside() is None:
        with roots.alone():
            roots.equip_host()
            for driver in drivers:
                driver.install()
            return 0 if arguments.install_only else cell.enter(sys.argv)
    cell.settle_in()
    for driver in drivers:
        driver.install()
    try:
        measure(arguments, binary, drivers)
    except KeyboardInterrupt:
        print("versus: stopped", file=sys.stderr)
        return 130
    return 0


def measure(arguments, binary, drivers):
    wanted = sizes.chosen(arguments)
    workloads = {name: WORKLOADS[name] for name in arguments.workloads}
    # smtp-sink and smtp-source are Postfix's, whether Postfix is measured or not.
    tools = [["chroot", roots.debian_root("postfix", "postfix"), f"/usr/sbin/{name}"] for name in ("smtp-sink", "smtp-source")
             if {"control", "relay"} & workloads.keys()]
    bench = Bench(wanted, binary.resolve(), *tools)
    run = {"command": shlex.join(["bench/versus/run", *sys.argv[1:]]), "machine": machine.facts(roots.cache()), "sizes": dataclasses.asdict(wanted),
           "versions": {driver.name: driver.version() for driver in drivers}}
    done = []
    for measurement in plan.measurements(bench, drivers, workloads, cell.inside()):
        done.append(measurement)
        # After each, so that what was measured is not lost with a run that is stopped.
        report.write(arguments.out, run, done, workloads, drivers)
    print(f"versus: {arguments.out}/table.md", file=sys.stderr)
