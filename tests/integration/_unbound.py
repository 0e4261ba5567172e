"""unbound, started by a test on a port of its own on loopback: a resolver that validates DNSSEC."""
import pathlib
import subprocess
import sys
import time

from _dns import answer_flags
from _sluice import free_port, root

unbound = subprocess.run([root / "tools" / "unbound_tools.sh"], check=True, capture_output=True, text=True).stdout.strip() + "/unbound"


class Unbound:
    """Asks the name server at `port` for all of `zones`; `anchors`: the keys that it trusts, as a zone file has them."""

    def __init__(self, folder, port, zones, anchors):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        (self.folder / "anchors").write_text("".join(anchors))
        text = (f'server:\n  interface: 127.0.0.1@{self.port}\n  do-daemonize: no\n  username: ""\n  chroot: ""\n  directory: "{folder}"\n'
                f'  pidfile: ""\n  use-syslog: no\n  logfile: "{folder}/unbound.log"\n  verbosity: 1\n  val-log-level: 2\n  num-threads: 1\n'
                f'  module-config: "validator iterator"\n  trust-anchor-file: "{folder}/anchors"\n  do-not-query-localhost: no\n'
                '  local-zone: "test." nodefault\n  do-ip6: no\n  cache-max-negative-ttl: 1\nremote-control:\n  control-enable: no\n')
        text += "".join(f'stub-zone:\n  name: "{zone}"\n  stub-addr: 127.0.0.1@{port}\n' for zone in zones)
        (self.folder / "unbound.conf").write_text(text)
        self.process = subprocess.Popen([unbound, "-c", self.folder / "unbound.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(200):
            if self.process.poll() is not None:
                sys.exit("unbound ended: " + self.process.stderr.read() + self.log())
            if self.is_authentic(zones[0], 6) is not None:
                return
            time.sleep(0.05)
        sys.exit("unbound does not serve: " + self.log())

    def log(self):
        path = self.folder / "unbound.log"
        return path.read_text() if path.exists() else ""

    def is_authentic(self, name, record_type):
        """What AD says of the answer; None: there is none."""
        flags = answer_flags(self.port, name, record_type, wants_ad=True)
        return None if flags is None else bool(flags & 0x20)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
