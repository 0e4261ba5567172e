#!/usr/bin/env python3
"""`sluice sendmail` as programs call sendmail(1): what arrives, from whom and for whom, with the engine up or down; and its exit codes."""
import email
import email.policy
import pathlib
import signal
import subprocess
import tempfile
import time

from _sluice import SLUICE, Sink, log_records

CONFIG = """
[engine]
hostname = "mta.news.example"
spool = "{folder}/spool"
log = "{folder}/log"
shards = 1

[destination."*"]
next_hop = ["127.0.0.1:{port}"]
"""


class Place:
    """A spool, a sink that it leads to and saves what comes."""

    def __init__(self, folder, *sink_options):
        self.folder = folder
        self.saved = folder / "saved"
        self.saved.mkdir()
        self.sink = Sink("--save", self.saved, *sink_options)
        self.config = folder / "c.toml"
        self.config.write_text(CONFIG.format(folder=folder, port=self.sink.port))

    def sendmail(self, *arguments, message="", program=(SLUICE, "sendmail"), **more):
        octets = message if isinstance(message, bytes) else message.encode()
        return subprocess.run([*program, "--config", self.config, *arguments], input=octets, capture_output=True,
                              timeout=30, **more)

    def sent(self, *arguments, **more):
        result = self.sendmail(*arguments, **more)
        assert result.returncode == 0, (result.returncode, result.stderr)
        assert not result.stdout and not result.stderr, (result.stdout, result.stderr)

    def refused(self, code, words, *arguments, **more):
        result = self.sendmail(*arguments, **more)
        text = result.stderr.decode()
        assert result.returncode == code, (result.returncode, text)
        assert words in text and text.startswith("sluice sendmail: "), text
        campaigns = self.folder / "spool" / "campaigns"
        assert not campaigns.exists() or not list(campaigns.iterdir())

    def delivered(self):
        """What the sink got since the last call, after the engine came and went: (sender, recipient, octets)."""
        result = subprocess.run([SLUICE, "serve", "--config", self.config, "--until-empty", "--quiet"], timeout=60)
        assert result.returncode == 0
        return self.taken()

    def taken(self):
        mails = []
        for path in self.saved.glob("[!.]*"):  # a dot: being written
            envelope, octets = path.read_bytes().split(b"\r\n", 1)
            sender = envelope.decode().removeprefix("Return-Path: ")
            recipients = []
            while octets.startswith(b"Delivered-To: "):
                recipient, octets = octets.split(b"\r\n", 1)
                recipients.append(recipient.decode().removeprefix("Delivered-To: "))
            mails += [(sender, recipient, octets) for recipient in recipients]
            path.unlink()
        return sorted(mails)


def check_envelope_and_header(place):
    message = ("To: Ann <ann@a.example>, \"Bob, B\" <bob@b.example>\nBcc: carl@c.example\nSubject: {{not a tag}}\n"
               "Content-Type: text/plain; charset=utf-8\n\nGrüße {{name}}\n..two\n.\nthe end\n")
    place.sent("-t", "-i", "-f", "list@news.example", "dora", message=message)
    mails = place.delivered()
    assert [(sender, to) for sender, to, _ in mails] == [
        ("<list@news.example>", to) for to in ("ann@a.example", "bob@b.example", "carl@c.example",
                                               "dora@mta.news.example")], mails
    contents = {octets for _, _, octets in mails}
    assert len(contents) == 1, contents
    parsed = email.message_from_bytes(contents.pop(), policy=email.policy.SMTPUTF8)
    assert parsed["Bcc"] is None and parsed["Subject"] == "{{not a tag}}" and parsed["Date"].datetime
    assert parsed["From"].addresses[0].addr_spec == "list@news.example"
    assert parsed["Message-ID"].endswith("@mta.news.example>")
    assert parsed.get_content().splitlines() == ["Grüße {{name}}", "..two", ".", "the end"], parsed.get_content()
    delivered = [r for r in log_records(place.folder / "log") if r["event"] == "delivered"]
    assert {r["message_id"] for r in delivered} == {str(parsed["Message-ID"])}


def check_as_it_is(place):
    octets = (b"From: a@a.example\r\nDate: Sun, 22 Nov 2026 06:05:26 +0000\r\nMessage-Id: <1@a.example>\r\n"
              b"X-Odd:   spaced   \r\n\tfolded\r\n\r\n.leading dot\r\n\r\n \xff\xfe trailing \r\n")
    place.sent("-i", "--", "ann@a.example", message=octets)
    place.sent("-oi", "--", "ann@a.example", message=octets.replace(b"\r\n", b"\n"))
    assert [content for _, _, content in place.delivered()] == [octets, octets]


def check_lone_dot(place):
    message = "Subject: x\n\nfirst\n.\nsecond\n"
    place.sent("ann@a.example", message=message)
    place.sent("-i", "ann@a.example", message=message)
    bodies = sorted(content.split(b"\r\n\r\n", 1)[1] for _, _, content in place.delivered())
    assert bodies == [b"first\r\n", b"first\r\n.\r\nsecond\r\n"], bodies


def check_senders(place):
    place.sent("-f", "<>", "ann@a.example", message="Subject: x\n\n")
    place.sent("-f", "", "ann@a.example", message="Subject: x\n\n")
    place.sent("-r", "Clerk <clerk>", "ann@a.example", message="Subject: x\n\n")
    senders = [sender for sender, _, _ in place.delivered()]
    assert senders == ["<>", "<>", "<clerk@mta.news.example>"], senders
    place.sent("-F", "Jörg Clerk", "ann@a.example", message="plain text without a header\n")
    [(sender, _, content)] = place.delivered()
    parsed = email.message_from_bytes(content, policy=email.policy.SMTPUTF8)
    assert parsed["From"].addresses[0].display_name == "Jörg Clerk" and sender.endswith("@mta.news.example>")
    assert content.endswith(b"\r\n\r\nplain text without a header\r\n")


def check_called_by_its_name(place):
    link = place.folder / "sendmail"
    link.symlink_to(SLUICE)
    place.sent("-oi", "-oem", "-B8BITMIME", "ann@a.example", message="Subject: x\n\n", program=[link])
    assert len(place.delivered()) == 1
    assert subprocess.run([link, "-q"]).returncode == 0


def check_nothing_is_left_behind(place):
    campaigns = place.folder / "spool" / "campaigns"
    assert not list(campaigns.iterdir()), list(campaigns.iterdir())


def check_refusals(place):
    place.refused(64, "no recipients", message="Subject: x\n\n")
    place.refused(64, "no recipients", "-t", message="Subject: x\n\n")
    place.refused(64, "'a b@a.example' is not an address", "a b@a.example", message="x\n")
    place.refused(64, "'ann@no_host' is not an address", "bob@b.example", "ann@no_host", message="x\n")
    place.refused(64, "-f", "-f", "a@a.example, b@b.example", "bob@b.example", message="x\n")
    place.refused(65, "line 2: To: blanks in an address", "-t", message="Subject: x\nTo: Ann Smith\n\n")
    place.refused(65, "'ann@-a.example' is not an address", "-t", message="To: <ann@-a.example>\n\n")
    place.refused(64, "-z", "-z", message="x\n")
    result = subprocess.run([SLUICE, "sendmail", "--config", "/nonexistent.toml", "a@a.example"], input=b"x\n",
                            capture_output=True)
    assert result.returncode == 78, result


def check_running_engine(place):
    """The engine is up: it takes the mail within a moment."""
    with subprocess.Popen([SLUICE, "serve", "--config", place.config, "--quiet"]) as engine:
        try:
            place.sent("warm-up@a.example", message="x\n")
            until = time.monotonic() + 20
            while not (mails := place.taken()):
                assert time.monotonic() < until
                time.sleep(0.05)
            began = time.monotonic()
            place.sent("ann@a.example", message="Subject: now\n\n")
            while not (mails := place.taken()):
                assert time.monotonic() < began + 20
                time.sleep(0.01)
            assert b"Subject: now" in mails[0][2]
        finally:
            engine.send_signal(signal.SIGTERM)
            assert engine.wait(timeout=20) == 0


def check_dialogue(place):
    """-bs: SMTP on a pipe, pipelined or not, two messages and one that is never whole."""
    dialogue = ("EHLO here.example\r\nMAIL FROM:<ann@a.example>\r\nRCPT TO:<bob@b.example>\r\nRCPT TO:<cid@c.example>\r\nDATA\r\n"
                "Subject: one\r\nBcc: secret@d.example\r\n\r\n..dot\r\nend\r\n.\r\n"
                "RCPT TO:<nobody@b.example>\r\nMAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nDATA\r\nSubject: two\r\n\r\ntwo\r\n.\r\n"
                "MAIL FROM:<ann@a.example>\r\nRCPT TO:<bob@b.example>\r\nDATA\r\nSubject: half\r\n")
    result = place.sendmail("-bs", message=dialogue)
    codes = [line[:3] for line in result.stdout.decode().splitlines() if line[3:4] == " "]
    assert result.returncode == 0 and codes == "220 250 250 250 250 354 250 503 250 250 354 250 250 250 354".split(), (codes, result.stdout)
    mails = place.delivered()
    assert sorted(recipient for _, recipient, _ in mails) == ["bob@b.example", "cid@c.example", "postmaster@mta.news.example"], mails
    one = next(octets for _, recipient, octets in mails if recipient == "bob@b.example")
    assert b"\r\n.dot\r\nend\r\n" in one and b"secret" not in one and b"Message-ID:" in one and b"From:" in one, one
    assert place.sendmail("-bs", message="QUIT\r\n").returncode == 0


def check_notices(folder):
    """A recipient that is refused: the sender is told, unless she said never."""
    place = Place(folder, "--fault", "rcpt:550 5.1.1 nobody")
    with place.sink:
        place.sent("-N", "never", "-f", "ann@a.example", "bob@b.example", message="x\n")
        place.sent("-f", "ann@a.example", "bob@b.example", message="x\n")
        place.delivered()
    records = log_records(place.folder / "log")
    failed = [(r["sender"], r["recipient"]) for r in records if r["event"] == "failed"]
    assert failed.count(("ann@a.example", "bob@b.example")) == 2, failed
    assert failed.count(("", "ann@a.example")) == 1, failed


def main():
    with tempfile.TemporaryDirectory() as name:
        place = Place(pathlib.Path(name))
        with place.sink:
            for check in (check_refusals, check_envelope_and_header, check_as_it_is, check_lone_dot, check_senders,
                          check_called_by_its_name, check_dialogue, check_nothing_is_left_behind, check_running_engine):
                check(place)
    with tempfile.TemporaryDirectory() as name:
        check_notices(pathlib.Path(name))


if __name__ == "__main__":
    main()
