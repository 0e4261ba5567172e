"""The next hop of all: `sluice sink`, or Postfix's smtp-sink for the control run."""
import json
import os
import select
import subprocess
import tempfile
import time

from harness import cell, feeder, mail, roots


class Receiver:
    """Listens when made. `count`: it ends after so many messages. `smtp_sink`: that command instead of
    `sluice sink`. `sessions`: how many it is to hold. `certificate`: files with which it offers STARTTLS. `save`: a folder for what comes.
    """

    def __init__(self, sluice, count=None, delay=None, smtp_sink=None, sessions=0, certificate=None, save=None):
        self._out = tempfile.TemporaryFile("w+")
        self._counts = smtp_sink is None
        if smtp_sink:
            command = [*smtp_sink, "-u", "nobody", "-M", count, f"0.0.0.0:{mail.NEXT_HOP_PORT}", 1000]
        else:
            command = [sluice, "sink", "--listen", f"0.0.0.0:{mail.NEXT_HOP_PORT}", "--quiet", "--json"]
            command += ["--count", count] if count else []
            command += ["--delay", f"final_dot={delay}"] if delay else []
            command += ["--tls-certificate", certificate[0], "--tls-key", certificate[1]] if certificate else []
            command += ["--save", save] if save else []
            command += ["--threads", cell.rings_for(sessions)]
        self.command = " ".join(map(str, command))
        with open(roots.cache() / "receiver.log", "wb") as log:
            self._process = subprocess.Popen(list(map(str, command)), stdout=self._out, stderr=log)
        feeder.await_server(("127.0.0.1", mail.NEXT_HOP_PORT))

    def wait(self, patience_s):
        """Monotonic time when it ended, or None. `sluice sink` ends up to a second after the last message: it waits for open sessions."""
        descriptor = os.pidfd_open(self._process.pid)
        try:
            ended, _, _ = select.select([descriptor], [], [], patience_s)
            return time.monotonic() if ended else None
        finally:
            os.close(descriptor)

    def stop(self):
        """What it counted, or {} of a receiver that does not count."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(20)
        if not self._counts:
            return {}
        self._out.seek(0)
        return json.load(self._out)

