#!/usr/bin/env python3
"""sluice top: rates and waiting mail of a running engine, for scripts and on a terminal, which is as it was afterwards."""
# timeout_s: 60
import json
import os
import pathlib
import pty
import select
import signal
import subprocess
import tempfile
import termios
import time

from _sluice import SLUICE, Sink, free_port
from relay import Relay


def top(*options, **more):
    return subprocess.run([SLUICE, "top", *options], capture_output=True, text=True, timeout=30, **more)


def shows_what_goes_on(folder, admin):
    result = top("--once", "--json", "--config", folder / "c.toml")
    assert result.returncode == 0, result.stderr
    look = json.loads(result.stdout)
    assert look["ready"] and look["rates"]["accepted"]["total"] == 2 and look["rates"]["delivered"]["total"] == 1, look
    assert look["destinations"] == [{"destination": "away.example", "waiting": 0, "deferred": 1, "held": 0}], look["destinations"]
    assert [(reason["reason"], reason["total"]) for reason in look["deferral_reasons"]] == [("connect, no reply", 1)], look
    text = top("--once", "--admin", f"127.0.0.1:{admin}").stdout
    assert "delivered" in text and "away.example" in text and "\x1b" not in text, text


def draws_on_a_terminal(admin, end):
    main, worker = pty.openpty()
    before = termios.tcgetattr(worker)
    process = subprocess.Popen([SLUICE, "top", "--admin", f"127.0.0.1:{admin}"], stdin=worker, stdout=worker, stderr=worker)
    seen, until = b"", time.monotonic() + 20
    while b"away.example" not in seen:
        assert time.monotonic() < until, seen
        if select.select([main], [], [], 0.5)[0]:
            seen += os.read(main, 65536)
    end(main, process)
    assert process.wait(timeout=10) == 0
    while select.select([main], [], [], 0.2)[0]:
        seen += os.read(main, 65536)
    assert seen.startswith(b"\x1b[?1049h") and seen.rstrip().endswith(b"\x1b[?1049l"), seen[-80:]
    assert termios.tcgetattr(worker) == before
    os.close(main), os.close(worker)


def says_why_it_cannot(folder):
    nobody = top("--once", "--admin", f"127.0.0.1:{free_port()}")
    assert nobody.returncode == 69 and "does an engine run there" in nobody.stderr and nobody.stderr.count("\n") == 1, nobody
    with Sink() as sink:
        other = top("--once", "--admin", f"127.0.0.1:{sink.port}")
    assert other.returncode == 69 and other.stderr.count("\n") == 1, other
    (folder / "none.toml").write_text('[engine]\nhostname = "a.example"\n')
    silent = top("--once", "--config", folder / "none.toml")
    assert silent.returncode == 78 and "admin.address" in silent.stderr, silent
    assert top("--once", "--admin", "here").returncode == 64


def main():
    with tempfile.TemporaryDirectory() as name, Sink() as sink:
        folder, admin = pathlib.Path(name), free_port()
        with Relay(folder, free_port(), f'[admin]\naddress = "127.0.0.1:{admin}"\n[destination."here.example"]\nnext_hop = ["127.0.0.1:{sink.port}"]\n'
                                        '[destination."*.away.example".retry]\nfirst = "1h"\n[destination."away.example".retry]\nfirst = "1h"\n') as relay:
            with relay.client() as client:
                client.sendmail("a@news.example", ["ann@here.example", "bob@away.example"], "Subject: hello\r\n\r\nhello\r\n")
            time.sleep(1)
            shows_what_goes_on(folder, admin)
            draws_on_a_terminal(admin, lambda main, _: os.write(main, b"q"))
            draws_on_a_terminal(admin, lambda _, process: process.send_signal(signal.SIGINT))
        says_why_it_cannot(folder)


if __name__ == "__main__":
    main()
