"""Exim, as Debian builds it (its TLS is GnuTLS's): started by a test on ports of its own on loopback, putting all mail into one maildir. Needs root, and
a mount namespace, since its user's name is compiled in: there the machine has that user."""
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import time

from _sluice import free_port, root as repository

OWNER = "uucp"  # a user that every Debian has and nobody uses
CONFIGURATION = """primary_hostname = mx.example
spool_directory = {folder}/spool
log_file_path = {folder}/log/%s
acl_smtp_rcpt = accept
host_lookup =
rfc1413_query_timeout = 0s
disable_ipv6
deliver_drop_privilege
smtp_accept_max = 100
log_selector = +tls_cipher +tls_resumption +received_recipients
keep_environment =
tls_advertise_hosts = *
tls_resumption_hosts = *
tls_certificate = ${{lookup{{$received_port}}lsearch{{{folder}/certificates}}}}
tls_privatekey = ${{lookup{{$received_port}}lsearch{{{folder}/keys}}}}
tls_require_ciphers = ${{lookup{{$received_port}}lsearch{{{folder}/priorities}}}}
local_interfaces = <; {interfaces}
begin acl
begin routers
all:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  directory = {folder}/mail
  maildir_format
  user = Debian-exim
begin retry
* * F,1h,1m
"""
AS_THE_MACHINE_WOULD_BE = 'mount --bind "$0/passwd" /etc/passwd && mount --bind "$0/group" /etc/group && exec "$@"'


class Exim:
    """`sites`: certificate, key and GnuTLS's priority string, by a name that `ports` has as well."""

    def __init__(self, folder, sites):
        program = subprocess.run([repository / "tools" / "exim_tools.sh"], check=True, capture_output=True, text=True).stdout.strip() + "/exim4"
        self.folder, owner = pathlib.Path(folder), pwd.getpwnam(OWNER)
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.ports = {name: free_port() for name in sites}
        for name in ("spool", "log", "mail"):
            (self.folder / name).mkdir()
            os.chown(self.folder / name, owner.pw_uid, owner.pw_gid)
        for number, name in enumerate(("certificates", "keys", "priorities")):
            (self.folder / name).write_text("".join(f"{self.ports[site]}: {said[number]}\n" for site, said in sites.items()))
        (self.folder / "passwd").write_text(f"root:x:0:0::/:/bin/sh\nDebian-exim:x:{owner.pw_uid}:{owner.pw_gid}::/:/bin/false\n")
        (self.folder / "group").write_text(f"root:x:0:\nDebian-exim:x:{owner.pw_gid}:\n")
        (self.folder / "conf").write_text(CONFIGURATION.format(
            folder=self.folder, interfaces=" ; ".join(f"[127.0.0.1]:{port}" for port in self.ports.values())))
        # The first process of its namespace: the others end with it. It becomes another user, which undoes --kill-child.
        self.process = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "sh", "-c", AS_THE_MACHINE_WOULD_BE, self.folder,
                                         program, "-bdf", "-C", self.folder / "conf"], stdin=subprocess.DEVNULL, start_new_session=True)
        until = time.monotonic() + 20
        for port in self.ports.values():
            while not self._greets(port):
                if self.process.poll() is not None or time.monotonic() > until:
                    self.__exit__()
                    raise RuntimeError("Exim does not serve: " + self.log())
                time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=20)

    @staticmethod
    def _greets(port):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as probe:
                return probe.recv(3) == b"220"
        except OSError:
            return False

    def log(self):
        return "".join(path.read_text(errors="replace") for path in sorted((self.folder / "log").glob("*")))

    def received(self, domain):
        """Of each message for the domain, in the order of arrival, how TLS came about: `TLS1.3:...`, with `*` behind it when the session was resumed;
        None in clear."""
        lines = [line for line in (self.folder / "log" / "main").read_text().splitlines() if " <= " in line and line.endswith(f"@{domain}")]
        return [found and found[1] for found in (re.search(r" X=(\S+)", line) for line in lines)]

    def mails(self, number):
        """What is in the maildir, once that are `number`, or 10 s are over."""
        until = time.monotonic() + 10
        while len(paths := list((self.folder / "mail" / "new").glob("*"))) < number and time.monotonic() < until:
            time.sleep(0.05)
        return [path.read_bytes() for path in paths]
