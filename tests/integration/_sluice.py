"""The binary as the tests in Python use it: its path, a sink under way, a newsletter delivered, and its log."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess

root = pathlib.Path(__file__).resolve().parents[2]
SLUICE = pathlib.Path(os.environ.get("SLUICE", root / "build" / "sluice")).resolve()


def free_port():
    """A port that is free for UDP and TCP on 127.0.0.1."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Sink:
    """A sink under way, that listens already. On leaving it is told to end, and `result` is what it printed."""

    def __init__(self, *options, listen="127.0.0.1:0"):
        self.process = subprocess.Popen([SLUICE, "sink", "--listen", listen, "--json", *options],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        self.port = int(re.search(r"listening on [0-9.]+:(\d+)", line)[1])

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if not hasattr(self, "result"):
            self.process.send_signal(signal.SIGTERM)
            self.end()

    def end(self):
        out, err = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, (self.process.returncode, err)
        self.result = json.loads(out)

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.settimeout(20)
        return connection


def deliver(folder, config, message, recipients, sender, *options, timeout_s=60):
    """sluice send --deliver of `message` to `recipients` (CSV), all of whose files are written to `folder`."""
    files = {"c.toml": config, "m.eml": message, "l.csv": recipients}
    for name, text in files.items():
        (folder / name).write_text(text)
    return subprocess.run([SLUICE, "send", "--config", folder / "c.toml", "--message", folder / "m.eml", "--recipients",
                           folder / "l.csv", "--from", sender, "--deliver", "--json", *options],
                          capture_output=True, text=True, timeout=timeout_s)


def log_records(folder):
    """The transaction log in `folder`: its whole lines, for one may just be written."""
    return [json.loads(line) for line in (folder / "transactions.jsonl").read_bytes().split(b"\n")[:-1]]
