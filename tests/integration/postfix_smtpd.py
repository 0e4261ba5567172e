#!/usr/bin/env python3
"""Postfix's smtpd as the receiver of one message to many: recipients it does not know, greylists, or wants in another
transaction; messages that are too large. What the log says of each recipient is what Postfix has in its mailbox."""
# timeout_s: 240
import collections
import email
import os
import pathlib
import re
import socketserver
import sys
import tempfile
import threading

from _postfix import Postfix
from _sluice import deliver, log_records

HEADER = "From: News <news@sender.example>\nTo: readers:;\nMessage-ID: <47@sender.example>\nSubject: To all\n"
BODY = "Grüße aus Köln, and a line\n.with a dot\n" + "Nothing new at all. " * 3 + "\n"
MESSAGE = HEADER + "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" + BODY


class Greylist(socketserver.ThreadingTCPServer):
    """Postfix's policy protocol: tells some recipients to come again, once."""
    daemon_threads = allow_reuse_address = True

    def __init__(self, busy):
        super().__init__(("127.0.0.1", 0), Greylist.Handler)
        self.busy, self.lock = set(busy), threading.Lock()
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            request = {}
            for line in self.rfile:
                name, _, value = line.decode().rstrip("\n").partition("=")
                if name:
                    request[name] = value
                    continue
                with self.server.lock:
                    is_busy = request["recipient"] in self.server.busy
                    self.server.busy.discard(request["recipient"])
                self.wfile.write(b"action=" + (b"450 4.2.1 come again" if is_busy else b"DUNNO") + b"\n\n")
                request = {}


def deliver_to(postfix, folder, recipients, message=MESSAGE):
    """Exit code, and the log's records by recipient."""
    config = (f'[engine]\nhostname = "mta.sender.example"\nspool = "{folder}/spool"\nlog = "{folder}/log"\n'
              f'[destination."*"]\nnext_hop = ["127.0.0.1:{postfix.port}"]\n'
              '[destination."*".retry]\nfirst = "1s"\nfactor = 1.0\n')
    path = pathlib.Path(folder)
    done = deliver(path, config, message, "email\n" + "".join(f"{r}\n" for r in recipients), "news@sender.example", timeout_s=150)
    assert done.returncode in (0, 1), (done.returncode, done.stderr)
    records = collections.defaultdict(list)
    for record in log_records(path / "log"):
        if record["event"] != "accepted":
            records[record["recipient"]].append(record)
    return done.returncode, records


def check_mailboxes(postfix, records):
    """Delivered is who has it, once; returns them."""
    postfix.settle()
    mailboxes = postfix.mailboxes()
    delivered = {r.partition("@")[0] for r, lines in records.items() if lines[-1]["event"] == "delivered"}
    assert delivered == mailboxes.keys(), (delivered - mailboxes.keys(), mailboxes.keys() - delivered)
    again = {user: len(files) for user, files in mailboxes.items() if len(files) != 1}
    assert not again, again
    for user, (file,) in mailboxes.items():
        received = email.message_from_bytes(file.read_bytes())
        assert received["Delivered-To"] == f"{user}@d.example", received["Delivered-To"]
        assert received.get_payload(decode=True).decode() == BODY, user
        assert received["To"] == "readers:;" and received["Message-ID"] == "<47@sender.example>", received.items()
        # Nobody is told of the others. (Postfix itself adds Delivered-To and X-Original-To for this one.)
        others = set(re.findall(r"[\w.]+@d\.example", file.read_text())) - {f"{user}@d.example"}
        assert not others, others
    return delivered


def try_many(count, **parameters):
    users = [f"u{i}" for i in range(count)]
    unknown, busy = {u for i, u in enumerate(users) if i % 25 == 7}, {u for i, u in enumerate(users) if i % 10 == 3}
    limit = 30
    greylist = Greylist(f"{u}@d.example" for u in busy)
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as folder:
        postfix = Postfix(home, "d.example", [u for u in users if u not in unknown], policy=greylist.port,
                          smtpd_recipient_limit=limit, smtpd_error_sleep_time="0", **parameters)
        try:
            code, records = deliver_to(postfix, folder, [f"{u}@d.example" for u in users])
            delivered = check_mailboxes(postfix, records)
            log = postfix.log()
        finally:
            postfix.stop()
    greylist.shutdown()
    assert code == 1 and delivered == set(users) - unknown, set(users) - unknown - delivered
    for recipient, lines in records.items():
        user = recipient.partition("@")[0]
        assert [line["attempt"] for line in lines] == list(range(1, len(lines) + 1)), lines
        # It takes so many at once, and that is nobody's failure.
        assert all(line.get("code") != 452 for line in lines), lines
        if user in unknown:
            assert (lines[-1]["code"], lines[-1]["enhanced"], lines[-1]["phase"]) == (550, "5.1.1", "rcpt"), lines
        if user in busy:
            assert len(lines) > 1 and any((line["code"], line["phase"]) == (450, "rcpt") for line in lines[:-1]), lines
        # Postfix closes on a client with 20 errors: with 421, which counts for whom it was said to.
        if user not in busy:
            assert all(line["code"] == 421 for line in lines[:-1]), lines
    copies = [int(n) for n in re.findall(r"nrcpt=(\d+) \(queue active\)", log)]
    assert sum(copies) == len(delivered) and max(copies) <= limit, copies
    assert len(copies) < len(delivered) / 2, "one copy for many"
    print(f"{count} recipients, {parameters or 'as it is'}: {len(delivered)} delivered once each in {len(copies)} copies, "
          f"{len(unknown)} unknown, {len(busy)} greylisted")


def try_too_large(discards_size):
    """Known from EHLO, or told when it is too late: for all recipients, and at once."""
    parameters = {"smtpd_discard_ehlo_keywords": "size"} if discards_size else {}
    users = [f"u{i}" for i in range(20)]
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as folder:
        postfix = Postfix(home, "d.example", users, message_size_limit="20000", **parameters)
        try:
            code, records = deliver_to(postfix, folder, [f"{u}@d.example" for u in users],
                                       MESSAGE + "A line of many that are too many.\n" * 2000)
            delivered = check_mailboxes(postfix, records)
        finally:
            postfix.stop()
    assert code == 1 and not delivered, (code, delivered)
    for lines in records.values():
        assert [line["event"] for line in lines] == ["failed"] and lines[0]["enhanced"] == "5.3.4", lines
        if discards_size:
            assert lines[0]["code"] == 552 and lines[0]["phase"] in ("block", "final_dot"), lines
        else:
            assert lines[0]["reason"] == "mail: message is larger than the server's SIZE limit", lines
    print("too large:", "552 to the content" if discards_size else "known from EHLO", "for all of", len(records))


def main():
    if os.geteuid() != 0:  # Postfix's master starts its daemons as others
        os.execvp("sudo", ["sudo", "--preserve-env=HOME,SLUICE,XDG_CACHE_HOME", sys.executable, __file__])
    try_many(1000)
    try_many(200, smtpd_discard_ehlo_keywords="pipelining")
    try_too_large(False)
    try_too_large(True)


if __name__ == "__main__":
    sys.exit(main())
