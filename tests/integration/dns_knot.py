#!/usr/bin/env python3
"""HostFinder against Knot DNS: a zone with a name for each case, over UDP and TCP, IPv4 and IPv6."""
import re
import shutil
import subprocess
import sys
import tempfile

from _knot import Knot
from _sluice import SLUICE, free_port

BIG = range(10, 74)
ZONE = """$ORIGIN cases.test.
$TTL 300
@           SOA ns root 1 3600 600 86400 45
@           NS  ns
ns          A   127.0.0.1
two         MX  20 mx2
two         MX  10 mx1
mx1         A   192.0.2.1
mx1         AAAA 2001:db8::1
mx2    120  A   192.0.2.2
implicit    A   192.0.2.3
implicit    AAAA 2001:db8::3
null        MX  0 .
nothing     TXT "neither MX nor address"
dangling    MX  10 gone
dangling    MX  20 nothing
alias       CNAME chain
chain       CNAME two
abroad      CNAME implicit.other.test.
mxalias     MX  10 mxcname
mxcname     CNAME mx2
loop        CNAME pool
pool        CNAME loop
short     1 MX  10 mx1
toself      MX  10 mx1
toself      MX  20 here
onlyself    MX  10 here
onlyself    MX  20 mx1
here        A   192.0.2.9
xn--mller-kva MX 10 mx2
unserved    MX  10 mx.example.net.
shout       MX  10 MX1
*.wild      MX  10 mx2
""" + "".join(f"big MX {i} mx{i}.big\nmx{i}.big A 192.0.2.{i}\n" for i in BIG)
OTHER = """$ORIGIN other.test.
$TTL 60
@           SOA ns.cases.test. root.cases.test. 1 3600 600 86400 30
@           NS  ns.cases.test.
implicit    A   192.0.2.30
"""

EXPECTED = {
    "two.cases.test": "10 mx1.cases.test [2001:db8::1]:25, 10 mx1.cases.test 192.0.2.1:25, "
                      # mx2 has no AAAA; that is known for as long as the SOA says
                      "20 mx2.cases.test 192.0.2.2:25 (good for 45s)",
    "TWO.Cases.Test": "10 mx1.cases.test [2001:db8::1]:25, 10 mx1.cases.test 192.0.2.1:25, "
                      "20 mx2.cases.test 192.0.2.2:25 (good for 45s)",
    "implicit.cases.test": "0 implicit.cases.test [2001:db8::3]:25, 0 implicit.cases.test 192.0.2.3:25 (good for 45s)",
    "null.cases.test": "permanent 5.1.10 dns: null.cases.test: accepts no mail (null MX)",
    "absent.cases.test": "permanent 5.1.2 dns: absent.cases.test: no such domain (NXDOMAIN)",
    "nothing.cases.test": "permanent 5.1.2 dns: nothing.cases.test: has neither MX nor address",
    "dangling.cases.test": "permanent 5.4.4 dns: dangling.cases.test: no MX has an address (gone.cases.test, "
                           "nothing.cases.test)",
    "alias.cases.test": "10 mx1.cases.test [2001:db8::1]:25, 10 mx1.cases.test 192.0.2.1:25, "
                        "20 mx2.cases.test 192.0.2.2:25 (good for 45s)",
    "abroad.cases.test": "0 abroad.cases.test 192.0.2.30:25 (good for 30s)",
    "mxalias.cases.test": "10 mxcname.cases.test 192.0.2.2:25 (good for 45s)",
    "loop.cases.test": "transient 4.4.3 dns: loop.cases.test: MX: its aliases (CNAME) form a loop",
    "short.cases.test": "10 mx1.cases.test [2001:db8::1]:25, 10 mx1.cases.test 192.0.2.1:25 (good for 5s)",
    "toself.cases.test": "10 mx1.cases.test [2001:db8::1]:25, 10 mx1.cases.test 192.0.2.1:25 (good for 45s)",
    "onlyself.cases.test": "permanent 5.4.6 dns: onlyself.cases.test: mail for it would loop: its MX here.cases.test "
                           "is this host",
    "xn--mller-kva.cases.test": "10 mx2.cases.test 192.0.2.2:25 (good for 45s)",
    "shout.cases.test": "10 mx1.cases.test [2001:db8::1]:25, 10 mx1.cases.test 192.0.2.1:25 (good for 300s)",
    "any.wild.cases.test": "10 mx2.cases.test 192.0.2.2:25 (good for 45s)",
    "big.cases.test": ", ".join(f"{i} mx{i}.big.cases.test 192.0.2.{i}:25" for i in BIG) + " (good for 45s)",
    "[192.0.2.7]": "0 [192.0.2.7] 192.0.2.7:25 (good for 86400s)",
}


def find(servers, domains, *options):
    out = subprocess.run([SLUICE.parent / "find_hosts", servers, *options, *domains], check=True, capture_output=True, text=True,
                         timeout=60).stdout.splitlines()
    counts = re.fullmatch(r"(\d+) questions, (\d+) look-ups", out[-1])
    return dict(line.split(": ", 1) for line in out[:-1]), int(counts[1]), int(counts[2])


def compare(found, expected, about):
    wrong = [f"{about}: {domain}\n  found    {found.get(domain)}\n  expected {text}"
             for domain, text in expected.items() if found.get(domain) != text]
    if wrong:
        sys.exit("\n".join(wrong))


def main():
    folder = tempfile.mkdtemp()
    knot = Knot(folder, {"cases.test": ZONE, "other.test": OTHER, "broken.test": "$ORIGIN broken.test.\n@ nonsense\n"})
    try:
        server = f"127.0.0.1:{knot.port}"
        found, questions, look_ups = find(server, EXPECTED, "--hostname", "here.cases.test")
        compare(found, EXPECTED, "one server")
        # Names come once however many want them; an alias into another zone costs one more question a type.
        assert questions <= look_ups + 3, (questions, look_ups)

        failing = {
            "broken.test": f"transient 4.4.3 dns: broken.test: MX: SERVFAIL from {server}",
            "example.net": f"transient 4.4.3 dns: example.net: MX: REFUSED from {server}",
            "unserved.cases.test": "transient 4.4.3 dns: unserved.cases.test: address of mx.example.net: REFUSED from "
                                   + server,
        }
        compare(find(server, failing)[0], failing, "refusals")

        if knot.has_ipv6:
            compare(find(f"[::1]:{knot.port}", EXPECTED, "--hostname", "here.cases.test")[0], EXPECTED, "over IPv6")

        # A server that is not there does not matter while the next one is.
        dead = free_port()
        compare(find(f"127.0.0.1:{dead},{server}", EXPECTED, "--hostname", "here.cases.test")[0], EXPECTED, "behind a dead one")
        alone = find(f"127.0.0.1:{dead}", ["two.cases.test"])[0]
        compare(alone, {"two.cases.test": f"transient 4.4.3 dns: two.cases.test: MX: 127.0.0.1:{dead}: Connection refused"},
                "nobody there")
        print(f"{len(EXPECTED) + len(failing)} names as they should be, {questions} questions for {look_ups} look-ups")
    finally:
        knot.stop()
        shutil.rmtree(folder)


main()
