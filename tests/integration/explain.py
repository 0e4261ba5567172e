#!/usr/bin/env python3
"""sluice explain with a real name server: hosts in their order, why there are none in the words of the log, and the
lines of the configuration that decide; IDN, literals and next hops."""
import json
import pathlib
import subprocess
import sys
import tempfile

from _knot import Knot
from _sluice import SLUICE

ZONE = """$ORIGIN mail.test.
$TTL 300
@          SOA ns root 1 3600 600 86400 45
@          NS  ns
ns         A   127.0.0.1
one        A   127.0.0.11
two        A   127.0.0.12
two        AAAA ::1
three      A   127.0.0.13
several    MX  30 three
several    MX  10 one
several    MX  20 two
several    MX  40 mta1.news.example.
null       MX  0 .
nothing    TXT "neither"
xn--bcher-kva MX 10 one
"""
CONFIG = """[engine]
hostname = "mta1.news.example"
spool = "{folder}/none"
[dns]
servers = ["127.0.0.1:{port}"]
[destination."*"]
port = 2525
[destination."hop.test"]
next_hop = ["two.mail.test:26", "[127.0.0.9]"]
[destination."several.mail.test".retry]
connect_interval = "600s"
connect_attempts_max = 144
"""


def main():
    with tempfile.TemporaryDirectory() as knot_folder, tempfile.TemporaryDirectory() as folder, \
            Knot(knot_folder, {"mail.test": ZONE}) as knot:
        config = pathlib.Path(folder) / "c.toml"
        config.write_text(CONFIG.format(folder=folder, port=knot.port))

        def explain(address, *options):
            done = subprocess.run([SLUICE, "explain", address, "--config", config, "--json", *options],
                                  capture_output=True, text=True, timeout=60)
            if done.returncode != 0:
                sys.exit(f"{address}: exit {done.returncode}: {done.stderr}")
            return json.loads(done.stdout)

        def hosts(address):
            return [(h["preference"], h["host"], h["remote"]) for h in explain(address)["hosts"]]

        def expect(what, found, wanted):
            if found != wanted:
                sys.exit(f"{what}: {found}; wanted: {wanted}")

        expect("several", hosts("ann@several.mail.test"),
               [(10, "one.mail.test", "127.0.0.11:2525"), (20, "two.mail.test", "[::1]:2525"),
                (20, "two.mail.test", "127.0.0.12:2525"), (30, "three.mail.test", "127.0.0.13:2525")])
        expect("implicit MX", hosts("three.mail.test"), [(0, "three.mail.test", "127.0.0.13:2525")])
        expect("IDN", hosts("ann@Bücher.mail.test"), [(10, "one.mail.test", "127.0.0.11:2525")])
        expect("literal", [h[2] for h in hosts("ann@[127.0.0.7]")], ["127.0.0.7:2525"])
        expect("next hops", [h[2] for h in hosts("ann@hop.test")],
               ["[::1]:26", "127.0.0.12:26", "127.0.0.9:2525"])
        for name, code in {"null": "5.1.10", "absent": "5.1.2", "nothing": "5.1.2"}.items():
            failure = explain(f"ann@{name}.mail.test").get("failure", {})
            expect(name, (failure.get("permanent"), failure.get("enhanced")), (True, code))
        expect("no name server's zone", explain("ann@elsewhere.test")["failure"]["permanent"], False)

        told = explain("ann@several.mail.test", "--at", "2026-11-22 05:00", "--priority", "non-urgent")
        expect("who decided", told["policy"]["retry.connect_attempts_max"]["place"], f"{config}:12")
        attempts = [e for e in told["timeline"] if e["event"] == "attempt"]
        expect("attempts", (len(attempts), attempts[1]["time"]), (144, "2026-11-22T05:10:00.000000Z"))
        last = told["timeline"][-1]
        expect("the end", (last["event"], last["time"]), ("failed", "2026-11-23T05:00:00.000000Z"))


main()
