"""Knot DNS, started by a test on a port of its own on loopback."""
import pathlib
import socket
import subprocess
import sys
import time

from _dns import answer_flags
from _sluice import free_port, root

knotd = subprocess.run([root / "tools" / "knot_tools.sh"], check=True, capture_output=True,
                       text=True).stdout.strip() + "/knotd"
keymgr = knotd.removesuffix("knotd") + "keymgr"


class Knot:
    """`zones`: their content by name. Those in `signed` are signed: see anchor()."""

    def __init__(self, folder, zones, signed=()):
        self.folder = pathlib.Path(folder)
        (self.folder / "db").mkdir()  # the keys, where it signs
        self.zone = next(iter(zones))
        self.port = free_port()
        addresses = [f"127.0.0.1@{self.port}"]
        with socket.socket(socket.AF_INET6) as probe:
            try:
                probe.bind(("::1", 0))
                addresses.append(f"::1@{self.port}")
            except OSError:
                pass  # a machine without IPv6
        self.has_ipv6 = len(addresses) == 2
        text = (f"server:\n  rundir: {folder}\n  listen: [ {', '.join(addresses)} ]\n  udp-workers: 1\n  tcp-workers: 1\n"
                f"log:\n - target: {folder}/log\n   any: info\n"
                f"database:\n  storage: {folder}/db\n"
                f"template:\n - id: default\n   storage: {folder}\n   zonefile-sync: -1\n   journal-content: none\n"
                "zone:\n")
        for name, content in zones.items():
            (self.folder / f"{name}.zone").write_text(content)
            text += f" - domain: {name}\n   file: {name}.zone\n"
            if name in signed:
                text += "   dnssec-signing: on\n   dnssec-policy: plain\n"
        if signed:
            text = text.replace("template:\n", "policy:\n - id: plain\n   single-type-signing: on\n   algorithm: ecdsap256sha256\ntemplate:\n")
        (self.folder / "knot.conf").write_text(text)
        self.process = subprocess.Popen([knotd, "-c", self.folder / "knot.conf"], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        for _ in range(200):
            if self.process.poll() is not None:
                sys.exit("knotd ended: " + self.log())
            if "server started" in self.log() and "zone file parsed" in self.log() or self.is_serving():
                return
            time.sleep(0.05)
        sys.exit("knotd does not serve: " + self.log())

    def anchor(self, zone):
        """The signed zone's key, as a zone file has it."""
        for _ in range(200):
            shown = subprocess.run([keymgr, "-c", self.folder / "knot.conf", zone, "dnskey"], capture_output=True, text=True)
            if shown.returncode == 0 and " DNSKEY " in shown.stdout:
                return shown.stdout
            time.sleep(0.05)
        sys.exit(f"keymgr: {shown.stdout} {shown.stderr}; knotd: {self.log()}")

    def log(self):
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def is_serving(self):
        """Does it answer for the first zone?"""
        return answer_flags(self.port, self.zone, 6, timeout_s=0.2) is not None

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
