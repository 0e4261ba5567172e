#!/usr/bin/env python3
"""HostFinder against Knot DNS: a zone with a name for each case, over UDP and TCP, IPv4 and IPv6."""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

here = pathlib.Path(__file__).resolve().parent
build = pathlib.Path(os.environ.get("SLUICE", here.parent.parent / "build" / "sluice")).resolve().parent
knotd = subprocess.run([here.parent.parent / "tools" / "knot_tools.sh"], check=True, capture_output=True,
                       text=True).stdout.strip() + "/knotd"

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


def free_port():
    """A port that is free for UDP and TCP, on 127.0.0.1 and ::1."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Knot:
    def __init__(self, folder, zones):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        addresses = [f"127.0.0.1@{self.port}"]
        with socket.socket(socket.AF_INET6) as probe:
            try:
                probe.bind(("::1", 0))
                addresses.append(f"::1@{self.port}")
            except OSError:
                pass  # a machine without IPv6
        self.has_ipv6 = len(addresses) == 2
        text = (f"server:\n  rundir: {folder}\n  listen: [ {', '.join(addresses)} ]\n  udp-workers: 1\n  tcp-workers: 1\n"
                f"log:\n - target: {folder}/log\n   any: info\n"
                f"database:\n  storage: {folder}/db\n"
                f"template:\n - id: default\n   storage: {folder}\n   zonefile-sync: -1\n   journal-content: none\n"
                "zone:\n")
        for name, content in zones.items():
            (self.folder / f"{name}.zone").write_text(content)
            text += f" - domain: {name}\n   file: {name}.zone\n"
        (self.folder / "knot.conf").write_text(text)
        self.process = subprocess.Popen([knotd, "-c", self.folder / "knot.conf"], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        for _ in range(200):
            if self.process.poll() is not None:
                sys.exit("knotd ended: " + self.log())
            if "server started" in self.log() and "zone file parsed" in self.log() or self.is_serving():
                return
            time.sleep(0.05)
        sys.exit("knotd does not serve: " + self.log())

    def log(self):
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def is_serving(self):
        """Does it answer SOA of cases.test?"""
        question = b"\0\1\1\0\0\1\0\0\0\0\0\0\5cases\4test\0\0\6\0\1"
        with socket.socket(type=socket.SOCK_DGRAM) as udp:
            udp.settimeout(0.2)
            udp.connect(("127.0.0.1", self.port))
            try:
                udp.send(question)
                return udp.recv(512)[3] & 15 == 0
            except OSError:
                return False

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def find(servers, domains, *options):
    out = subprocess.run([build / "find_hosts", servers, *options, *domains], check=True, capture_output=True, text=True,
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
