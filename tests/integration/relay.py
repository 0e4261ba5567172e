#!/usr/bin/env python3
"""The relay: what clients submit by SMTP is on the disk when they are told 250, and arrives, octet for octet, with a Received field;
only those who may are relayed for; a restart and a kill lose nothing."""
# timeout_s: 120
import contextlib
import email
import json
import pathlib
import signal
import smtplib
import subprocess
import tempfile
import threading
import time

from _relay import Relay, wait_for
from _sluice import SLUICE, Sink, log_records


def arrives_as_it_was_sent(folder):
    got = folder / "got"
    got.mkdir()
    text = "From: a@news.example\r\nTo: b@x.example\r\nSubject: one\r\nMessage-ID: <1@news.example>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n" \
           ".dots\r\n..two\r\n\r\nend\r\n"
    with Sink("--save", got) as sink, Relay(folder, sink.port) as relay:
        with relay.client() as client:
            client.sendmail("a@news.example", ["b@x.example", "c@x.example", "d@y.example"], text)
        wait_for(lambda: len(list(got.iterdir())) >= 1 and sum(r["event"] == "delivered" for r in log_records(folder / "log")) == 3)
        saved = [f.read_bytes() for f in got.iterdir()]
    for octets in saved:
        envelope, _, message = octets.partition(b"Received: ")
        received, _, sent = message.partition(b"\r\nFrom: ")
        assert b"Return-Path: <a@news.example>" in envelope and b"From: " + sent == text.encode(), octets
        assert received.startswith(b"from ") and b"by relay.example with ESMTP id " in received, octets
    records = log_records(folder / "log")
    accepted, = (r for r in records if r["event"] == "accepted")
    assert accepted["sender"] == "a@news.example" and accepted["message_id"] == "<1@news.example>" and accepted["recipients"] == 3, accepted
    assert {r["recipient"] for r in records if r["event"] == "delivered"} == {"b@x.example", "c@x.example", "d@y.example"}
    # Nothing is left of what is done, once the segment is closed.
    subprocess.run([SLUICE, "serve", "--config", folder / "c.toml", "--until-empty", "--quiet"], check=True, timeout=20)
    assert not list((folder / "spool" / "mail").iterdir()), list((folder / "spool" / "mail").iterdir())


def relays_for_those_allowed_only(folder):
    with Sink() as sink, Relay(folder, sink.port, 'allow = ["10.0.0.0/8"]\n') as relay, relay.client() as client:
        try:
            client.sendmail("a@news.example", ["b@x.example"], "Subject: no\r\n\r\nno\r\n")
        except smtplib.SMTPRecipientsRefused as refused:
            assert refused.recipients["b@x.example"][0] == 550, refused.recipients
        else:
            raise AssertionError("it relays for anybody")
    assert sink.result["messages"] == 0


def tells_the_sender_of_a_failure(folder):
    got = folder / "got"
    got.mkdir()
    with Sink("--save", got) as home, Sink("--fault", "rcpt:550 5.1.1 no such user") as sink, \
            Relay(folder, sink.port, f'[destination."news.example"]\nnext_hop = ["127.0.0.1:{home.port}"]\n') as relay:
        with relay.client() as client:
            client.sendmail("a@news.example", ["b@x.example"], "Subject: hello\r\n\r\nhello\r\n", mail_options=["ENVID=e1", "RET=HDRS"],
                            rcpt_options=["NOTIFY=FAILURE", "ORCPT=rfc822;old+2Bone@x.example"])
        wait_for(lambda: list(got.iterdir()))
    notice = email.message_from_bytes(next(got.iterdir()).read_bytes())
    report = next(part for part in notice.walk() if part.get_content_type() == "message/delivery-status")
    of_message, of_recipient = report.get_payload()[:2]
    assert of_message["Original-Envelope-Id"] == "e1" and of_recipient["Original-Recipient"] == "rfc822; old+one@x.example", (of_message, of_recipient)
    assert of_recipient["Action"] == "failed" and of_recipient["Status"] == "5.1.1"


def a_kill_under_load_loses_nothing(folder, kills=5):
    acknowledged, stop = [], threading.Event()

    def submit(relay, name):
        number = 0
        while not stop.is_set():
            with contextlib.suppress(OSError, smtplib.SMTPException), relay.client() as client:
                while not stop.is_set():
                    number += 1
                    recipient = f"u{name}-{number}@d{number % 7}.example"
                    client.sendmail("a@news.example", [recipient], f"Subject: {number}\r\nMessage-ID: <{name}.{number}@x.example>\r\n\r\n" + "text\r\n" * 50)
                    acknowledged.append(recipient)
            time.sleep(0.01)

    got = folder / "got"
    got.mkdir()
    with Sink("--save", got) as sink:
        relay = Relay(folder, sink.port)
        relay.start()
        threads = [threading.Thread(target=submit, args=(relay, name)) for name in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(kills):
            time.sleep(0.7)
            relay.stop(signal.SIGKILL)
            relay.start()
        time.sleep(0.5)
        stop.set()
        for thread in threads:
            thread.join()
        relay.stop()
        subprocess.run([SLUICE, "serve", "--config", folder / "c.toml", "--until-empty", "--quiet"], check=True, timeout=60)
        delivered = set()
        for file in got.iterdir():
            delivered.update(line.split(b":", 1)[1].strip(b" <>").decode() for line in file.read_bytes().split(b"\r\n", 8)
                             if line.startswith(b"Delivered-To:"))
    missing = set(acknowledged) - delivered
    assert len(acknowledged) > 100 and not missing, (len(acknowledged), sorted(missing)[:5])
    print(f"{kills} kills, {len(acknowledged)} messages acknowledged, all delivered; {sink.result['duplicates']} twice")


def stops_within_ten_seconds_of_a_client_that_stays_in_data(folder):
    with Sink() as sink, Relay(folder, sink.port) as relay, contextlib.ExitStack() as open_still:
        for _ in range(4):  # on several shards
            client = open_still.enter_context(contextlib.closing(relay.client()))
            client.ehlo()
            client.mail("a@news.example")
            client.rcpt("b@x.example")
            assert client.docmd("DATA")[0] == 354
        begun = time.monotonic()
        relay.stop()
        assert time.monotonic() - begun < 12, time.monotonic() - begun


def main():
    for case in (arrives_as_it_was_sent, relays_for_those_allowed_only, tells_the_sender_of_a_failure, a_kill_under_load_loses_nothing,
                 stops_within_ten_seconds_of_a_client_that_stays_in_data):
        with tempfile.TemporaryDirectory() as folder:
            case(pathlib.Path(folder))
        print(f"{case.__name__}: passed", flush=True)


if __name__ == "__main__":
    main()
