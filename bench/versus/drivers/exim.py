import subprocess

from drivers.driver import Driver
from harness import feeder, mail, roots, trust

CONFIGURATION = """primary_hostname = mta.sender.example
domainlist local_domains =
hostlist relay_from_hosts = 127.0.0.1
acl_smtp_rcpt = accept
host_lookup =
rfc1413_query_timeout = 0s
dns_ipv4_lookup = *
disable_ipv6
log_selector = -retry_defer
log_file_path = /var/log/exim4/%slog
split_spool_directory
queue_run_max = {runners}
remote_max_parallel = {runners}
deliver_queue_load_max = 1000
never_users =
trusted_users = root
tls_advertise_hosts =
keep_environment =
smtp_accept_queue_per_connection = 0
smtp_accept_max = 1000
smtp_accept_max_per_connection = 0
{queue_only}
begin acl
begin routers
all:
  driver = manualroute
  domains = *
  transport = remote
  route_data = {route_data}
  self = send
  host_find_failed = defer
begin transports
remote:
  driver = smtp
  port = {port}
  hosts_try_fastopen =
{tls}{dkim}  connection_max_messages = 500
begin retry
* * F,4d,1m
"""


NO_TLS = "  hosts_avoid_tls = *\n"
TLS = "  hosts_require_tls = *\n  tls_resumption_hosts = *\n"
DKIM = "  dkim_domain = {domain}\n  dkim_selector = {selector}\n  dkim_private_key = /etc/exim4/dkim.pem\n  dkim_canon = relaxed\n"
BATCHES = 8
INTAKE = ("127.0.0.1", 2500)


class Exim(Driver):
    name = "exim"
    title = "Exim"
    durability = "data, header and journal file of every message synced"
    tuning = "its specification: split_spool_directory, as many queue runners at once as sessions (queue_run_max), batched SMTP (-bS) as intake, " \
             "smtp_accept_queue_per_connection 0, no ident and no name look-ups"
    sessions_most = 200
    sessions_why = "a session is a process of its own that a queue runner forks, message after message; 200 use up two cores"

    def install(self):
        self.root = roots.debian_root("exim", "exim4-daemon-light")

    def version(self):
        return roots.version_in(self.root, "exim4-daemon-light")

    def join(self, group):
        super().join(group)
        roots.give_proc(self.root)

    def prepare(self, route):
        self.route = route
        subprocess.run(["find", self.root / "var/spool/exim4", "-mindepth", "1", "-delete"], check=True)
        subprocess.run(["find", self.root / "var/log/exim4", "-type", "f", "-delete"], check=True)
        if route.hosts:
            mail.write(self.root / "etc/exim4/hosts", "".join(f"{domain}: {address}\n" for domain, address in route.hosts.items()))
        for key in route.keys:
            mail.write(self.root / "etc/exim4/dkim.pem", key.file.read_text())
        self._configure(queue_only=True)

    def _configure(self, queue_only):
        route_data = "${lookup{$domain}lsearch{/etc/exim4/hosts}}" if self.route.hosts else self.route.host
        mail.write(self.root / "etc/exim4/exim4.conf", CONFIGURATION.format(
            tls=TLS if self.route.tls else NO_TLS, dkim="".join(DKIM.format(domain=trust.DOMAIN, selector=key.selector) for key in self.route.keys),
            runners=self.route.sessions_in_all, route_data=route_data, port=self.route.port, queue_only="queue_only" if queue_only else ""))

    def accept(self, mails):
        self._batches(mails, BATCHES)

    def _batches(self, mails, batches, *options):
        """Batched SMTP from several processes, each with its share."""
        command = ["exim4", "-bS", *options]
        self.group.commands += [" ".join(command)] * batches  # started by processes whose memory goes with them

        def share(index):
            exim = self.group.start(command, self.root, stdin=subprocess.PIPE)
            for i in range(index, mails.count, batches):
                exim.stdin.write(b"MAIL FROM:<%b>\nRCPT TO:<%b>\nDATA\n%b.\n" % (
                    mail.SENDER.encode(), mails.recipient(i).encode(), mails.wire(i).replace(b"\r\n", b"\n")))
            exim.stdin.close()
            if exim.wait():
                raise RuntimeError("exim -bS refused mail")
        feeder.in_processes(batches, share)

    def release(self):
        for _ in range(self.route.sessions_in_all):
            self.group.start(["exim4", "-q"], self.root)

    restart = release

    def ready_newsletter(self, mails):
        self._configure(queue_only=False)

    def ready_relay(self, sessions):
        self._configure(queue_only=False)
        self.group.start(["exim4", "-bd", "-oX", f"<, {INTAKE[0]}.{INTAKE[1]}"], self.root)
        feeder.await_server(INTAKE)
        return INTAKE

    def newsletter(self, mails):
        """Each batch delivers a mail before it takes the next: faster here than queueing beside runners (`-q1s`), by half."""
        self._batches(mails, self.route.sessions, "-odi")
