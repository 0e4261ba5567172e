#!/usr/bin/env python3
"""Mail is sent from the addresses that a source has, in the share of their weights, with the name of each; by destination and by sender; what this machine
lacks is told, and costs nobody an attempt."""
# timeout_s: 120
import collections
import json
import pathlib
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

from _relay import Relay, wait_for
from _sluice import SLUICE, free_port, log_records
from reload import Engine

POOL = """
[[source."news"]]
address = "127.0.0.2"
hostname = "out2.example"
weight = 3
[[source."news"]]
address = "127.0.0.3"
hostname = "out3.example"
[[source."alerts"]]
address = "127.0.0.4"
"""


class Host:
    """An SMTP server that takes one message a session, and notes who came: `seen` has (peer's address, EHLO name, senders)."""

    def __init__(self, address="127.0.0.1"):
        self.address = address

    def __enter__(self):
        seen = self.seen = []

        class Dialogue(socketserver.StreamRequestHandler):
            def handle(self):
                name, senders = "", []
                self.wfile.write(b"220 host.example\r\n")
                while line := self.rfile.readline():
                    word = line[:4].upper()
                    if word == b"EHLO":
                        name = line[5:].decode().strip()
                    if word == b"MAIL":
                        senders.append(line[11:line.index(b">")].decode())
                    self.wfile.write(b"354 go on\r\n" if word == b"DATA" else b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
                    if word == b"DATA":
                        while self.rfile.readline() != b".\r\n":
                            pass
                        time.sleep(0.02)  # so that one session does not have it all
                        self.wfile.write(b"250 taken\r\n")
                    if word == b"QUIT":
                        break
                seen.append((self.client_address[0], name, senders))

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads, request_queue_size = True, True, 128
            address_family = socket.AF_INET6 if ":" in self.address else socket.AF_INET

        self.server = Server((self.address, 0), Dialogue)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()

    def peers(self):
        return collections.Counter((peer, name) for peer, name, _ in self.seen)


def configuration(folder, host, policy):
    path = folder / "c.toml"
    path.write_text(f'[engine]\nhostname = "mta.example"\nspool = "{folder}/spool"\nlog = "{folder}/log"\n[destination."*"]\nnext_hop = ["127.0.0.1:{host.port}"]\n'
                    f"messages_per_session_max = 1\nsessions_max = 8\n{policy}")
    return path


def send(folder, config, *options, recipients=40, sender="a@news.example"):
    (folder / "m.eml").write_text("From: a@news.example\nTo: {{email}}\nSubject: {{name}}\n\nHello {{name}}\n")
    (folder / "l.csv").write_text("email,name\n" + "".join(f"r{n}@x.example,{n}\n" for n in range(recipients)))
    return subprocess.run([SLUICE, "send", "--config", config, "--message", folder / "m.eml", "--recipients", folder / "l.csv", "--from", sender, *options],
                          capture_output=True, text=True, timeout=60)


def a_destination_is_sent_to_from_its_source(folder):
    with Host() as host:
        config = configuration(folder, host, 'source = "news"\n' + POOL)
        done = send(folder, config, "--deliver")
        assert done.returncode == 0, done.stderr
    peers = host.peers()
    assert set(peers) == {("127.0.0.2", "out2.example"), ("127.0.0.3", "out3.example")}, peers
    assert sum(peers.values()) == 40 and 26 <= peers["127.0.0.2", "out2.example"] <= 34, peers
    local = collections.Counter(r["local"].split(":")[0] for r in log_records(folder / "log") if r["event"] == "delivered")
    assert local == {peer: number for (peer, _), number in peers.items()}, local


def a_campaign_is_sent_from_the_source_of_its_sender(folder):
    with Host() as host:
        config = configuration(folder, host, 'source = "news"\n[sender."*@alerts.example"]\nsource = "alerts"\n' + POOL)
        for sender in ("a@alerts.example", "a@news.example"):
            assert send(folder, config, "--campaign", sender, sender=sender, recipients=10).returncode == 0
        subprocess.run([SLUICE, "serve", "--config", config, "--until-empty", "--quiet"], check=True, timeout=60)
    by_sender = collections.defaultdict(set)
    for peer, name, senders in host.seen:
        assert len(set(senders)) == 1, senders
        by_sender[senders[0]].add((peer, name))
    assert by_sender["a@alerts.example"] == {("127.0.0.4", "mta.example")}, by_sender
    assert by_sender["a@news.example"] == {("127.0.0.2", "out2.example"), ("127.0.0.3", "out3.example")}, by_sender


def a_campaign_may_name_its_source(folder):
    """Before that of its sender; by the command and over HTTP; one that the configuration lost is as none."""
    with Host() as host:
        port, token = free_port(), folder / "token"
        token.touch(mode=0o600)
        token.write_text("0123456789abcdef\n")
        config = configuration(folder, host, f'source = "news"\n[sender."*@news.example"]\nsource = "news"\n[admin]\naddress = "127.0.0.1:{port}"\n'
                               f'token_file = "{token}"\n' + POOL)
        done = send(folder, config, "--source", "elsewhere")
        assert done.returncode == 64 and 'no [[source."elsewhere"]]' in done.stderr, done.stderr
        assert send(folder, config, "--deliver", "--source", "alerts", recipients=5).returncode == 0
        assert set(host.peers()) == {("127.0.0.4", "mta.example")}, host.peers()
        host.seen.clear()
        assert send(folder, config, "--source", "alerts", recipients=5).returncode == 0
        config.write_text(config.read_text().replace('"alerts"', '"others"'))
        engine = subprocess.Popen([SLUICE, "serve", "--config", config, "--quiet"])
        try:
            wait_for(lambda: len(host.seen) == 5)
            assert {peer for peer, _ in host.peers()} <= {"127.0.0.2", "127.0.0.3"}, host.peers()
            host.seen.clear()
            order = {"from": "a@news.example", "to": ["r@x.example"], "message": "Subject: x\n\nx\n"}
            answers = post(port, order | {"source": "alerts"}), post(port, order | {"source": "others"})
            assert answers == (400, 202), answers
            wait_for(lambda: set(host.peers()) == {("127.0.0.4", "mta.example")})
        finally:
            engine.terminate()
            assert engine.wait(20) == 0


def post(port, order):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/messages", json.dumps(order).encode(), {"Content-Type": "application/json", "Authorization": "Bearer 0123456789abcdef"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def relayed_mail_is_sent_from_the_source_of_its_sender_else_of_its_destination(folder):
    """Also what another run took in."""
    sections = POOL + '[destination."x.example"]\nsource = "alerts"\n[sender."*@News.example"]\nsource = "news"\n'

    names = {"127.0.0.1": "", "127.0.0.2": "news", "127.0.0.3": "news", "127.0.0.4": "alerts"}

    def source():
        return {r["recipient"]: names[r["local"].split(":")[0]] for r in log_records(folder / "log") if r["event"] == "delivered"}

    with Host() as host:
        relay = Relay(folder, host.port, sections + '[destination."later.example"]\nhold = "manual"\n')
        with relay, relay.client() as client:
            for n, (sender, to) in enumerate((("a@other.example", "x"), ("a@other.example", "y"), ("a@NEWS.example", "x"), ("", "y"), ("a@news.example", "y"))):
                client.sendmail(sender, [f"r{n}@{to}.example", f"r{n}@later.example"], "Subject: one\r\n\r\none\r\n")
            wait_for(lambda: len(source()) == 5)
        assert source() == {"r0@x.example": "alerts", "r1@y.example": "", "r2@x.example": "news", "r3@y.example": "", "r4@y.example": "news"}, source()
        with relay:
            subprocess.run([SLUICE, "queue", "release", "--all", "--config", folder / "c.toml"], check=True, timeout=20)
            wait_for(lambda: len(source()) == 10)
    assert {r: s for r, s in source().items() if "later" in r} == {f"r{n}@later.example": "news" if n in (2, 4) else "" for n in range(5)}, source()


def an_address_that_is_not_here_is_told_and_the_others_do_its_work(folder):
    with Host() as host:
        config = configuration(folder, host, 'source = "news"\n' + POOL.replace("127.0.0.3", "192.0.2.3"))
        done = subprocess.run([SLUICE, "check", "--config", config], capture_output=True, text=True, timeout=20)
        assert done.returncode == 78 and 'source.news.address: "192.0.2.3" is not an address of this machine' in done.stderr, (done.returncode, done.stderr)
        done = send(folder, config, "--deliver")
        assert done.returncode == 0 and "is not an address of this machine" in done.stderr, done.stderr
    assert set(host.peers()) == {("127.0.0.2", "out2.example")}, host.peers()
    assert all(r["attempt"] == 1 for r in log_records(folder / "log") if r["event"] == "delivered")


def a_source_that_is_not_here_is_nobodys_attempt(folder):
    with Host() as host:
        config = configuration(folder, host, 'source = "alerts"\n[destination."*".retry]\nconnect_attempts_max = 1\n' + POOL.replace("127.0.0.4", "192.0.2.4"))
        assert send(folder, config, recipients=3).returncode == 0
        engine = subprocess.Popen([SLUICE, "serve", "--config", config, "--quiet"], stderr=subprocess.PIPE, text=True)
        try:
            log = folder / "log" / "transactions.jsonl"
            wait_for(lambda: log.exists() and sum(r["event"] == "deferred" for r in log_records(folder / "log")) == 3)
        finally:
            engine.terminate()
            engine.communicate(timeout=20)
        deferred = [r for r in log_records(folder / "log") if r["event"] == "deferred"]
        assert all(r["reason"] == 'connect: source "alerts": 192.0.2.4 is no address of this machine' and r.get("attempt", 0) == 0 for r in deferred), deferred
        config.write_text(config.read_text().replace("192.0.2.4", "127.0.0.4"))
        subprocess.run([SLUICE, "serve", "--config", config, "--until-empty", "--quiet"], check=True, timeout=60)
    delivered = [r for r in log_records(folder / "log") if r["event"] == "delivered"]
    assert len(delivered) == 3 and all(r["attempt"] == 1 for r in delivered), delivered
    assert set(host.peers()) == {("127.0.0.4", "mta.example")}, host.peers()


def a_session_has_an_address_of_its_hosts_family(folder):
    v6 = '[[source."both"]]\naddress = "::1"\nhostname = "out6.example"\n[[source."both"]]\naddress = "127.0.0.5"\nhostname = "out5.example"\n'
    with Host("::1") as six, Host() as four:
        def deliver(source, hops, campaign, *options):
            config = configuration(folder, four, f'source = "{source}"\n[destination."*".retry]\nfirst = "1s"\n' + POOL + v6)
            config.write_text(config.read_text().replace(f'["127.0.0.1:{four.port}"]', hops))
            return send(folder, config, "--campaign", campaign, *options, recipients=4)

        hops = f'["[::1]:{six.port}", "127.0.0.1:{four.port}"]'
        assert deliver("both", hops, "both", "--deliver").returncode == 0
        assert set(six.peers()) == {("::1", "out6.example")} and not four.seen, (six.seen, four.seen)
        # The IPv6 host comes first, and is left out.
        assert deliver("alerts", hops, "four", "--deliver").returncode == 0
        assert len(six.seen) == 4 and set(four.peers()) == {("127.0.0.4", "mta.example")}, (six.seen, four.seen)
        # It is the only one.
        assert deliver("alerts", f'["[::1]:{six.port}"]', "none").returncode == 0
        reason = 'source "alerts" has no IPv6 address, and the hosts no other'
        told = subprocess.run([SLUICE, "explain", "--config", folder / "c.toml", "r@x.example"], check=True, capture_output=True, text=True, timeout=20).stdout
        assert f"no host: 4.3.5 {reason}" in told, told
        engine = subprocess.Popen([SLUICE, "serve", "--config", folder / "c.toml", "--quiet"])
        try:
            wait_for(lambda: any(r["event"] == "deferred" and r["enhanced"] == "4.3.5" and reason in r["reason"] for r in log_records(folder / "log")))
        finally:
            engine.terminate()
            assert engine.wait(timeout=20) == 0
        assert deliver("both", f'["[::1]:{six.port}"]', "again").returncode == 0
        subprocess.run([SLUICE, "serve", "--config", folder / "c.toml", "--until-empty", "--quiet"], check=True, timeout=60)
    assert len(six.seen) == 12 and len(four.seen) == 4, (six.seen, four.seen)


def a_reload_changes_sources(folder):
    with Host() as host:
        def configured(policy, pool=POOL):
            return f'[destination."*"]\nnext_hop = ["127.0.0.1:{host.port}"]\nmessages_per_session_max = 1\n{policy}' + pool

        def sent_from(campaign, recipients=8):
            before = len(host.seen)
            if campaign:
                assert send(folder, engine.config, "--campaign", campaign, recipients=recipients).returncode == 0
            wait_for(lambda: len(host.seen) == before + recipients)
            return {peer for peer, _, _ in host.seen[before:]}

        lacking = POOL.replace("127.0.0.4", "192.0.2.4")
        with Engine(folder, configured('source = "alerts"\n', lacking)) as engine:
            assert send(folder, engine.config, "--campaign", "first", recipients=8).returncode == 0
            wait_for(lambda: sum(event == "deferred" for event, _ in engine.events()) == 8)
            wait_for(lambda: any("is not an address of this machine" in line for line in engine.told))
            # The address is another now: at once for those who wait.
            engine.reload(configured('source = "alerts"\n'))
            assert sent_from(None) == {"127.0.0.4"}
            engine.reload(configured('source = "news"\n'))
            assert sent_from("second") == {"127.0.0.2", "127.0.0.3"}
            engine.reload(configured('source = "news"\n[sender."*@news.example"]\nsource = "alerts"\n'))
            assert sent_from("third") == {"127.0.0.4"}
            engine.reload(configured(""))
            assert sent_from("fourth") == {"127.0.0.1"}
            told = engine.reload(configured('source = "none"\n'), "nothing has changed")
            assert 'there is no [[source."none"]]' in told, told
            told = engine.reload(configured('source = "alerts"\n', lacking), "is not an address of this machine")
            assert f"{engine.config}:" in told and "source.alerts.address" in told, told


def explain_shows_it(folder):
    with Host() as host:
        config = configuration(folder, host, 'source = "news"\n[sender."*@alerts.example"]\nsource = "alerts"\n' + POOL)

        def explain(*options):
            return subprocess.run([SLUICE, "explain", "--config", config, "r@x.example", *options], check=True, capture_output=True, text=True, timeout=20).stdout

        def place(source):
            line = config.read_text().splitlines().index(f'source = "{source}"') + 1
            return f"({config}:{line})"

        text = explain()
        assert f"Sent from: source = news {place('news')}\n" in text and "127.0.0.2" in text and "out3.example" in text, text
        text = explain("--sender", "a@alerts.example")
        assert f"source = alerts {place('alerts')}\n" in text and "127.0.0.4" in text and "mta.example" in text, text
        assert f"source = news {place('news')}\n" in explain("--sender", "a@other.example")
        decided = json.loads(explain("--json", "--sender", "a@alerts.example"))["policy"]["source"]
        assert decided["value"] == "alerts" and f"({decided['place']})" == place("alerts"), decided
        sources = json.loads(explain("--json"))["sources"]
        assert [(s["local"], s["hostname"], s["weight"]) for s in sources] == [("127.0.0.2", "out2.example", 3), ("127.0.0.3", "out3.example", 1)], sources


def main():
    for case in (a_destination_is_sent_to_from_its_source, a_campaign_is_sent_from_the_source_of_its_sender, a_campaign_may_name_its_source,
                 relayed_mail_is_sent_from_the_source_of_its_sender_else_of_its_destination, an_address_that_is_not_here_is_told_and_the_others_do_its_work,
                 a_source_that_is_not_here_is_nobodys_attempt, a_session_has_an_address_of_its_hosts_family, a_reload_changes_sources, explain_shows_it):
        with tempfile.TemporaryDirectory() as folder:
            case(pathlib.Path(folder))
        print(f"{case.__name__}: passed", flush=True)


if __name__ == "__main__":
    main()
