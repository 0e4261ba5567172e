"""`sluice serve` as a relay, started by a test on a port of its own on loopback."""
import contextlib
import pathlib
import signal
import smtplib
import subprocess
import time

from _sluice import SLUICE, free_port


class Relay:
    """`sluice serve` that listens on `port` and sends all to `next_hop`."""

    def __init__(self, folder, next_hop, more=""):
        self.folder, self.port = pathlib.Path(folder), free_port()
        (self.folder / "c.toml").write_text(
            f'[engine]\nhostname = "relay.example"\nspool = "{folder}/spool"\nlog = "{folder}/log"\n[destination."*"]\nnext_hop = ["127.0.0.1:{next_hop}"]\n'
            f'[destination."*".retry]\nfirst = "100ms"\nfactor = 1.0\n[[listen]]\naddress = "127.0.0.1:{self.port}"\n' + more)

    def start(self):
        self.process = subprocess.Popen([SLUICE, "serve", "--config", self.folder / "c.toml", "--quiet"], stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with contextlib.suppress(OSError, smtplib.SMTPServerDisconnected):
                return smtplib.SMTP("127.0.0.1", self.port, timeout=10).quit()
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.01)
        raise AssertionError("it does not listen")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.stop()

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        _, self.said = self.process.communicate(timeout=20)
        assert self.process.returncode == (0 if how == signal.SIGTERM else -how), (self.process.returncode, self.said)

    def client(self):
        return smtplib.SMTP("127.0.0.1", self.port, timeout=20)


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
