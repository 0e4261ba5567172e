#!/usr/bin/env python3
"""What senders are told: one notice for all recipients of a message that fail together, a delay once, at expiry a notice at once;
each delivered by the engine itself; nobody is told unless asked."""
# timeout_s: 90
import contextlib
import email
import pathlib
import sys
import tempfile

from _sluice import Sink, deliver, free_port, log_records

RECIPIENTS = [f"u{i}@d{i}.example" for i in range(3)]
CONFIG = """
[engine]
hostname = "mta.news.example"
spool = "{folder}/spool"
log = "{folder}/log"
[destination."*"]
next_hop = ["127.0.0.1:{port}"]
[destination."*".retry]
first = "500ms"
factor = 1.0
[destination."*".expire]
normal = "6s"
warn = "2s"
[destination."news.example"]
next_hop = ["127.0.0.1:{sender_port}"]
"""


def send(folder, *options, fault=None):
    """Exit code, log records and the messages that the sender got."""
    path = pathlib.Path(folder)
    (path / "got").mkdir()
    with contextlib.ExitStack() as sinks:
        sender_port = sinks.enter_context(Sink("--save", path / "got")).port
        port = sinks.enter_context(Sink("--fault", fault)).port if fault else free_port()
        done = deliver(path, CONFIG.format(folder=folder, port=port, sender_port=sender_port),
                       "From: a@news.example\nSubject: The news\n\nHello {{email}}\n",
                       "email\n" + "".join(f"{r}\n" for r in RECIPIENTS), "b@news.example", *options)
    return done.returncode, log_records(path / "log"), [email.message_from_bytes(f.read_bytes())
                                                        for f in sorted((path / "got").iterdir())]


def reported(notice):
    """{recipient: (action, status)} of a notice."""
    report = next(part for part in notice.walk() if part.get_content_type() == "message/delivery-status")
    return {block["Final-Recipient"].split(";")[1].strip(): (block["Action"], block["Status"]) for block in report.get_payload()
            if block["Final-Recipient"]}


def main():
    with tempfile.TemporaryDirectory() as folder:
        code, records, notices = send(folder, "--notices", "sender", fault="rcpt:550 5.1.1 no such user")
        assert code == 1, code
        notice, = notices
        assert reported(notice) == {r: ("failed", "5.1.1") for r in RECIPIENTS}, reported(notice)
        assert notice["Return-Path"] == "<>" and notice["To"] == "b@news.example" and notice["Auto-Submitted"] == "auto-replied"
        assert "no such user" in notice.get_payload()[0].get_payload() and "The news" in notice.as_string()
    with tempfile.TemporaryDirectory() as folder:
        code, records, notices = send(folder, "--notices", "sender")  # nobody listens
        assert code == 1, code
        delay, failure = notices
        assert reported(delay) == {r: ("delayed", "4.4.1") for r in RECIPIENTS}, reported(delay)
        assert set(reported(failure)) == set(RECIPIENTS) and all(a == "failed" for a, _ in reported(failure).values())
        assert "connect: connect:" not in failure.as_string(), failure.as_string()
        for recipient in RECIPIENTS:
            events = [r["event"] for r in records if r.get("recipient") == recipient]
            assert events.count("delayed") == 1 and events[-1] == "expired", events
            expired = next(r for r in records if r.get("recipient") == recipient and r["event"] == "expired")
            assert expired["reason"] == "connect: connection refused", expired
    with tempfile.TemporaryDirectory() as folder:
        code, records, notices = send(folder, fault="rcpt:550 5.1.1 no such user")
        assert code == 1 and not notices, (code, notices)
    print("ok: failures together, a delay once, expiry at once, silence unless asked")


if __name__ == "__main__":
    sys.exit(main())
