"""Mailman 3 of Debian's package, in a root of its own made by debootstrap: it sends the postings of a list through the relay, and hears of
those who do not get them."""
import contextlib
import email
import email.policy
import os
import re
import smtplib
import sqlite3
import subprocess
import sys
import time

from _relay import wait_for
from _sluice import Sink, free_port, root
from _station import split_envelope

sys.path.append(str(root / "bench" / "versus" / "harness"))
import roots  # noqa: E402

LIST, GONE = "ann@lists.example", "gone@bad.example"
MEMBERS = [f"u{number}@x{number % 3}.example" for number in range(50)]
USER = 38  # "list", in every Debian
POSTING = ("From: u0@x0.example\r\nTo: ann@lists.example\r\nSubject: Grüße {0}\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{0}@x0.example>\r\n"
           "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße aus Köln\r\n.\r\n..dots\r\n")


class Mailman:
    """Its state is in `folder`, which it sees as /mnt."""

    def __init__(self, folder, smtp_port, verp):
        self.folder, self.lmtp_port = folder, free_port()
        folder.mkdir(exist_ok=True)
        os.chown(folder, USER, USER)
        (folder / "mailman.cfg").write_text(
            "[mailman]\nsite_owner: postmaster@lists.example\nlayout: here\n[paths.here]\nvar_dir: /mnt/var\nbin_dir: /usr/lib/mailman3/bin\nlog_dir: /mnt/log\n"
            f"etc_dir: /mnt\n[mta]\nincoming: mailman.mta.null.NullMTA\nsmtp_host: 127.0.0.1\nsmtp_port: {smtp_port}\nlmtp_host: 127.0.0.1\n"
            f"lmtp_port: {self.lmtp_port}\nverp_delivery_interval: {verp:d}\n[runner.bounces]\nsleep_time: 1s\n" +
            "".join(f"[runner.{name}]\nstart: no\n" for name in ("archive", "digest", "nntp", "rest")))

    def inside(self, *command):
        """The command line that runs `command` in the root, without anything outside of `folder` to write to."""
        tree = roots.debian_root("mailman", "mailman3", "dbconfig-no-thanks")
        enter = 'mount --bind "$0" "$1/mnt" && mount -t proc proc "$1/proc" && root=$1 && shift && exec chroot "$root" setpriv --reuid list --regid list ' \
                '--clear-groups --pdeathsig KILL env -i PATH=/usr/bin:/bin HOME=/mnt LC_ALL=C.UTF-8 "$@"'
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", enter, self.folder, tree, *command]

    def manage(self, *words):
        subprocess.run(self.inside("mailman", "--config", "/mnt/mailman.cfg", *words), check=True, stdout=subprocess.DEVNULL, timeout=60)

    @contextlib.contextmanager
    def started(self):
        with open(self.folder / "output", "ab") as output:
            master = subprocess.Popen(self.inside("/usr/lib/mailman3/bin/master", "--config", "/mnt/mailman.cfg", "--force"), stdout=output, stderr=output)
        try:
            wait_for(self.listens, 60)
            yield self
        finally:
            master.kill()  # unshare does not hear SIGTERM
            master.wait(timeout=20)

    def listens(self):
        with contextlib.suppress(OSError, smtplib.SMTPException), smtplib.LMTP("127.0.0.1", self.lmtp_port, timeout=10):
            return True

    def hand_over(self, sender, recipient, octets):
        with smtplib.LMTP("127.0.0.1", self.lmtp_port, timeout=20) as client:
            client.sendmail(sender, [recipient], octets)

    def bounces(self):
        """The addresses that it took notices for."""
        database = sqlite3.connect(self.folder / "var" / "data" / "mailman.db")
        with contextlib.closing(database):
            return [address for address, in database.execute("select email from bounceevent order by id")]


def mailman(station):
    home = station.folder / "home"
    home.mkdir()
    with Sink("--save", home) as incoming, Sink("--fault", "rcpt:550 5.1.1 no such user") as refusing:
        station.configure(f'[destination."lists.example"]\nnext_hop = ["127.0.0.1:{incoming.port}"]\n'
                          f'[destination."bad.example"]\nnext_hop = ["127.0.0.1:{refusing.port}"]\n')
        for verp in (False, True):
            server = Mailman(station.folder / "mailman", station.port, verp)
            if not verp:
                (server.folder / "members").write_text("".join(f"{member}\n" for member in [*MEMBERS, GONE]))
                server.manage("create", "--domain", LIST)
                server.manage("addmembers", "--no-welcome-msg", "/mnt/members", LIST)
            with server.started():
                posting = POSTING.format(int(verp))
                server.hand_over("u0@x0.example", LIST, posting.encode())
                taken = station.take(len(MEMBERS), 60)
                check_postings(taken, verp)
                check_notice(server, home, verp)
        print(f"mailman: {len(MEMBERS)} members got each posting once; {GONE} bounced")


def check_postings(taken, verp):
    assert set(taken) == set(MEMBERS), set(MEMBERS) - set(taken)
    for recipient, (sender, octets) in taken.items():
        posting = email.message_from_bytes(octets, policy=email.policy.default)
        assert posting["Message-ID"] == f"<{verp:d}@x0.example>" and posting["List-Id"] == "<ann.lists.example>", posting.items()
        assert posting["Subject"].split() == ["[Ann]", "Grüße", f"{verp:d}"], posting["Subject"]
        assert posting.get_content().splitlines()[:3] == ["Grüße aus Köln", ".", "..dots"], posting.get_content()
        assert sender == (f"ann-bounces+{recipient.replace('@', '=')}@lists.example" if verp else "ann-bounces@lists.example"), sender


def check_notice(server, home, verp):
    """One notice (RFC 3464) comes to the list's bounce address, and Mailman knows of whom it tells."""
    wait_for(lambda: list(home.glob("[!.]*")))
    time.sleep(0.2)
    saved, = home.glob("[!.]*")
    sender, (bounces,), octets = split_envelope(saved.read_bytes())
    saved.unlink()
    notice = email.message_from_bytes(octets, policy=email.policy.default)
    status = next(part for part in notice.walk() if part.get_content_type() == "message/delivery-status").get_payload()[1]
    assert sender == "" and notice.get_content_type() == "multipart/report" and notice["To"].addresses[0].addr_spec == bounces, notice.items()
    assert status["Final-Recipient"] == f"rfc822; {GONE}" and status["Action"] == "failed" and status["Status"] == "5.1.1", status.items()
    assert re.fullmatch(r"ann-bounces\+gone=bad\.example@lists\.example" if verp else r"ann-bounces@lists\.example", bounces), bounces
    server.hand_over(sender, bounces, octets)
    wait_for(lambda: server.bounces() == [GONE] * (1 + verp), 60)
