import subprocess

from drivers.driver import Driver, until
from harness import feeder, mail, roots, trust

INTAKE = ("127.0.0.1", 2500)
FILTER = 'filter "dkim" proc-exec "filter-dkimsign -d {domain} -s {selector} -c relaxed/relaxed -k /etc/dkim.pem" user _dkimsign group _dkimsign\n'
CONFIGURATION = """table hosts file:/etc/smtpd-hosts
smtp limit max-mails 1000
smtp limit max-rcpt 1000
scheduler limit max-inflight 50000
scheduler limit max-schedule 1000
mta limit max-conn-per-host {sessions}
mta limit max-conn-per-relay {sessions}
mta limit max-conn-per-route {sessions}
mta limit max-conn-per-connector {sessions}
mta limit max-conn-per-source {all_sessions}
mta limit max-conn-per-domain {sessions}
mta limit conn-delay-host 0
mta limit conn-delay-route 0
mta limit conn-delay-source 0
mta limit conn-delay-connector 0
mta limit conn-delay-relay 0
mta limit conn-delay-domain 0
mta limit session-transaction-delay 0
mta limit task-hiwat 50000
mta limit task-lowat 25000
mta limit task-release 25000
{signing}listen on 127.0.0.1 port 2500{filtered}
action "out" relay {where}
match from any for any action "out"
"""


class OpenSmtpd(Driver):
    name = "opensmtpd"
    title = "OpenSMTPD"
    durability = "no sync: accepted mail is in the page cache"
    tuning = "limits of smtpd.conf (connections, delays between them, messages in flight) raised"
    sessions_most = 10_000
    sessions_why = "one process holds all sessions, within its limit of descriptors (often 20,000)"

    def install(self):
        self.root = roots.debian_root("opensmtpd", "opensmtpd", "opensmtpd-filter-dkimsign")

    def version(self):
        return roots.version_in(self.root, "opensmtpd")

    def join(self, group):
        super().join(group)
        roots.give_proc(self.root)

    def prepare(self, route):
        for part in ("queue", "incoming", "temporary", "corrupt", "purge", "offline"):
            folder = self.root / "var/spool/smtpd" / part
            if folder.exists():
                subprocess.run(["find", folder, "-mindepth", "1", "-delete"], check=True)
        mail.write(self.root / "etc/resolv.conf", "lookup file\nnameserver 127.0.0.1\n")
        mail.write(self.root / "etc/mailname", "mta.sender.example\n")
        mail.write(self.root / "etc/smtpd-hosts", "".join(f"{domain} smtp://{address}:{route.port}\n" for domain, address in route.hosts.items())
                   or f"none.example smtp://{route.host}\n")
        where = "domain <hosts>" if route.hosts else f"host smtp://{route.host}:{route.port}"
        if route.tls:
            where = f"host smtp+tls://{route.host}:{route.port} tls no-verify"
        for key in route.keys:
            mail.write(self.root / "etc/dkim.pem", key.file.read_text())
        signing = "".join(FILTER.format(domain=trust.DOMAIN, selector=key.selector) for key in route.keys)
        mail.write(self.root / "etc/smtpd.conf", CONFIGURATION.format(sessions=route.sessions, where=where,
                                                                      signing=signing, filtered=' filter "dkim"' if signing else "",
                                                                      all_sessions=max(100, route.sessions_in_all)))

    def restart(self):
        (self.root / "var/run/smtpd.sock").unlink(missing_ok=True)
        self.group.start(["smtpd", "-d"], self.root)
        feeder.await_server(INTAKE)

    def _control(self, *words):
        """Set-group-id, which a traced program is not."""
        return self.group.run(["smtpctl", *words], self.root, check=False, traced=False)

    def accept(self, mails):
        self.restart()
        until(lambda: self._control("pause", "mta") == 0, 10, "smtpctl pause mta")
        feeder.feed(INTAKE, mail.SENDER, mails, 10)

    def release(self):
        self._control("resume", "mta")

    def ready_newsletter(self, mails):
        self.restart()

    def ready_relay(self, sessions):
        self.restart()
        return INTAKE

    def newsletter(self, mails):
        feeder.feed(INTAKE, mail.SENDER, mails, 10)
