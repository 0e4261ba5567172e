#!/usr/bin/env python3
"""Messages of many megabytes through the relay: octet for octet, in memory that does not grow with them; a kill in the middle, and a full disk, leave nothing half."""
# timeout_s: 240
import os
import pathlib
import random
import signal
import smtplib
import subprocess
import sys
import tempfile
import threading
import time

from _relay import Relay, wait_for
from _sluice import SLUICE, Sink, log_records

MIB = 1024 * 1024
HEAD = "From: a@news.example\r\nTo: b@x.example\r\nSubject: {}\r\nMessage-ID: <{}@news.example>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n"


def message(name, octets):
    """Lines of all lengths, some of which begin with dots."""
    chance = random.Random(name)
    lines = [("." * chance.randrange(3) + "abcdefghij" * 99)[:chance.randrange(990)] for _ in range(500)]
    block = "\r\n".join(lines) + "\r\n"
    text = HEAD.format(name, name)
    return text + block * ((octets - len(text)) // len(block))


def sent_part(path):
    """What of a saved message the client sent."""
    octets = path.read_bytes()
    return octets[octets.index(b"\r\nFrom: a@") + 2:]


def peak_memory_mib(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) // 1024


def arrives_in_bounded_memory(folder, clients=4):
    got = folder / "got"
    got.mkdir()
    texts = [message(f"m{number}", 49 * MIB) for number in range(clients)]
    with Sink("--save", got) as sink, Relay(folder, sink.port) as relay:
        before = peak_memory_mib(relay.process)

        taken = []

        def submit(text):
            with relay.client() as client:
                assert int(client.ehlo()[1] and client.esmtp_features["size"]) == 50 * MIB, client.esmtp_features
                client.sendmail("a@news.example", ["b@x.example", "c@y.example"], text)
                taken.append(text)

        threads = [threading.Thread(target=submit, args=(text,)) for text in texts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == clients
        wait_for(lambda: sum(r["event"] == "delivered" for r in log_records(folder / "log")) == 2 * clients, 100)
        grown = peak_memory_mib(relay.process) - before
        wait_for(lambda: not list((folder / "spool" / "mail").iterdir()))
    saved = sorted(sent_part(path) for path in got.iterdir())
    assert len(saved) in (clients, 2 * clients) and set(saved) == {text.encode() for text in texts}, [len(s) for s in saved]
    accepted = [r for r in log_records(folder / "log") if r["event"] == "accepted"]
    assert len(accepted) == clients and all(r["bytes"] > 48 * MIB and r["recipients"] == 2 for r in accepted), accepted
    assert grown < 40, f"{grown} MiB more than before"
    print(f"{clients} messages of 49 MiB at a time: {grown} MiB of memory")


def refuses_what_is_larger_than_it_says(folder):
    with Sink() as sink, Relay(folder, sink.port, "message_bytes_max = 3000000\n") as relay, relay.client() as client:
        client.ehlo()
        assert client.mail("a@news.example", ["SIZE=3000001"])[0] == 552
        assert client.mail("a@news.example")[0] == 250 and client.rcpt("b@x.example")[0] == 250
        assert client.data(message("large", 4 * MIB))[0] == 552
        client.sendmail("a@news.example", ["b@x.example"], message("fits", 2 * MIB))
        wait_for(lambda: len(list((folder / "spool" / "mail").iterdir())) == 0)


def a_kill_leaves_what_was_acknowledged_and_nothing_else(folder):
    got = folder / "got"
    got.mkdir()
    text = message("whole", 5 * MIB)
    with Sink("--save", got) as sink:
        relay = Relay(folder, 1)  # nobody listens there: it waits
        relay.start()
        with relay.client() as client:
            client.sendmail("a@news.example", ["b@x.example"], text)
        client = relay.client()
        client.ehlo()
        client.mail("a@news.example")
        client.rcpt("b@x.example")
        assert client.docmd("DATA")[0] == 354
        client.send(message("half", 6 * MIB).replace("\r\n.", "\r\n.."))
        mail = folder / "spool" / "mail"
        wait_for(lambda: any(f.name.startswith(".incoming-") and f.stat().st_size > 4 * MIB for f in mail.iterdir()))
        relay.stop(signal.SIGKILL)
        config = folder / "c.toml"
        config.write_text(config.read_text().replace("127.0.0.1:1\"", f"127.0.0.1:{sink.port}\""))
        subprocess.run([SLUICE, "serve", "--config", config, "--until-empty", "--quiet"], check=True, timeout=60)
        assert not list(mail.iterdir()), list(mail.iterdir())
    assert [sent_part(path) for path in got.iterdir()] == [text.encode()]


def tells_the_sender_of_a_failure(folder):
    got = folder / "got"
    got.mkdir()
    with Sink("--save", got) as home, Sink("--fault", "final_dot:550 5.7.1 no") as sink, \
            Relay(folder, sink.port, f'[destination."news.example"]\nnext_hop = ["127.0.0.1:{home.port}"]\n') as relay:
        with relay.client() as client:
            client.sendmail("a@news.example", ["b@x.example"], message("fails", 3 * MIB), mail_options=["ENVID=e1", "RET=FULL"],
                            rcpt_options=["NOTIFY=FAILURE", "ORCPT=rfc822;old@x.example"])
        wait_for(lambda: list(got.iterdir()))
    notice = next(got.iterdir()).read_bytes()
    assert b"Original-Envelope-Id: e1" in notice and b"Original-Recipient: rfc822; old@x.example" in notice, notice[:2000]


def a_full_disk_is_not_now(folder):
    small = folder / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", small], check=True)
    try:
        with Sink() as sink, Relay(small, sink.port) as relay, relay.client() as client:
            try:
                client.sendmail("a@news.example", ["b@x.example"], message("large", 45 * MIB))
            except smtplib.SMTPDataError as refused:
                assert refused.smtp_code == 452, refused
            else:
                raise AssertionError("where did it put it?")
            wait_for(lambda: not list((small / "spool" / "mail").iterdir()))
            client.sendmail("a@news.example", ["b@x.example"], message("fits", 10 * MIB))
            wait_for(lambda: any(r["event"] == "delivered" for r in log_records(small / "log")))
        assert sink.result["messages"] == 1
    finally:
        subprocess.run(["umount", small], check=True)


def main():
    if os.geteuid() != 0 and "SLUICE_IN_NAMESPACE" not in os.environ:  # tmpfs needs root of somewhere
        os.execvpe("unshare", ["unshare", "--user", "--map-root-user", "--mount", sys.executable, *sys.argv], os.environ | {"SLUICE_IN_NAMESPACE": "1"})
    for case in (arrives_in_bounded_memory, refuses_what_is_larger_than_it_says, a_kill_leaves_what_was_acknowledged_and_nothing_else,
                 tells_the_sender_of_a_failure, a_full_disk_is_not_now):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            case(pathlib.Path(folder))
        print(f"{case.__name__}: passed in {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
