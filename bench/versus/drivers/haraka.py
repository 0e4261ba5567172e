import os
import shutil

from drivers.driver import Driver
from harness import feeder, mail, roots

PACKAGE = "Haraka@3.1.1"  # the last series that Debian 12's Node.js (18) runs
DEFAULT_CONCURRENCY = 100  # of all destinations together; there is no limit for one
INTAKE = ("127.0.0.1", 2500)
OUTBOUND = """disabled={held}
concurrency_max={concurrency}
enable_tls={tls}
always_split=true
local_mx_ok=true
"""
ROUTE_PLUGIN = """// Relays for loopback, and sends every domain to its next hop.
const fs = require('fs')
const hosts = JSON.parse(fs.readFileSync('/srv/haraka/hosts.json'))
exports.register = function () {
    this.register_hook('connect_init', 'relay')
    this.register_hook('lookup_rdns', 'reverse')
    this.register_hook('rcpt', 'relay')
    this.register_hook('get_mx', 'route')
}
exports.relay = function (next, connection) {
    connection.relaying = true
    next(OK)
}
exports.reverse = (next) => next(OK, 'localhost')
exports.route = function (next, hmail, domain) {
    next(OK, { priority: 0, exchange: hosts[domain] || hosts['*'], port: PORT })
}
"""


class Haraka(Driver):
    name = "haraka"
    title = "Haraka"
    durability = "no sync: accepted mail is in the page cache"
    tuning = "two worker processes (smtp.ini nodes, one a core), outbound.ini concurrency_max raised to the sessions, log level `notice`, no plugin but routing"
    sessions_most = 10_000
    sessions_why = "a worker has a limit of descriptors (often 20,000), and a mail takes several"

    signs, signs_why = (), "Haraka signs by an optional package of the npm registry (haraka-plugin-dkim), which is not installed here"

    def install(self):
        self.root = roots.debian_root("haraka", "nodejs", "npm", "ca-certificates")
        self.home = self.root / "srv/haraka"
        if not (self.root / "srv/npm/node_modules/Haraka/bin/haraka").exists():
            print("versus: installing Haraka from the npm registry", flush=True)
            mail.write(self.root / "srv/npm/package.json", "{}")
            roots.run_in(self.root, "npm", "install", "--prefix", "/srv/npm", "--omit=optional", "--no-audit", "--no-fund", "--loglevel=error",
                         f"--cafile={roots.CERTIFICATES}", PACKAGE)

    def version(self):
        shown = (self.root / "srv/npm/node_modules/Haraka/package.json").read_text()
        return shown.split('"version":', 1)[1].split('"')[1]

    def join(self, group):
        super().join(group)
        roots.give_proc(self.root)

    def prepare(self, route):
        shutil.rmtree(self.home, ignore_errors=True)
        config = self.home / "config"
        shutil.copytree(self.root / "srv/npm/node_modules/Haraka/config", config)
        cores = os.cpu_count()
        mail.write(self.root / "etc/resolv.conf", "nameserver 127.0.0.1\n")
        mail.write(self.home / "hosts.json", str({"*": route.host} | route.hosts).replace("'", '"'))
        mail.write(self.home / "plugins/route.js", ROUTE_PLUGIN.replace("PORT", str(route.port)))
        mail.write(self.home / "package.json", "{}")
        mail.write(config / "plugins", "route\n")
        mail.write(config / "smtp.ini", f"listen=127.0.0.1:2500\nnodes={cores}\n")
        mail.write(config / "me", "mta.sender.example\n")
        mail.write(config / "loglevel", "notice\n")
        mail.write(config / "tls.ini", "no_starttls_ports[]=2500\n")
        self._concurrency = -(-max(DEFAULT_CONCURRENCY, route.sessions_in_all) // cores)
        self._tls = route.tls
        self._outbound(held=False)
        (self.home / "queue").mkdir()

    def _outbound(self, held):
        mail.write(self.home / "config/outbound.ini", OUTBOUND.format(tls=str(self._tls).lower(), held=str(held).lower(), concurrency=self._concurrency))

    def restart(self):
        self.group.start(["node", "/srv/npm/node_modules/Haraka/bin/haraka", "-c", "/srv/haraka"], self.root)
        feeder.await_server(INTAKE)

    def accept(self, mails):
        self._outbound(held=True)
        self.restart()
        feeder.feed(INTAKE, mail.SENDER, mails, 10)

    def release(self):
        """A running Haraka watches the file."""
        self._outbound(held=False)

    def ready_newsletter(self, mails):
        self.restart()

    def ready_relay(self, sessions):
        self.restart()
        return INTAKE

    def newsletter(self, mails):
        feeder.feed(INTAKE, mail.SENDER, mails, 10)
