#!/usr/bin/env python3
"""A relay whose disk is full for a while (`--seconds N`): what comes meanwhile is put off with 452, what was acknowledged is delivered, and mail is
taken again by itself once there is room."""
# timeout_s: 180
import argparse
import contextlib
import os
import pathlib
import smtplib
import subprocess
import sys
import tempfile
import threading
import time

from _relay import Relay, wait_for
from _sluice import SLUICE, Sink


class Crowd:
    """Clients that submit a message each tenth of a second."""

    def __init__(self, relay, clients=8):
        self.relay, self.acknowledged, self.put_off, self.stop = relay, [], [], threading.Event()
        self.threads = [threading.Thread(target=self.submit, args=(name,)) for name in range(clients)]
        for thread in self.threads:
            thread.start()

    def submit(self, name):
        number = 0
        while not self.stop.wait(0.1):
            number += 1
            recipient = f"u{name}-{number}@d{number % 5}.example"
            try:
                with self.relay.client() as client:
                    client.sendmail("a@news.example", [recipient], f"Subject: {number}\r\nMessage-ID: <{name}.{number}@x.example>\r\n\r\n" + "text\r\n" * 20000)
                self.acknowledged.append((time.monotonic(), recipient))
            except smtplib.SMTPResponseException as refused:
                self.put_off.append((time.monotonic(), refused.smtp_code, refused.smtp_error))
            except smtplib.SMTPRecipientsRefused as refused:
                self.put_off.extend((time.monotonic(), *reply) for reply in refused.recipients.values())

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def fill(disk):
    with contextlib.suppress(OSError), open(disk / "filler", "wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=5)
    seconds = options.parse_args().seconds
    if os.geteuid() != 0 and "SLUICE_IN_NAMESPACE" not in os.environ:  # a tmpfs needs root of somewhere
        os.environ["SLUICE_IN_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--user", "--map-root-user", "--mount", sys.executable, *sys.argv])
    with tempfile.TemporaryDirectory() as name:
        folder, disk, got = pathlib.Path(name), pathlib.Path(name) / "disk", pathlib.Path(name) / "got"
        disk.mkdir()
        got.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], check=True)
        try:
            (disk / "spool").mkdir()
            (folder / "spool").symlink_to(disk / "spool")
            with Sink("--save", got) as sink, Relay(folder, sink.port) as relay:
                crowd = Crowd(relay)
                wait_for(lambda: len(crowd.acknowledged) > 50)
                full = time.monotonic()
                while time.monotonic() < full + seconds:  # as mail goes there is room again
                    fill(disk)
                    time.sleep(0.2)
                while_full = [code for moment, code, _ in crowd.put_off if moment > full]
                (disk / "filler").unlink()
                room = time.monotonic()
                wait_for(lambda: any(moment > room for moment, _ in crowd.acknowledged), 10)
                healed = min(moment for moment, _ in crowd.acknowledged if moment > room) - room
                time.sleep(1)
                crowd.end()
                acknowledged = {recipient for _, recipient in crowd.acknowledged}
                relay.stop()
                subprocess.run([SLUICE, "serve", "--config", folder / "c.toml", "--until-empty", "--quiet"], check=True, timeout=60)
            delivered = {line.split(b":", 1)[1].strip(b" <>").decode() for file in got.iterdir() for line in file.read_bytes().split(b"\r\n", 8)
                         if line.startswith(b"Delivered-To:")}
            assert while_full and set(while_full) == {452}, set(while_full)
            assert not acknowledged - delivered, sorted(acknowledged - delivered)[:5]
            assert sink.result["duplicates"] == 0, sink.result
            print(f"full for {seconds:g} s: {len(while_full)} put off with 452, {len(acknowledged)} acknowledged in all, each delivered once; taken again {healed:.1f} s after there was room")
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)


if __name__ == "__main__":
    main()
