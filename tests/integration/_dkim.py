"""DKIM as others see it: keys in a zone of Knot DNS, messages verified by Debian's opendkim and python3-dkim, which ask that server."""
import json
import pathlib
import subprocess

from _knot import Knot
from _sluice import SLUICE, root

opendkim = subprocess.run([root / "tools" / "opendkim_tools.sh"], check=True, capture_output=True, text=True).stdout.strip() + "/opendkim"

VERIFY = """
import json, sys, dkim, dns.resolver
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = ["127.0.0.1"], int(sys.argv[1])
def text(name, timeout=5):
    answer = resolver.resolve(name.decode().rstrip("."), "TXT", search=False)
    return b"".join(answer[0].strings)
for path in sys.argv[2:]:
    message = dkim.DKIM(open(path, "rb").read())
    count = sum(name.lower() == b"dkim-signature" for name, _ in message.headers)
    results = []
    for i in range(count):
        try:
            results.append(bool(message.verify(idx=i, dnsfunc=text)))
        except dkim.DKIMException as error:
            results.append(str(error))
    print(json.dumps([path, results]))
"""


def keygen(folder, domain, selector, *options):
    """The zone's line of a new key, which lies in `folder`/`selector`.pem."""
    return subprocess.run([SLUICE, "dkim", "keygen", "--domain", domain, "--selector", selector, "--out", pathlib.Path(folder) / f"{selector}.pem", *options],
                          capture_output=True, text=True, check=True, timeout=60).stdout


def name_server(folder, domain, lines):
    return Knot(folder, {domain: f"$ORIGIN {domain}.\n$TTL 5\n@ SOA ns root 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n" + "".join(lines)})


def section(folder, domain, selector, more=""):
    return f'[[dkim."{domain}"]]\nselector = "{selector}"\nkey = "{folder}/{selector}.pem"\n{more}'


def python3_dkim(port, paths):
    """By path, True for each signature that is good, else what was said of it. Debian's Python has the package."""
    out = subprocess.run(["/usr/bin/python3", "-c", VERIFY, str(port), *map(str, paths)], capture_output=True, text=True, timeout=120)
    assert out.returncode == 0, out.stderr
    return {pathlib.Path(path): results for path, results in map(json.loads, out.stdout.splitlines())}


class OpenDkim:
    """opendkim in its test mode; libunbound, which it asks, knows no server but ours."""

    def __init__(self, folder, domain, port):
        self.folder = pathlib.Path(folder)
        (self.folder / "unbound.conf").write_text(
            "server:\n  do-not-query-localhost: no\n  module-config: iterator\n"
            f'stub-zone:\n  name: "{domain}"\n  stub-addr: 127.0.0.1@{port}\n')
        (self.folder / "opendkim.conf").write_text(f"Mode v\nSyslog no\nResolverConfiguration {self.folder}/unbound.conf\nAllowSHA1Only no\n")

    def verify(self, path):
        """What it says of a message."""
        done = subprocess.run([opendkim, "-x", self.folder / "opendkim.conf", "-vv", "-t", path], capture_output=True, text=True, timeout=120)
        return done.stdout + done.stderr
