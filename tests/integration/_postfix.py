"""Postfix, whole but for its installation: started by a test on ports of its own on loopback, taking mail for one domain
into maildirs. Needs root: master(8) starts its daemons as other users."""
import grp
import os
import pathlib
import pwd
import socket
import subprocess
import sys
import time

from _sluice import free_port, root as repository

# Users that every Debian has and nobody uses.
OWNER, SETGID_GROUP, MAILBOXES = "uucp", "games", "news"


class Postfix:
    """`users`: local parts of those who have a mailbox in `domain`. `policy`: the port of a policy server that is asked at
    each RCPT, or None."""

    def __init__(self, folder, domain, users, policy=None, **parameters):
        tools = subprocess.run([repository / "tools" / "postfix_tools.sh"], check=True, capture_output=True, text=True)
        root = pathlib.Path(tools.stdout.strip()).parent
        self.folder = pathlib.Path(folder)
        self.folder.chmod(0o755)
        self.port = free_port()
        self.libraries = str(root / "usr/lib/postfix")
        for name in ("etc", "queue", "data", "mail"):
            (self.folder / name).mkdir()
        owner, news = pwd.getpwnam(OWNER), pwd.getpwnam(MAILBOXES)
        for name in ("incoming", "active", "deferred", "bounce", "defer", "trace", "flush", "corrupt", "saved", "hold",
                     "private", "public", "maildrop", "pid"):
            folder = self.folder / "queue" / name
            folder.mkdir(mode=0o700)
            if name != "pid":
                os.chown(folder, owner.pw_uid, grp.getgrnam(SETGID_GROUP).gr_gid if name in ("public", "maildrop") else -1)
        (self.folder / "queue" / "public").chmod(0o710)
        (self.folder / "queue" / "pid").chmod(0o755)
        (self.folder / "queue" / "maildrop").chmod(0o730)
        os.chown(self.folder / "data", owner.pw_uid, -1)
        os.chown(self.folder / "mail", news.pw_uid, news.pw_gid)
        (self.folder / "etc" / "users").write_text("".join(f"{user}@{domain} {user}/\n" for user in users))
        (self.folder / "etc" / "dynamicmaps.cf").write_text("")
        settings = {
            "compatibility_level": "3.6", "queue_directory": self.folder / "queue", "data_directory": self.folder / "data",
            "daemon_directory": root / "usr/lib/postfix/sbin", "command_directory": root / "usr/sbin",
            "meta_directory": self.folder / "etc", "shlib_directory": "no", "mail_owner": OWNER, "setgid_group": SETGID_GROUP,
            "import_environment": "MAIL_CONFIG LD_LIBRARY_PATH TZ LANG=C", "myhostname": f"mx.{domain}",
            "mydestination": "", "local_recipient_maps": "", "mynetworks": "127.0.0.0/8", "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4", "maillog_file": self.folder / "log", "maillog_file_prefixes": self.folder,
            "alias_maps": "", "alias_database": "", "virtual_mailbox_domains": domain,
            "virtual_mailbox_base": self.folder / "mail", "virtual_mailbox_maps": f"texthash:{self.folder}/etc/users",
            "virtual_uid_maps": f"static:{news.pw_uid}", "virtual_gid_maps": f"static:{news.pw_gid}",
            "virtual_minimum_uid": "1", "virtual_mailbox_limit": "0", "default_destination_recipient_limit": "50",
            "smtpd_recipient_restrictions": (f"check_policy_service inet:127.0.0.1:{policy}, " if policy else "") +
            "reject_unlisted_recipient, permit_mynetworks, reject",
            "smtpd_client_connection_count_limit": "0", "in_flow_delay": "0", **parameters,
        }
        (self.folder / "etc" / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
        # The queue manager is woken often: what it skipped in incoming/, as still being delivered, waits for that.
        services = [f"127.0.0.1:{self.port} inet n - n - 100 smtpd", "cleanup unix n - n - 0 cleanup",
                    "qmgr unix n - n 2 1 qmgr", "rewrite unix - - n - - trivial-rewrite", "anvil unix - - n - 1 anvil",
                    "virtual unix - n n - - virtual", "postlog unix-dgram n - n - 1 postlogd"]
        services += ["tlsmgr unix - - n 1000? 1 tlsmgr"]
        services += [f"{name} unix - - n - - {name}" for name in ("error", "discard", "smtp", "proxymap")]
        services += ["retry unix - - n - - error", "showq unix n - n - - showq", "tlsmgr unix - - n 1000? 1 tlsmgr",
                     "scache unix - - n - 1 scache"]
        services += [f"{name} unix - - n - 0 bounce" for name in ("bounce", "defer", "trace")]
        (self.folder / "etc" / "master.cf").write_text("\n".join(services) + "\n")
        environment = {**os.environ, "LD_LIBRARY_PATH": self.libraries, "MAIL_CONFIG": str(self.folder / "etc")}
        # It ends its daemons as a process group.
        self.process = subprocess.Popen([root / "usr/lib/postfix/sbin/master", "-d", "-c", self.folder / "etc"], env=environment,
                                        stdin=subprocess.DEVNULL, start_new_session=True)
        for _ in range(200):
            if self.process.poll() is not None:
                sys.exit("Postfix ended: " + self.log())
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=10) as probe:
                    if probe.recv(3) == b"220":
                        return
            except OSError:
                pass
            time.sleep(0.05)
        self.stop()
        sys.exit("Postfix does not serve: " + self.log())

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def waiting(self):
        """Files in its queue."""
        return [path for name in ("incoming", "active", "deferred") for path in (self.folder / "queue" / name).rglob("*")
                if path.is_file()]

    def mailboxes(self):
        """The messages of each user, as files."""
        taken = {}
        for path in (self.folder / "mail").glob("*/new/*"):
            taken.setdefault(path.parent.parent.name, []).append(path)
        return taken

    def settle(self, seconds=120):
        """Waits until all that it took is delivered."""
        end = time.monotonic() + seconds
        while self.waiting():
            if time.monotonic() > end:
                sys.exit("Postfix still holds mail: " + self.log()[-3000:])
            time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)
