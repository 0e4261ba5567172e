#!/usr/bin/env python3
"""DANE (RFC 7672) over a zone that Knot signs and unbound validates, towards hosts of every kind: what TLSA records are worth, whose certificate
is good, and that nothing of a message is said to a host that somebody on the way has made look as if it had none."""
# timeout_s: 240
import hashlib
import json
import pathlib
import ssl
import subprocess
import tempfile

from _knot import Knot
from _sluice import SLUICE, deliver, free_port, log_records
from _tls_server import Authority, TlsServer
from _unbound import Unbound

MESSAGE = "From: a@news.example\nTo: {{email}}\nSubject: one\n\none\n"
HEAD = "$ORIGIN {0}.\n$TTL 60\n@ SOA ns root 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n"
DANE, VAIN, CLEAR, PLAIN_TLS = "verified dane", "unverified dane", None, "unverified"


def tlsa(usage, selector, matching, files):
    """Data of a record that the certificate in `files` matches."""
    der = ssl.PEM_cert_to_DER_cert(pathlib.Path(files[0]).read_text())
    if selector == 1:
        key = subprocess.run(["openssl", "x509", "-in", files[0], "-noout", "-pubkey"], check=True, capture_output=True).stdout
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key, check=True, capture_output=True).stdout
    data = der if matching == 0 else hashlib.new("sha256" if matching == 1 else "sha512", der).digest()
    return f"{usage} {selector} {matching} {data.hex()}"


class Case:
    """A domain with one MX, mx.NAME.ZONE, at an address of its own; `records` lie at the host's TLSA name. `wants`: the end of the log's `tls`, or
    words of the reason why mail waits. `more`: further lines of the zone that the domain is in, {n} the name and {owner} the TLSA name."""

    def __init__(self, records, certificate, wants, zone="signed.test", fault=None, more="", mx=None):
        self.records, self.certificate, self.wants, self.zone, self.fault = records, certificate, wants, zone, fault
        self.more, self.mx = more, mx


def chained(folder, leaf, authority):
    path = folder / (leaf[0].name + ".chain")
    path.write_text(leaf[0].read_text() + authority.file.read_text())
    return path, leaf[1]


def make_cases(folder):
    authority, other = Authority(folder / "a"), Authority(folder / "b")
    ca = (authority.file, None)

    def named(name, **options):
        return authority.certificate(f"DNS:{name}", **options)

    def good(case):
        return chained(folder / "a", named(f"mx.{case}.signed.test"), authority)

    own = authority.certificate(is_self_signed=True)
    old = named("elsewhere.example", is_expired=True)
    ee = tlsa(3, 1, 1, own)
    no_match, starttls = "no TLSA record matches", "does not offer STARTTLS"
    cases = {
        "ee256": Case([ee], own, DANE), "ee512": Case([tlsa(3, 0, 2, own)], own, DANE), "eefull": Case([tlsa(3, 0, 0, own)], own, DANE),
        "eekey": Case([tlsa(3, 1, 0, own)], own, DANE),
        # Neither dates nor names count.
        "eeold": Case([tlsa(3, 1, 1, old)], old, DANE),
        "rollover": Case([tlsa(3, 1, 1, old), ee], own, DANE),
        "wrong": Case([tlsa(3, 1, 1, old)], own, no_match),
        "halfwrong": Case([tlsa(3, 1, 1, old), "1 1 1 " + "00" * 32], own, no_match),
        # SHA-512 outdoes SHA-256 of the same.
        "agile": Case([ee, tlsa(3, 1, 2, old)], own, no_match),
        "ta256": Case([tlsa(2, 0, 1, ca)], good("ta256"), DANE), "takey": Case([tlsa(2, 1, 1, ca)], good("takey"), DANE),
        "tafull": Case([tlsa(2, 0, 0, ca)], named("mx.tafull.signed.test"), DANE),
        "takeyfull": Case([tlsa(2, 1, 0, ca)], named("mx.takeyfull.signed.test"), DANE),
        "tadomain": Case([tlsa(2, 0, 1, ca)], chained(folder / "a", named("tadomain.signed.test"), authority), DANE),
        "taname": Case([tlsa(2, 0, 1, ca)], chained(folder / "a", named("mx.example"), authority), "mismatch"),
        "taold": Case([tlsa(2, 0, 1, ca)], chained(folder / "a", named("mx.taold.signed.test", is_expired=True), authority), "expired"),
        "taother": Case([tlsa(2, 0, 1, ca)], chained(folder / "b", other.certificate("DNS:mx.taother.signed.test"), other), no_match),
        "taabsent": Case([tlsa(2, 0, 1, ca)], named("mx.taabsent.signed.test"), no_match),
        # None of a use: TLS, whoever it is.
        "pkix": Case([tlsa(1, 1, 1, own), tlsa(0, 0, 1, ca)], own, VAIN),
        "strange": Case([tlsa(3, 1, 1, own).replace("3 1", "3 7", 1), "3 1 9 00ff", "3 1 1 00ff", "3 0 0 00"], own, VAIN),
        # Downgrades: what an attacker on the way can do.
        "stripped": Case([ee], None, starttls), "vainstripped": Case([tlsa(1, 1, 1, own)], None, starttls),
        "refused": Case([ee], None, "starttls: refused", fault="454 4.7.0 not now"),
        "garbage": Case([ee], None, "TLS handshake failed", fault="garbage"), "reset": Case([ee], None, "starttls: ", fault="reset"),
        "lost": Case([], own, "TLSA _{port}._tcp.mx.lost.signed.test: SERVFAIL", more="{owner} CNAME x.bogus.test.\n"),
        "bogus": Case([ee], own, "SERVFAIL", zone="bogus.test"),
        # No DANE: nobody vouches for that.
        "none": Case([], own, PLAIN_TLS), "noneplain": Case([], None, CLEAR),
        "unsigned": Case([tlsa(3, 1, 1, old)], own, PLAIN_TLS, zone="unsigned.test"),
        "recordabroad": Case([], own, PLAIN_TLS, more="{owner} CNAME record.unsigned.test.\n"),
        "hostabroad": Case([], own, PLAIN_TLS, mx="mx.unsigned.unsigned.test."),
        "mxinsecure": Case([], own, PLAIN_TLS, zone="unsigned.test", mx="mx.pkix.signed.test."),
        # Aliases of the host: the name it leads to comes first, its own is the other.
        "alias": Case([], own, DANE, mx="name.ee256.signed.test.", more="name.ee256 CNAME mx.ee256\n"),
        "ownalias": Case([], own, DANE, mx="name.none.signed.test.", more=f"name.none CNAME mx.none\n_{{port}}._tcp.name.none TLSA {ee}\n"),
        "abroadalias": Case([], own, DANE, mx="name.unsigned.signed.test.",
                            more=f"name.unsigned CNAME mx.unsigned.unsigned.test.\n_{{port}}._tcp.name.unsigned TLSA {ee}\n"),
        "aliasrecord": Case([], own, DANE, more="{owner} CNAME shared\n" f"shared TLSA {ee}\n"),
        # Another host of the domain does.
        "second": Case([], own, DANE, mx="mx.wrong", more="second MX 20 mx.ee256\n"),
        "secondoflost": Case([], own, DANE, mx="mx.lost", more="secondoflost MX 20 mx.ee256\n"),
    }
    return cases, authority


class World:
    """The zones, their servers, and a host for each case."""

    def __init__(self, folder):
        for name in ("a", "b", "knot", "unbound"):
            (folder / name).mkdir()
        self.cases, self.authority = make_cases(folder)
        self.folder, self.port = folder, free_port()
        zones = {zone: HEAD.format(zone) for zone in ("signed.test", "unsigned.test", "bogus.test")}
        zones["unsigned.test"] += f"record TLSA 3 1 1 {'00' * 32}\n"
        zones["bogus.test"] += f"x TLSA 3 1 1 {'00' * 32}\n"
        self.servers = {}
        for number, (name, case) in enumerate(self.cases.items(), start=10):
            owner, address = f"_{self.port}._tcp.mx.{name}", f"127.0.2.{number}"
            zone = f"{name} MX 10 {case.mx or f'mx.{name}'}\n" + case.more.format(owner=owner, port=self.port)
            if not case.mx:
                zone += f"mx.{name} A {address}\n" + "".join(f"{owner} TLSA {data}\n" for data in case.records)
                self.servers[name] = TlsServer(case.certificate, fault=case.fault, address=f"{address}:{self.port}")
            zones[case.zone] += zone
        # Without an MX the domain is its host.
        zones["signed.test"] += f"implicit A 127.0.2.10\n_{self.port}._tcp.implicit TLSA {self.cases['ee256'].records[0]}\n"
        self.knot = Knot(folder / "knot", zones, signed=("signed.test", "bogus.test"))
        stranger = self.knot.anchor("signed.test").replace("signed.test.", "bogus.test.")
        self.unbound = Unbound(folder / "unbound", self.knot.port, list(zones), [self.knot.anchor("signed.test"), stranger])
        self.domains = {f"{name}.{case.zone}": case.wants for name, case in self.cases.items()} | {"implicit.signed.test": DANE}

    def send(self, name, policy, dns="", resolver=None, domains=None):
        """The log's last record of each domain."""
        folder = self.folder / name
        folder.mkdir()
        for server in self.servers.values():
            server.mails.clear()
            server.said.clear()
            server.names.clear()
        config = (f'[engine]\nhostname = "mta.news.example"\nspool = "{folder}/spool"\nlog = "{folder}/log"\nshards = 1\n'
                  f'[dns]\nservers = ["127.0.0.1:{resolver or self.unbound.port}"]\n{dns}[destination."*"]\nport = {self.port}\n{policy}'
                  '[destination."*".retry]\nfirst = "1s"\nfactor = 1.0\nconnect_attempts_max = 1\n[destination."*".timeout]\nstarttls = "30s"\n')
        people = "email\n" + "".join(f"u@{domain}\n" for domain in domains or self.domains)
        done = deliver(folder, config, MESSAGE, people, "a@news.example", timeout_s=120)
        assert done.returncode in (0, 1), (done.returncode, done.stdout, done.stderr)
        return {record["recipient"].split("@")[1]: record for record in log_records(folder / "log") if record["event"] != "accepted"}

    def mails(self, domain):
        return self.servers[domain.split(".")[0]].mails

    def check(self, records, wants):
        for domain, want in wants.items():
            record = records[domain]
            if want is CLEAR:
                assert record["event"] == "delivered" and record["tls"] is None, (domain, record)
            elif want in (DANE, VAIN, PLAIN_TLS, "verified"):
                assert record["event"] == "delivered" and record["tls"].split(" ", 2)[2] == want, (domain, want, record)
            else:
                assert record["event"] == "failed" and want.format(port=self.port) in record["reason"], (domain, want, record)
                server = self.servers[domain.split(".")[0]]
                assert not server.mails, (domain, record)
                assert not any(line.startswith((b"MAIL", b"RCPT", b"DATA")) for line in server.said), (domain, server.said)

    def stop(self):
        self.unbound.stop()
        self.knot.stop()
        for server in self.servers.values():
            server.listener.close()


def keeps_to_what_dns_demands(world):
    records = world.send("opportunistic", "")
    world.check(records, world.domains)
    wrong = records["wrong.signed.test"]
    assert wrong["phase"] == "starttls" and wrong["reason"].endswith(f"no TLSA record matches; DANE, _{world.port}._tcp.mx.wrong.signed.test"), wrong
    lost = records["lost.signed.test"]
    assert lost["phase"] == "dns" and lost["enhanced"] == "4.4.3" and not world.servers["lost"].said, lost
    assert records["second.signed.test"]["host"] == records["secondoflost.signed.test"]["host"] == "mx.ee256.signed.test", records
    # The name that is sent is the one below which the records lie.
    assert "mx.ee256.signed.test" in world.servers["ee256"].names and "name.none.signed.test" in world.servers["none"].names


def stands_in_for_a_policy_of_ours(world):
    for policy in ("required", "verified"):
        wants = {"ee256.signed.test": DANE, "eeold.signed.test": DANE, "ta256.signed.test": DANE, "wrong.signed.test": "no TLSA record matches",
                 "pkix.signed.test": VAIN if policy == "required" else "self", "stripped.signed.test": "does not offer STARTTLS",
                 "none.signed.test": PLAIN_TLS if policy == "required" else "self", "noneplain.signed.test": "does not offer STARTTLS"}
        world.check(world.send(policy, f'tls = "{policy}"\n', domains=wants), wants)


def is_not_asked_for_where_it_does_not_count(world):
    domains = {"wrong.signed.test": PLAIN_TLS, "stripped.signed.test": CLEAR, "garbage.signed.test": CLEAR, "lost.signed.test": PLAIN_TLS}
    world.check(world.send("off", "dane = false\n", domains=domains), domains)
    world.check(world.send("unbelieved", "", dns='dnssec = "no"\n', domains=domains), domains)
    # A server that does not validate has no say: this one is the zone's own.
    world.check(world.send("unvalidated", "", dns='dnssec = "yes"\n', resolver=world.knot.port, domains=["wrong.signed.test"]),
                {"wrong.signed.test": PLAIN_TLS})
    clear = dict.fromkeys(["wrong.signed.test", "stripped.signed.test", "ee256.signed.test"], CLEAR)
    world.check(world.send("none", 'tls = "none"\n', domains=clear), clear)


def counts_for_next_hops(world):
    for name, want in (("ee256", DANE), ("stripped", "does not offer STARTTLS")):
        records = world.send(f"hop_{name}", f'next_hop = ["mx.{name}.signed.test"]\n', domains=["a.example"])
        if want is DANE:
            world.check(records, {"a.example": want})
        else:
            assert records["a.example"]["event"] == "failed" and want in records["a.example"]["reason"], records


def is_explained(world):
    def explain(domain, *options):
        return subprocess.run([SLUICE, "explain", domain, "--config", world.folder / "opportunistic" / "c.toml", *options], check=True,
                              capture_output=True, text=True, timeout=60).stdout

    text = explain("ee256.signed.test")
    assert f"DANE: _{world.port}._tcp.mx.ee256.signed.test, 1 TLSA record" in text and "dane " in text, text
    assert "not usable" in explain("pkix.signed.test"), explain("pkix.signed.test")
    assert "must not be used: TLSA " in explain("secondoflost.signed.test"), explain("secondoflost.signed.test")
    host, = json.loads(explain("ee256.signed.test", "--json"))["hosts"]
    assert host["dane"]["name"] == f"_{world.port}._tcp.mx.ee256.signed.test" and host["dane"]["usable"] is True, host
    assert "no host: 4.4.3" in explain("lost.signed.test"), explain("lost.signed.test")


def main():
    with tempfile.TemporaryDirectory() as folder:
        world = World(pathlib.Path(folder))
        try:
            assert world.unbound.is_authentic("signed.test", 6) is True and world.unbound.is_authentic("unsigned.test", 6) is False
            for case in (keeps_to_what_dns_demands, stands_in_for_a_policy_of_ours, is_not_asked_for_where_it_does_not_count, counts_for_next_hops,
                         is_explained):
                case(world)
                print(f"{case.__name__}: passed", flush=True)
        finally:
            world.stop()


if __name__ == "__main__":
    main()
