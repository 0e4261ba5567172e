import os
import pathlib
import shutil
import subprocess

from drivers.driver import Driver
from harness import cell, feeder, mail, roots, trust

CONFIGURATION = """[engine]
hostname = "mta.sender.example"
spool = "{folder}/spool"
log = "{folder}/log"
shards = {shards}
[destination."*"]
next_hop = ["{host}:{port}"]
sessions_max = {sessions}
tls = "{tls}"
[[listen]]
address = "127.0.0.1:2500"
"""
INTAKE = ("127.0.0.1", 2500)
SIGNATURE = '[[dkim."{domain}"]]\nselector = "{selector}"\nkey = "{file}"\n'
DESTINATION = '[destination."{domain}"]\nnext_hop = ["{address}:{port}"]\n'


class Sluice(Driver):
    name = "sluice"
    title = "Sluice"
    durability = "hand-off synced before it counts; outcomes synced, many at a time (group commit)"
    tuning = "`sessions_max`; a shard more than there are cores for 50,000 sessions, where a process may open few descriptors"
    fast = True
    signs = ("rsa", "ed25519", "both")
    sessions_most = 50_000
    sessions_why = "the workload ends there"

    def __init__(self, binary):
        self.binary = pathlib.Path(binary).resolve()
        self.folder = roots.cache() / "sluice"
        # Its threads carry this name, by which the tracer knows them.
        self.program = self.folder / "sluice-versus"

    def install(self):
        if not self.binary.is_file():
            raise SystemExit(f"versus: {self.binary} is missing: build it, or say SLUICE=")
        self.folder.mkdir(parents=True, exist_ok=True)

    def version(self):
        return subprocess.run([self.binary, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]

    def prepare(self, route):
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        self.program.symlink_to(self.binary)
        rings = cell.rings_for(route.sessions_in_all)
        shards = rings if rings > os.cpu_count() else 0
        text = CONFIGURATION.format(folder=self.folder, shards=shards, host=route.host, port=route.port, sessions=route.sessions,
                                    tls="required" if route.tls else "opportunistic")
        text += "".join(SIGNATURE.format(domain=trust.DOMAIN, selector=key.selector, file=key.file) for key in route.keys)
        text += "".join(DESTINATION.format(domain=domain, address=address, port=route.port) for domain, address in route.hosts.items())
        mail.write(self.folder / "sluice.toml", text)

    def _send(self, *more):
        return [self.program, "send", "--config", self.folder / "sluice.toml", "--message", self.folder / "news.eml", "--recipients",
                self.folder / "list.csv", "--from", mail.SENDER, "--quiet", *more]

    def accept(self, mails):
        mails.write_newsletter(self.folder)
        self.group.run(self._send())

    def release(self):
        self.group.start([self.program, "serve", "--config", self.folder / "sluice.toml", "--until-empty", "--quiet"])

    restart = release

    def ready_newsletter(self, mails):
        mails.write_newsletter(self.folder)

    def ready_relay(self, sessions):
        self.group.start([self.program, "serve", "--config", self.folder / "sluice.toml", "--quiet"])
        feeder.await_server(INTAKE)
        return INTAKE

    def newsletter(self, mails):
        self.group.start(self._send("--deliver"))
