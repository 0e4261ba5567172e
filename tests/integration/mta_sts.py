#!/usr/bin/env python3
"""MTA-STS (RFC 8461): policies from a real HTTPS server, enforced, tested, kept over restarts, and never lost to somebody on the way."""
# timeout_s: 300
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from _https_server import HttpsServer, hang
from _knot import Knot
from _sluice import SLUICE, deliver, free_port, log_records
from _tls_server import Authority, TlsServer
from _unbound import Unbound
from dane import HEAD, tlsa

MESSAGE = "From: a@news.example\nTo: {{email}}\nSubject: one\n\none\n"
WEB = "127.0.3.1"
STS, TESTED, UNTRUSTED, PLAIN_TLS, CLEAR = "verified sts", "verified sts-testing", "unverified sts-testing", "unverified", None
TXT = '_mta-sts.{0} TXT "v=STSv1; id={1};"\n'


def policy(mode, *mx, max_age=86400):
    return "version: STSv1\r\n" + f"mode: {mode}\r\n" + "".join(f"mx: {name}\r\n" for name in mx) + f"max_age: {max_age}\r\n"


class Case:
    """A domain with the host mx.DOMAIN, `host`: its certificate's kind. `served`: its policy; `text`: TXT records, None for the usual one. `wants`: the
    end of the log's `tls`, or words of the reason why mail waits."""

    def __init__(self, wants, served, host="good", text=None, mx="", zone="plain.test", web="good"):
        self.wants, self.served, self.host, self.text, self.mx, self.zone, self.web = wants, served, host, text, mx, zone, web


def redirect(handler):
    handler.answer("", 301, Location=f"https://mta-sts.good.plain.test/.well-known/mta-sts.txt")


def html(handler):
    handler.answer(policy("enforce", "other.example"), Content_Type="text/html")


CASES = {
    # Enforced.
    "good": Case(STS, policy("enforce", "mx.good.plain.test")),
    "wild": Case(STS, policy("enforce", "*.wild.plain.test")),
    "selfsigned": Case("self", policy("enforce", "mx.selfsigned.plain.test"), "selfsigned"),
    "wrongname": Case("mismatch", policy("enforce", "mx.wrongname.plain.test"), "wrongname"),
    "expired": Case("expired", policy("enforce", "mx.expired.plain.test"), "expired"),
    "stripped": Case("does not offer STARTTLS", policy("enforce", "mx.stripped.plain.test"), "plain"),
    "garbage": Case("TLS handshake failed", policy("enforce", "mx.garbage.plain.test"), "garbage"),
    "forged": Case("the MTA-STS policy of forged.plain.test does not name this MX", policy("enforce", "mx.elsewhere.test")),
    "deepwild": Case("does not name this MX", policy("enforce", "*.plain.test")),
    "second": Case(STS, policy("enforce", "mx.second.plain.test"), mx="second MX 5 mx.plainhost\n"),
    # Tested only.
    "tested": Case(TESTED, policy("testing", "mx.tested.plain.test")),
    "testedself": Case(UNTRUSTED, policy("testing", "mx.testedself.plain.test"), "selfsigned"),
    "testedplain": Case(CLEAR, policy("testing", "mx.testedplain.plain.test"), "plain"),
    "testedother": Case(UNTRUSTED, policy("testing", "mx.elsewhere.test"), "selfsigned"),
    # None.
    "plainhost": Case(PLAIN_TLS, None, "selfsigned", text=""),
    "off": Case(PLAIN_TLS, policy("none"), "selfsigned"),
    "silent": Case(PLAIN_TLS, policy("enforce", "mx.elsewhere.test"), "selfsigned", text=""),
    "twice": Case(PLAIN_TLS, policy("enforce", "mx.elsewhere.test"), "selfsigned", text='_mta-sts.twice TXT "v=STSv1; id=1;"\n_mta-sts.twice TXT "v=STSv1; id=2;"\n'),
    "mangled": Case(PLAIN_TLS, policy("enforce", "mx.elsewhere.test"), "selfsigned", text='_mta-sts.mangled TXT "v=STSv1; id=a-b;"\n'),
    "missing": Case(PLAIN_TLS, None, "selfsigned"), "redirected": Case(PLAIN_TLS, redirect, "selfsigned"), "html": Case(PLAIN_TLS, html, "selfsigned"),
    "broken": Case(PLAIN_TLS, "version: STSv1\nmode: enforce\n", "selfsigned"),
    "long": Case(PLAIN_TLS, policy("enforce", *["mx.elsewhere.test"] * 4000), "selfsigned"),
    "webname": Case(PLAIN_TLS, policy("enforce", "mx.elsewhere.test"), "selfsigned", web="wrongname"),
    "webself": Case(PLAIN_TLS, policy("enforce", "mx.elsewhere.test"), "selfsigned", web="selfsigned"),
    "webold": Case(PLAIN_TLS, policy("enforce", "mx.elsewhere.test"), "selfsigned", web="expired"),
    "hanging": Case(PLAIN_TLS, hang, "selfsigned"),
    # DANE wins.
    "dane": Case("verified dane", policy("enforce", "mx.elsewhere.test"), "selfsigned", zone="signed.test"),
    "danewrong": Case("no TLSA record matches", policy("enforce", "mx.danewrong.signed.test"), zone="signed.test"),
    "danevain": Case("self", policy("enforce", "mx.danevain.signed.test"), "selfsigned", zone="signed.test"),
    "danenone": Case(STS, policy("enforce", "mx.danenone.signed.test"), zone="signed.test"),
}


class World:
    """The zones, the policies' server, and a host for each case."""

    def __init__(self, folder):
        for name in ("a", "knot", "unbound"):
            (folder / name).mkdir()
        self.folder, self.port, self.authority = folder, free_port(), Authority(folder / "a")
        own = self.authority.certificate(is_self_signed=True)
        self.zones = {zone: HEAD.format(zone) for zone in ("plain.test", "signed.test")}
        self.hosts, web = {}, {}
        for number, (name, case) in enumerate(CASES.items(), start=10):
            domain, address = f"{name}.{case.zone}", f"127.0.4.{number}"
            certificate = self.certificate(case.host, f"mx.{domain}", own)
            self.hosts[domain] = TlsServer(certificate, fault="garbage" if case.host == "garbage" else None, address=f"{address}:{self.port}")
            web[f"mta-sts.{domain}"] = self.certificate(case.web, f"mta-sts.{domain}", own)
            zone = f"{name} MX 10 mx.{name}\nmx.{name} A {address}\nmta-sts.{name} A {WEB}\n{case.mx}"
            zone += TXT.format(name, "20260101") if case.text is None else case.text
            self.zones[case.zone] += zone
        owner = f"_{self.port}._tcp.mx."
        self.zones["signed.test"] += (f"{owner}dane TLSA {tlsa(3, 1, 1, own)}\n{owner}danewrong TLSA {tlsa(3, 1, 1, own)}\n"
                                      f"{owner}danevain TLSA {tlsa(1, 1, 1, own)}\n")
        self.knot = Knot(folder / "knot", self.zones, signed=("signed.test",))
        self.unbound = Unbound(folder / "unbound", self.knot.port, list(self.zones), [self.knot.anchor("signed.test")])
        web[""] = self.authority.certificate("DNS:www.example")
        self.served = {f"mta-sts.{name}.{case.zone}": case.served for name, case in CASES.items()}
        self.web = HttpsServer(f"{WEB}:443", web, self.served)
        self.wants = {f"{name}.{case.zone}": case.wants for name, case in CASES.items()}

    def certificate(self, kind, name, own):
        if kind in ("plain", "garbage"):
            return None
        if kind == "selfsigned":
            return own
        return self.authority.certificate("DNS:elsewhere.example" if kind == "wrongname" else f"DNS:{name}", is_expired=kind == "expired")

    def send(self, name, domains, more="", resolver=None):
        """The log's last record of each domain; the folder `name` may be another run's."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        for server in self.hosts.values():
            server.mails.clear()
            server.said.clear()
        self.web.asked.clear()
        config = (f'[engine]\nhostname = "mta.news.example"\nspool = "{folder}/spool"\nlog = "{folder}/log"\nshards = 2\n'
                  f'[dns]\nservers = ["127.0.0.1:{resolver or self.unbound.port}"]\n[destination."*"]\nport = {self.port}\n'
                  f'tls_ca_file = "{self.authority.file}"\n{more}[destination."*".retry]\nfirst = "1s"\nfactor = 1.0\nconnect_attempts_max = 1\n'
                  '[destination."*".timeout]\nstarttls = "30s"\n')
        people = "email\n" + "".join(f"u@{domain}\n" for domain in domains)
        done = deliver(folder, config, MESSAGE, people, "a@news.example", timeout_s=120)
        assert done.returncode in (0, 1), (done.returncode, done.stdout, done.stderr)
        records = {r["recipient"].split("@")[1]: r for r in log_records(folder / "log") if r["event"] != "accepted"}
        for domain, want in domains.items():
            self.check(domain, want, records[domain])
        return records

    def check(self, domain, want, record):
        if want is CLEAR:
            assert record["event"] == "delivered" and record["tls"] is None, (domain, record)
        elif want in (STS, TESTED, UNTRUSTED, PLAIN_TLS, "verified dane", "verified"):
            assert record["event"] == "delivered" and record["tls"].split(" ", 2)[2] == want, (domain, want, record)
        else:
            assert record["event"] == "failed" and want in record["reason"], (domain, want, record)
            assert not any(line.startswith((b"MAIL", b"RCPT", b"DATA")) for line in self.hosts[domain].said), domain
            assert not self.hosts[domain].mails, domain

    def stop(self):
        self.web.stop()
        self.unbound.stop()
        self.knot.stop()
        for server in self.hosts.values():
            server.listener.close()


def keeps_to_the_policy_of_each_domain(world):
    began = time.monotonic()
    records = world.send("first", world.wants)
    # What hangs holds its own domain's mail up, for 10 s, and no other's.
    assert 9 < time.monotonic() - began < 60, time.monotonic() - began
    assert records["selfsigned.plain.test"]["reason"].endswith("; MTA-STS of selfsigned.plain.test"), records["selfsigned.plain.test"]
    forged = records["forged.plain.test"]
    assert forged["phase"] == "dns" and forged["enhanced"] == "4.7.0" and not world.hosts["forged.plain.test"].said, forged
    asked = world.web.asked
    assert asked.count("mta-sts.good.plain.test") == 1, asked
    assert "mta-sts.silent.plain.test" not in asked and "mta-sts.twice.plain.test" not in asked and "mta-sts.dane.signed.test" not in asked, asked
    kept = {path.name for path in (world.folder / "first/spool/sts").iterdir()}
    assert {"good.plain.test", "tested.plain.test", "off.plain.test", "forged.plain.test"} <= kept, kept
    assert not kept & {"missing.plain.test", "broken.plain.test", "webself.plain.test", ".new"}, kept


def is_kept_over_restarts(world):
    """With the TXT records and the server suppressed, and none at all."""
    wants = {name: world.wants[name] for name in ("good.plain.test", "selfsigned.plain.test", "stripped.plain.test", "forged.plain.test")}
    world.send("first", wants)
    assert not world.web.asked, world.web.asked
    zone = "".join(line + "\n" for line in world.zones["plain.test"].splitlines() if "_mta-sts" not in line and "mta-sts." not in line)
    (world.folder / "bare").mkdir()
    with Knot(world.folder / "bare", {"plain.test": zone}) as bare:
        world.send("first", wants, resolver=bare.port)
        # A spool that never saw them.
        world.send("unaware", dict.fromkeys(["selfsigned.plain.test"], PLAIN_TLS), resolver=bare.port)
    # A file that something broke is fetched again.
    file = world.folder / "first/spool/sts/good.plain.test"
    file.write_bytes(file.read_bytes()[:-9])
    world.send("first", {"good.plain.test": STS})
    assert world.web.asked == ["mta-sts.good.plain.test"], world.web.asked


def is_fetched_anew_when_its_id_changes(world):
    (world.folder / "newer").mkdir()
    with Knot(world.folder / "newer", {"plain.test": world.zones["plain.test"].replace("20260101", "20260202")}) as newer:
        # The newer one cannot be had: the older holds.
        world.served["mta-sts.selfsigned.plain.test"] = None
        world.send("first", {"selfsigned.plain.test": "self"}, resolver=newer.port)
        assert world.web.asked == ["mta-sts.selfsigned.plain.test"], world.web.asked
        world.served["mta-sts.selfsigned.plain.test"] = policy("none")
        world.send("first", {"selfsigned.plain.test": PLAIN_TLS}, resolver=newer.port)
    world.served["mta-sts.selfsigned.plain.test"] = policy("enforce", "mx.selfsigned.plain.test", max_age=1)
    world.send("short", {"selfsigned.plain.test": "self"})
    time.sleep(2.1)
    # Expired, and no longer to be had.
    world.served["mta-sts.selfsigned.plain.test"] = None
    world.send("short", {"selfsigned.plain.test": PLAIN_TLS})


def goes_with_policies_of_ours(world):
    world.send("off", dict.fromkeys(["selfsigned.plain.test", "forged.plain.test"], "unverified") | {"forged.plain.test": "verified"}, "mta_sts = false\n")
    world.send("none", dict.fromkeys(["selfsigned.plain.test", "stripped.plain.test"], CLEAR), 'tls = "none"\n')
    world.send("verified", {"good.plain.test": STS, "tested.plain.test": TESTED, "testedself.plain.test": "self", "forged.plain.test": "does not name",
                            "testedplain.plain.test": "does not offer STARTTLS"}, 'tls = "verified"\n')
    # A next hop is ours to choose.
    world.send("hop", {"forged.plain.test": "verified"}, 'next_hop = ["mx.forged.plain.test"]\n')


def is_explained(world):
    def explain(domain, *options):
        return subprocess.run([SLUICE, "explain", domain, "--config", world.folder / "first" / "c.toml", *options], check=True,
                              capture_output=True, text=True, timeout=60).stdout

    config = world.folder / "first" / "c.toml"
    config.write_text(config.read_text().replace(config.read_text().split('servers = ["')[1].split('"')[0], f"127.0.0.1:{world.unbound.port}"))
    text = explain("forged.plain.test")
    assert "MTA-STS: mta_sts = true (built-in)" in text and "policy 20260101, mode enforce, in force until" in text, text
    assert "mx mx.elsewhere.test" in text and "mx.forged.plain.test is not one of these: it must not be used" in text, text
    assert "DNS tells of policy 20260101" in explain("missing.plain.test"), explain("missing.plain.test")
    assert "MTA-STS" not in explain("plainhost.plain.test"), explain("plainhost.plain.test")
    assert json.loads(explain("good.plain.test", "--json"))["mta_sts"]["policy"]["mode"] == "enforce"


def main():
    assert os.getuid() == 0, "needs root to serve port 443"
    with tempfile.TemporaryDirectory() as folder:
        world = World(pathlib.Path(folder))
        try:
            for case in (keeps_to_the_policy_of_each_domain, is_kept_over_restarts, is_fetched_anew_when_its_id_changes, goes_with_policies_of_ours,
                         is_explained):
                case(world)
                print(f"{case.__name__}: passed", flush=True)
        finally:
            world.stop()


if __name__ == "__main__":
    main()
