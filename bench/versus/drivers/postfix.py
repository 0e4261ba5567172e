from drivers.driver import Driver
from harness import feeder, mail, roots, trust

INTAKE = ("127.0.0.1", 2500)
MAIN = """compatibility_level = 3.6
myhostname = mta.sender.example
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
local_recipient_maps =
biff = no
maillog_file = /var/log/postfix.log
default_process_limit = {processes}
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
initial_destination_concurrency = {sessions}
default_destination_concurrency_limit = {sessions}
smtp_connection_cache_on_demand = yes
smtp_tls_security_level = {tls}
qmgr_message_active_limit = 50000
qmgr_message_recipient_limit = 50000
"""
# What a relay needs of Debian's master.cf, without chroot; the queue manager last, so that it can be left out.
TLS = """smtp_tls_connection_reuse = yes
smtp_tls_session_cache_database = btree:${data_directory}/smtp_scache
"""
MILTER = ("127.0.0.1", 8891)
SIGNED = f"smtpd_milters = inet:{MILTER[0]}:{MILTER[1]}\n"
SIGNER = """Mode s
Socket inet:{port}@{host}
Domain {domain}
Selector {selector}
KeyFile /etc/dkim.pem
RequireSafeKeys no
Canonicalization relaxed/relaxed
Syslog no
"""
SERVICES = """127.0.0.1:2500 inet n - n - {intake} smtpd
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
tlsmgr unix - - n 1000? 1 tlsmgr
tlsproxy unix - - n - 0 tlsproxy
"""
QUEUE_MANAGER = "qmgr unix n - n 300 1 qmgr\n"


class Postfix(Driver):
    name = "postfix"
    title = "Postfix"
    durability = "every queue file synced before its mail counts as accepted; what was delivered is removed without a sync"
    tuning = "TUNING_README: process limit and destination concurrency raised to the sessions, in_flow_delay 0, no client name look-ups; " \
             "qmgr_message_active_limit 50,000; connections reused on demand (default); log by postlogd"
    sessions_most = 1_000
    sessions_why = "a process holds one session; 10,000 of them need some 20 GB"
    feeding_sessions = 20

    def install(self):
        self.root = roots.debian_root("postfix", "postfix", "opendkim")

    def version(self):
        return roots.version_in(self.root, "postfix")

    def join(self, group):
        super().join(group)
        roots.give_proc(self.root)

    def prepare(self, route):
        self.route = route
        etc = self.root / "etc/postfix"
        processes = max(100, route.sessions_in_all + self.feeding_sessions)
        main = MAIN.format(tls="encrypt" if route.tls else "none", processes=processes, sessions=route.sessions)
        if route.hosts:
            mail.write(etc / "transport", "".join(f"{domain} smtp:[{address}]:{route.port}\n" for domain, address in route.hosts.items()))
            main += "transport_maps = hash:/etc/postfix/transport\n"
            self.group.run(["postmap", "/etc/postfix/transport"], self.root)
        else:
            main += f"relayhost = [{route.host}]:{route.port}\n"
        main += (TLS if route.tls else "") + (SIGNED if route.keys else "")
        for key in route.keys:
            mail.write(self.root / "etc/dkim.pem", key.file.read_text())
            mail.write(self.root / "etc/opendkim.conf", SIGNER.format(host=MILTER[0], port=MILTER[1], domain=trust.DOMAIN, selector=key.selector))
        mail.write(etc / "main.cf", main)
        mail.write(etc / "aliases", "")
        mail.write(self.root / "var/log/postfix.log", "", 0o666)
        self._serve(with_queue_manager=False)
        self.group.run(["postfix", "check"], self.root)
        self.group.run(["postsuper", "-d", "ALL"], self.root)

    def _serve(self, with_queue_manager):
        services = SERVICES.format(intake=self.feeding_sessions + 5)
        mail.write(self.root / "etc/postfix/master.cf", services + (QUEUE_MANAGER if with_queue_manager else ""))

    def _start(self):
        (self.root / "var/spool/postfix/pid/master.pid").unlink(missing_ok=True)
        if self.route.keys:
            self.group.start(["opendkim", "-f", "-x", "/etc/opendkim.conf"], self.root)
            feeder.await_listener(MILTER)
        self.group.run(["postfix", "start"], self.root)
        feeder.await_server(INTAKE)

    def accept(self, mails):
        self._start()
        feeder.feed(INTAKE, mail.SENDER, mails, self.feeding_sessions)
        self._serve(with_queue_manager=True)

    def release(self):
        self.group.run(["postfix", "reload"], self.root)

    def restart(self):
        self._start()

    def ready_newsletter(self, mails):
        self._serve(with_queue_manager=True)
        self._start()

    def ready_relay(self, sessions):
        self.feeding_sessions = max(20, sessions)
        self.prepare(self.route)
        self._serve(with_queue_manager=True)
        self._start()
        return INTAKE

    def newsletter(self, mails):
        feeder.feed(INTAKE, mail.SENDER, mails, self.feeding_sessions)
