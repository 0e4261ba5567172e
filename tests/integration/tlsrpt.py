#!/usr/bin/env python3
"""TLS reports (RFC 8460): what TLS came to with domains of every kind is counted over restarts and kill -9, and reported when its day is over: by signed mail
that TLS does not hold up, and over HTTPS. The counts are held against the transaction log."""
# timeout_s: 300
import collections
import datetime
import email
import email.policy
import gzip
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from _dkim import keygen, python3_dkim, section
from _https_server import HttpsServer
from _knot import Knot
from _relay import wait_for
from _sluice import SLUICE, deliver, free_port, log_records
from _tls_server import Authority, TlsServer
from _unbound import Unbound
from dane import HEAD, tlsa
from mta_sts import WEB, policy

import jsonschema

MESSAGE = "From: a@news.example\nTo: {{email}}\nSubject: one\n\none\n"
TXT = '_smtp._tls.{0} TXT "v=TLSRPTv1; rua={1}"\n'
US = "127.0.0.1"
# RFC 8460 section 4.4.
COUNT = {"type": "integer", "minimum": 0}
SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["organization-name", "date-range", "contact-info", "report-id", "policies"],
    "properties": {
        "organization-name": {"const": "News \u00dcbermorgen"}, "contact-info": {"const": "https://news.example/tls"}, "report-id": {"type": "string"},
        "date-range": {"type": "object", "required": ["start-datetime", "end-datetime"],
                       "additionalProperties": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"}},
        "policies": {"type": "array", "minItems": 1, "items": {
            "type": "object", "additionalProperties": False, "required": ["policy", "summary"], "properties": {
                "policy": {"type": "object", "additionalProperties": False, "required": ["policy-type", "policy-domain"], "properties": {
                    "policy-type": {"enum": ["tlsa", "sts", "no-policy-found"]}, "policy-domain": {"type": "string"},
                    "policy-string": {"type": "array", "items": {"type": "string"}}, "mx-host": {"type": "array", "items": {"type": "string"}}}},
                "summary": {"type": "object", "additionalProperties": False, "properties": {
                    "total-successful-session-count": COUNT, "total-failure-session-count": COUNT}},
                "failure-details": {"type": "array", "minItems": 1, "items": {
                    "type": "object", "additionalProperties": False, "required": ["result-type", "failed-session-count"], "properties": {
                        "result-type": {"type": "string"}, "sending-mta-ip": {"const": US}, "receiving-mx-hostname": {"type": "string"},
                        "receiving-ip": {"type": "string"}, "failed-session-count": {"type": "integer", "minimum": 1},
                        "failure-reason-code": {"type": "string", "maxLength": 200}}}}}}}}}


class Case:
    """A domain with the host mx.DOMAIN, `host`: its certificate's kind. `wants`: the type of its policy, what each connection is counted as, and words of
    the reason. `rua`: of its record; None: it has none."""

    def __init__(self, host, *wants, served=None, zone="plain.test", rua="mailto:tls@{}"):
        self.host, self.wants, self.served, self.zone, self.rua = host, wants, served, zone, rua


CASES = {
    "good": Case("good", "no-policy-found", "success", ""),
    "clear": Case("clear", "no-policy-found", "starttls-not-supported", ""),
    "garbage": Case("garbage", "no-policy-found", "validation-failure", "WRONG_VERSION_NUMBER"),
    "sts": Case("good", "sts", "success", "", served=policy("enforce", "mx.sts.plain.test", "*.backup.test")),
    "selfsigned": Case("selfsigned", "sts", "certificate-not-trusted", "self", served=policy("enforce", "mx.selfsigned.plain.test")),
    "wrongname": Case("wrongname", "sts", "certificate-host-mismatch", "", served=policy("testing", "mx.wrongname.plain.test")),
    "expired": Case("expired", "sts", "certificate-expired", "expired", served=policy("enforce", "mx.expired.plain.test")),
    "stripped": Case("clear", "sts", "starttls-not-supported", "STARTTLS", served=policy("enforce", "mx.stripped.plain.test")),
    "forged": Case("good", "sts", "validation-failure", "does not name", served=policy("enforce", "mx.elsewhere.test")),
    "missing": Case("good", "sts", "sts-policy-fetch-error", "404", served=404),
    "broken": Case("good", "sts", "sts-policy-invalid", "", served="version: STSv1\nmode: enforce\n"),
    "webself": Case("good", "sts", "sts-webpki-invalid", "self", served=policy("enforce", "mx.webself.plain.test")),
    "dane": Case("selfsigned", "tlsa", "success", "", zone="signed.test"),
    "danewrong": Case("good", "tlsa", "certificate-not-trusted", "no TLSA record matches", zone="signed.test"),
    "danevain": Case("selfsigned", "tlsa", "tlsa-invalid", "", zone="signed.test"),
    "posted": Case("good", "no-policy-found", "success", "", rua="https://reports.plain.test:{port}/in?a=b,mailto:tls@posted.plain.test"),
    "refused": Case("good", "no-policy-found", "success", "", rua="https://reports.plain.test:{port}/refused"),
    # Nobody asks for these.
    "silent": Case("good", "no-policy-found", "success", "", rua=None),
    "nowhere": Case("good", "no-policy-found", "success", "", rua="mailto:nobody"),
}


class World:
    """The zones, the policies' server, the reports', and a host for each case, which takes the reports as well."""

    def __init__(self, folder):
        for name in ("a", "knot", "unbound"):
            (folder / name).mkdir()
        self.folder, self.port, self.authority, self.reports_port = folder, free_port(), Authority(folder / "a"), free_port()
        own = self.authority.certificate(is_self_signed=True)
        zones = {zone: HEAD.format(zone) for zone in ("plain.test", "signed.test")}
        self.hosts, web, self.domains = {}, {"": self.authority.certificate("DNS:www.example")}, {}
        for number, (name, case) in enumerate(CASES.items(), start=10):
            domain, address = f"{name}.{case.zone}", f"127.0.5.{number}"
            self.domains[domain] = case
            files = self.certificate(case.host, f"mx.{domain}", own)
            self.hosts[domain] = TlsServer(files, fault="garbage" if case.host == "garbage" else None, address=f"{address}:{self.port}")
            zones[case.zone] += f"{name} MX 10 mx.{name}\nmx.{name} A {address}\nmta-sts.{name} A {WEB}\n"
            if case.served:
                zones[case.zone] += f'_mta-sts.{name} TXT "v=STSv1; id=1;"\n'
                web[f"mta-sts.{domain}"] = own if name == "webself" else self.authority.certificate(f"DNS:mta-sts.{domain}")
            if case.rua:
                zones[case.zone] += TXT.format(name, case.rua.format(domain, port=self.reports_port))
        owner = f"_{self.port}._tcp.mx."
        zones["signed.test"] += f"{owner}dane TLSA {tlsa(3, 1, 1, own)}\n{owner}danewrong TLSA {tlsa(3, 1, 1, own)}\n{owner}danevain TLSA {tlsa(1, 1, 1, own)}\n"
        zones["plain.test"] += f"reports A {WEB}\n"
        zones["news.example"] = HEAD.format("news.example") + keygen(folder, "news.example", "s1")
        self.knot = Knot(folder / "knot", zones, signed=("signed.test",))
        self.unbound = Unbound(folder / "unbound", self.knot.port, list(zones), [self.knot.anchor("signed.test")])
        served = {f"mta-sts.{domain}": case.served for domain, case in self.domains.items() if isinstance(case.served, str)}
        self.web = HttpsServer(f"{WEB}:443", web, served)
        self.posts = []
        reports = {"": self.authority.certificate("DNS:reports.plain.test")}
        self.reports = HttpsServer(f"{WEB}:{self.reports_port}", reports, {}, self.take_post)

    def take_post(self, handler, body):
        self.posts.append((handler.path, handler.headers, body))
        handler.answer("no" if handler.path == "/refused" else "", 500 if handler.path == "/refused" else 201)

    def certificate(self, kind, name, own):
        if kind in ("clear", "garbage"):
            return None
        if kind == "selfsigned":
            return own
        return self.authority.certificate("DNS:elsewhere.example" if kind == "wrongname" else f"DNS:{name}", is_expired=kind == "expired")

    def config(self, more=""):
        return (f'[engine]\nhostname = "mta.news.example"\nspool = "{self.folder}/spool"\nlog = "{self.folder}/log"\nshards = 2\n'
                f'[dns]\nservers = ["127.0.0.1:{self.unbound.port}"]\n[destination."*"]\nport = {self.port}\n'
                f'tls_ca_file = "{self.authority.file}"\n[destination."*".retry]\nfirst = "1s"\nfactor = 1.0\nconnect_attempts_max = 1\n'
                f'[destination."*".timeout]\nstarttls = "30s"\n' + section(self.folder, "news.example", "s1") + more)

    ON = '[tls_report]\nfrom = "tls-reports@news.example"\norganization = "News Übermorgen"\ncontact = "https://news.example/tls"\n'

    def send(self, more, domains=None):
        people = "email\n" + "".join(f"u@{domain}\n" for domain in domains or self.domains)
        done = deliver(self.folder, self.config(more), MESSAGE, people, "a@news.example", timeout_s=120)
        assert done.returncode in (0, 1), (done.returncode, done.stdout, done.stderr)

    def counted(self):
        """What lies in the spool, by date and domain."""
        return {path.stem: json.loads(path.read_text())["domains"] for path in (self.folder / "spool/tlsrpt").glob("*.json")}

    def age(self, days):
        """The day's counts become those of a day before."""
        (path,) = (self.folder / "spool/tlsrpt").glob("*.json")
        day = datetime.date.fromisoformat(path.stem) - datetime.timedelta(days=days)
        path.rename(path.with_stem(str(day)))
        return day

    def serve(self, more=""):
        (self.folder / "c.toml").write_text(self.config(self.ON + more))
        return subprocess.Popen([SLUICE, "serve", "--config", self.folder / "c.toml"], stderr=open(self.folder / "said", "a"), text=True)

    def said(self):
        return (self.folder / "said").read_text()

    def stop(self):
        self.web.stop()
        self.reports.stop()
        self.unbound.stop()
        self.knot.stop()
        for server in self.hosts.values():
            server.listener.close()


def stop(process, how=signal.SIGTERM):
    process.send_signal(how)
    assert process.wait(20) == (0 if how == signal.SIGTERM else -how)


def counts_nothing_unless_told_to(world):
    world.send("")
    assert not (world.folder / "spool/tlsrpt").exists()


def totals(domain):
    out = collections.Counter()
    for element in domain["policies"]:
        out["success"] += element["summary"]["total-successful-session-count"]
        for detail in element.get("failure-details", []):
            out[detail["result-type"]] += detail["failed-session-count"]
        assert element["summary"]["total-failure-session-count"] == sum(d["failed-session-count"] for d in element.get("failure-details", []))
    return +out


def counts_what_the_log_tells(world):
    before = len(log_records(world.folder / "log"))
    world.send(world.ON)
    records = {r["recipient"].split("@")[1]: r for r in log_records(world.folder / "log")[before:] if r["event"] != "accepted"}
    (found,) = world.counted().values()
    assert set(found) == {domain for domain, case in world.domains.items() if case.rua}, set(found)
    for domain, counted in found.items():
        kind, result, reason = world.domains[domain].wants
        assert counted["wanted"] is True, (domain, counted)
        assert totals(counted) == {result: 1}, (domain, counted)
        (element,) = counted["policies"]
        assert element["policy"]["policy-type"] == kind, (domain, element)
        assert element["policy"]["policy-domain"] == (f"mx.{domain}" if kind == "tlsa" else domain), (domain, element)
        if result != "success":
            detail, record = element["failure-details"][0], records[domain]
            assert detail["receiving-mx-hostname"] == f"mx.{domain}" and reason in detail.get("failure-reason-code", ""), (domain, detail)
            if record.get("remote"):
                assert f'{detail["receiving-ip"]}:{world.port}' == record["remote"] and detail["sending-mta-ip"] == US, (detail, record)
            else:
                assert "receiving-ip" not in detail, detail
    of = {domain.split(".")[0]: found[domain]["policies"][0]["policy"] for domain in found}
    assert of["sts"]["policy-string"] == ["version: STSv1", "mode: enforce", "mx: mx.sts.plain.test", "mx: *.backup.test", "max_age: 86400"], of["sts"]
    assert of["sts"]["mx-host"] == ["mx.sts.plain.test", "*.backup.test"] and of["forged"]["mx-host"] == ["mx.elsewhere.test"]
    assert "policy-string" not in of["missing"] and "policy-string" not in of["good"]
    (one,) = of["dane"]["policy-string"]
    assert re.fullmatch("3 1 1 [0-9A-F]{64}", one), one


def goes_on_counting_after_a_restart(world):
    for expected in (2, 3):
        world.send(world.ON, ["good.plain.test", "selfsigned.plain.test"])
        (found,) = world.counted().values()
        assert totals(found["good.plain.test"]) == {"success": expected}
        assert totals(found["selfsigned.plain.test"]) == {"certificate-not-trusted": expected}
        assert totals(found["dane.signed.test"]) == {"success": 1}


def is_explained(world):
    def explain(domain, *options):
        return subprocess.run([SLUICE, "explain", domain, "--config", world.folder / "c.toml", *options], check=True, capture_output=True, text=True,
                              timeout=60).stdout

    text = explain("selfsigned.plain.test")
    assert "TLS reports go to\n  mailto:tls@selfsigned.plain.test\n  today: 0 connections as they should be, 3 that failed\n" in text, text
    assert json.loads(explain("good.plain.test", "--json"))["tls_reports"] == {
        "rua": ["mailto:tls@good.plain.test"], "today": {"successful": 3, "failed": 0}}
    assert "TLS reports" not in explain("silent.plain.test")


def mail_of(world, domain):
    return [mail for mail in world.hosts[domain].mails if b"TLS-Report-Domain" in mail["content"]]


def parts_of(content):
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert message.get_content_type() == "multipart/report" and message.get_param("report-type") == "tlsrpt", message["Content-Type"]
    words, report = message.iter_parts()
    assert words.get_content_type() == "text/plain" and report.get_content_type() == "application/tlsrpt+gzip"
    return message, words.get_content(), report


def is_reported_when_its_day_is_over(world):
    day = world.age(2)
    (before,) = world.counted().values()
    for server in world.hosts.values():
        server.mails.clear()
    process = world.serve()
    wanted = [domain for domain, case in world.domains.items() if case.rua and "mailto" in case.rua and "@" in case.rua]
    wait_for(lambda: all(mail_of(world, domain) for domain in wanted), 60)
    wait_for(lambda: len(world.posts) == 2)
    wait_for(lambda: "refused.plain.test" in world.said())
    stop(process)
    begin = int(datetime.datetime.combine(day, datetime.time(), datetime.timezone.utc).timestamp())
    paths, ids = [], set()
    for domain in wanted:
        (mail,) = mail_of(world, domain)
        assert mail["mail"].startswith("MAIL FROM:<tls-reports@news.example>"), mail["mail"]
        # Neither DANE nor MTA-STS held it up, and TLS was spoken all the same where it could be.
        assert bool(mail["tls"]) == (world.domains[domain].host not in ("clear", "garbage")), (domain, mail["tls"])
        message, words, report = parts_of(mail["content"])
        told = json.loads(gzip.decompress(report.get_payload(decode=True)))
        jsonschema.validate(told, SCHEMA)
        assert told["policies"] == before[domain]["policies"], (domain, told, before[domain])
        assert told["date-range"] == {"start-datetime": f"{day}T00:00:00Z", "end-datetime": f"{day}T23:59:59Z"}, told
        identity = told["report-id"]
        assert message["Subject"] == f"Report Domain: {domain} Submitter: news.example Report-ID: <{identity}>", message["Subject"]
        assert message["From"] == "tls-reports@news.example" and message["To"] == f"tls@{domain}" and message["TLS-Required"] == "No"
        assert message["TLS-Report-Domain"] == domain and message["TLS-Report-Submitter"] == "news.example"
        assert re.fullmatch(rf"news\.example!{re.escape(domain)}!{begin}!{begin + 86399}!([0-9a-zA-Z]+)\.json\.gz", report.get_filename()), report.get_filename()
        assert domain in words and str(day) in words, words
        ids.add(identity)
        path = world.folder / f"{domain}.eml"
        path.write_bytes(mail["content"].replace(b"\r\n..", b"\r\n."))
        paths.append(path)
    assert len(ids) == len(wanted), ids
    assert all(results == [True] for results in python3_dkim(world.knot.port, paths).values())
    assert not mail_of(world, "silent.plain.test") and not mail_of(world, "nowhere.plain.test")
    is_posted(world, before)


def is_posted(world, before):
    posts = {path: (headers, body) for path, headers, body in world.posts}
    headers, body = posts["/in?a=b"]
    assert headers["Content-Type"] == "application/tlsrpt+gzip" and headers["Host"] == f"reports.plain.test:{world.reports_port}", headers
    told = json.loads(gzip.decompress(body))
    jsonschema.validate(told, SCHEMA)
    assert told["policies"] == before["posted.plain.test"]["policies"], told
    (mail,) = mail_of(world, "posted.plain.test")
    assert json.loads(gzip.decompress(parts_of(mail["content"])[2].get_payload(decode=True))) == told
    said = world.said()
    assert re.search(r"TLS report of [-0-9]+ to posted\.plain\.test: taken by https://reports\.plain\.test", said), said
    assert re.search(r"TLS report of [-0-9]+ to good\.plain\.test: queued for mailto:tls@good\.plain\.test", said), said
    assert re.search(r"TLS report of [-0-9]+ to refused\.plain\.test: https://reports.*/refused: HTTP status 500; will be tried again", said), said


def tells_what_is_left_and_reports_nothing_twice(world):
    """The one that was refused is left; and reports are not reported on."""
    ((_, left),) = world.counted().items()
    assert set(left) == {"refused.plain.test"} and left["refused.plain.test"]["report"]["tries"] == 1, left
    world.posts.clear()
    for server in world.hosts.values():
        server.mails.clear()
    port = free_port()
    process = world.serve(f'[admin]\naddress = "127.0.0.1:{port}"\n')
    wait_for(lambda: world.posts, 60)
    (told,) = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/tls-reports", timeout=20))
    assert set(told["domains"]) == {"refused.plain.test"}, told
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20).read().decode()
    assert 'sluice_tls_reports_total{result="posted"} 0' in metrics and "sluice_tls_report_outcomes_lost_total 0" in metrics, metrics
    stop(process)
    assert [path for path, *_ in world.posts] == ["/refused"], world.posts
    assert not any(server.mails for server in world.hosts.values())
    # A day later nobody tries any more.
    (path,) = (world.folder / "spool/tlsrpt").glob("*.json")
    whole = json.loads(path.read_text())
    assert whole["domains"]["refused.plain.test"]["report"]["tries"] == 2
    whole["domains"]["refused.plain.test"]["report"]["first-try"] -= 86400
    path.write_text(json.dumps(whole))
    process = world.serve()
    wait_for(lambda: "given up" in world.said())
    stop(process)
    assert not world.counted(), world.counted()


def passes_over_what_something_broke(world):
    folder = world.folder / "spool/tlsrpt"
    today = datetime.datetime.now(datetime.timezone.utc).date()
    (folder / f"{today}.json").write_text('{"format":"sluice-tlsrpt 1","domains":{"x.test":7}}')
    (folder / ".new").write_text("{")
    process = world.serve()
    wait_for(lambda: f"{today}.json.damaged" in world.said())
    stop(process)
    assert (folder / f"{today}.json.damaged").exists()
    world.send(world.ON, ["good.plain.test"])
    assert totals(world.counted()[str(today)]["good.plain.test"]) == {"success": 1}


def loses_a_minute_at_most_when_it_is_killed(world):
    """What was written by an orderly stop is there after kill -9; so is what it counts later."""
    process = world.serve()
    wait_for(lambda: (world.folder / "spool/owner").read_text().strip() == str(process.pid))
    stop(process, signal.SIGKILL)
    world.send(world.ON, ["good.plain.test"])
    (found,) = world.counted().values()
    assert totals(found["good.plain.test"]) == {"success": 2}


def is_checked(world):
    def check(more):
        (world.folder / "c.toml").write_text(world.config(more))
        done = subprocess.run([SLUICE, "check", "--config", world.folder / "c.toml"], capture_output=True, text=True, timeout=20)
        return done.returncode, done.stdout + done.stderr

    assert check(world.ON)[0] == 0, check(world.ON)
    assert "tls_report.from: is missing" in check('[tls_report]\ncontact = "a@b.example"\n')[1]
    assert check('[tls_report]\nfrom = "tls"\n')[0] == 78
    code, said = check('[tls_report]\nfrom = "tls@other.example"\n')
    assert code == 78 and 'there is no [dkim."other.example"]' in said, (code, said)


def main():
    if os.getuid() != 0:
        print("not root: port 443 cannot be served")
        return
    with tempfile.TemporaryDirectory() as folder:
        world = World(pathlib.Path(folder))
        try:
            for case in (is_checked, counts_nothing_unless_told_to, counts_what_the_log_tells, goes_on_counting_after_a_restart, is_explained,
                         is_reported_when_its_day_is_over, tells_what_is_left_and_reports_nothing_twice, passes_over_what_something_broke,
                         loses_a_minute_at_most_when_it_is_killed):
                case(world)
                print(f"{case.__name__}: passed", flush=True)
        finally:
            world.stop()


if __name__ == "__main__":
    sys.exit(main())
