#!/usr/bin/env python3
# timeout_s: 240
"""The HTTP interface of `sluice serve`: what it shows and to whom, mail handed off through it, what became of that, and clients that mean ill.
Each answer is checked against docs/openapi.json."""
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

DEBIANS_PYTHON = "/usr/bin/python3"
try:
    import jsonschema
except ImportError:
    # Debian's package is for Debian's Python; another one may come first in PATH.
    if os.path.realpath(sys.executable) == os.path.realpath(DEBIANS_PYTHON):
        sys.exit("http_interface.py: python3-jsonschema is missing; tools/setup.sh installs it")
    os.execv(DEBIANS_PYTHON, [DEBIANS_PYTHON, *sys.argv])

from _sluice import SLUICE, Sink, free_port, root

TOKEN = "0123456789abcdef0123456789abcdef"
DESCRIPTION = json.loads((root / "docs" / "openapi.json").read_text())
CONFIG = """
[engine]
hostname = "mta.news.example"
spool = "{folder}/spool"
log = "{folder}/log"
shards = 2

[admin]
address = "127.0.0.1:{admin}"
{token}

[destination."*"]
next_hop = ["127.0.0.1:{port}"]
"""


class Relay:
    """`sluice serve` with an HTTP interface, and a sink that all mail leads to."""

    def __init__(self, folder, sink, token=True):
        self.folder, self.port = folder, free_port()
        token_file = folder / "token"
        token_file.write_text(TOKEN + "\n")
        token_file.chmod(0o640)
        self.config = folder / "c.toml"
        self.config.write_text(CONFIG.format(folder=folder, admin=self.port, port=sink.port,
                                             token=f'token_file = "{token_file}"' if token else ""))

    def __enter__(self):
        self.process = subprocess.Popen([SLUICE, "serve", "--config", self.config, "--quiet"], stderr=subprocess.PIPE)
        wait_for(lambda: self.is_up())
        return self

    def is_up(self):
        assert self.process.poll() is None, self.process.stderr.read()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            return True

    def __exit__(self, *error):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=20) == 0
        self.process.stderr.close()

    def ask(self, method, path, body=None, token=None, **headers):
        """(status, headers, body), the answer as docs/openapi.json has it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            headers = {name.replace("_", "-"): value for name, value in headers.items()}
            if token:
                headers["Authorization"] = f"Bearer {token}"
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            octets = answer.read()
        check_description(method, path, answer, octets)
        is_json = answer.getheader("Content-Type") == "application/json"
        return answer.status, answer.headers, json.loads(octets) if is_json and octets else octets.decode()

    def post(self, order, token=TOKEN, **headers):
        body = order if isinstance(order, (str, bytes)) else json.dumps(order)
        headers.setdefault("Content_Type", "application/json")
        return self.ask("POST", "/v1/messages", body, token, **headers)

    def post_pieces(self, pieces):
        """A stream, in chunks."""
        return self.ask("POST", "/v1/messages", pieces, TOKEN, Content_Type="application/x-ndjson")

    def metrics(self):
        status, _, text = self.ask("GET", "/metrics")
        assert status == 200
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in text.splitlines() if not line.startswith("#")}

    def fate(self, name, state):
        """What is said of it, once it has that state."""
        def look():
            status, _, answer = self.ask("GET", f"/v1/messages/{name}")
            return answer if status == 200 and answer["state"] == state else None
        return wait_for(look)


def wait_for(look, timeout_s=20):
    until = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)
    return found


def check_description(method, path, answer, octets):
    """Is that answer one of those that docs/openapi.json has?"""
    name = "/v1/messages/{id}" if path.startswith("/v1/messages/") else path
    operation = DESCRIPTION["paths"].get(name, {}).get("get" if method == "HEAD" else method.lower())
    if operation is None:
        return
    described = operation["responses"].get(str(answer.status))
    assert described, f"{method} {path}: {answer.status} is not described: {octets[:200]}"
    if "$ref" in described:
        described = DESCRIPTION["components"]["responses"][described["$ref"].rsplit("/", 1)[1]]
    kind = answer.getheader("Content-Type").split(";")[0]
    schema = described["content"][kind]["schema"]
    if method != "HEAD":
        instance = json.loads(octets) if kind == "application/json" else octets.decode()
        jsonschema.Draft202012Validator({**schema, "components": DESCRIPTION["components"]}).validate(instance)


def refused(answer, status, *words):
    assert answer[0] == status, answer
    text = json.dumps(answer[2])
    for word in words:
        assert json.dumps(word)[1:-1] in text, (word, text)


def message(subject="x"):
    return f"From: Ann <ann@news.example>\nTo: all\nSubject: {subject}\n\n{{{{not a tag}}}}\n"


# ---- Looking

def check_looks(relay, _):
    for path, words in (("/healthz", "ok\n"), ("/readyz", "ready\n")):
        assert relay.ask("GET", path)[::2] == (200, words)
    assert relay.ask("HEAD", "/healthz")[0] == 200
    refused(relay.ask("GET", "/nothing"), 404, "no such path")
    refused(relay.ask("DELETE", "/healthz"), 405, "GET")
    assert relay.ask("GET", "/v1/queue")[2]["total"]["waiting"] == 0
    refused(relay.ask("GET", "/v1/messages/0123456789abcdef.0"), 404)
    refused(relay.ask("GET", "/v1/messages/no-such-campaign"), 404)


def check_metrics(relay, sink):
    before = relay.metrics()
    status, _, receipt = relay.post({"from": "a@news.example", "to": ["m1@a.example", "m2@b.example"], "message": message()})
    assert status == 202
    for one in receipt["messages"]:
        relay.fate(one["id"], "delivered")
    after = wait_for(lambda: (now := relay.metrics())['sluice_recipients_waiting'] == 0 and now)
    grown = {name: value - before.get(name, 0) for name, value in after.items()}
    assert grown["sluice_recipients_accepted_total"] == 2
    assert grown['sluice_recipients_fates_total{fate="delivered"}'] == 2
    assert grown["sluice_delivery_duration_seconds_count"] == 2
    assert grown['sluice_phase_duration_seconds_count{phase="final_dot"}'] >= 1
    assert 0 < after["sluice_delivery_duration_seconds_sum"] < 3600
    assert after["sluice_ready"] == 1 and after["process_resident_memory_bytes"] > 1e6
    text = relay.ask("GET", "/metrics")[2]
    tools = subprocess.run([root / "tools" / "prometheus_tools.sh"], capture_output=True, text=True, check=True).stdout.strip()
    checked = subprocess.run([pathlib.Path(tools) / "promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert checked.returncode == 0 and not checked.stderr, checked


# ---- Handing off

def check_message(relay, sink):
    status, _, receipt = relay.post({"from": "list@news.example", "to": ["Bob@B.example", {"email": "ann@a.example"}, "bob@b.example"],
                                     "message": message("literal")})
    assert status == 202 and receipt["recipients"] == 2 and receipt["duplicates"] == 1, receipt
    assert [one["recipient"] for one in receipt["messages"]] == ["ann@a.example", "Bob@b.example"], receipt
    assert [one["id"] for one in receipt["messages"]] == [f"{receipt['uid']}.0", f"{receipt['uid']}.1"]
    told = relay.fate(receipt["messages"][0]["id"], "delivered")
    assert told["recipient"] == "ann@a.example" and told["last_event"]["code"] == 250, told
    campaign = relay.fate(receipt["uid"], "finished")
    assert campaign["delivered"] == 2 and campaign["recipients"] == 2, campaign
    octets = sink.saved("Subject: literal")
    assert len(octets) == 2 and all(b"{{not a tag}}" in one and b"Message-ID: <" in one for one in octets), octets


def check_template(relay, sink):
    order = {"from": "bounce+{{id}}@news.example", "campaign": "gazette 47/ä", "priority": "urgent", "notify": "failure,delay",
             "ret": "full", "envid": "QQ", "to": [{"email": f"t{i}@a.example", "id": i, "name": f"<N{i}>"} for i in range(3)],
             "template": "From: a@news.example\nSubject: template for {{name}}\n\nHello {{name}}\n"}
    status, _, receipt = relay.post(order)
    assert status == 202 and receipt["campaign"] == "gazette 47/ä", receipt
    campaign = relay.fate("gazette%2047%2F%C3%A4", "finished")
    assert campaign["delivered"] == 3
    assert relay.fate(campaign["uid"], "finished") == campaign
    assert all(b"Hello <N" in one for one in sink.saved("Subject: template for"))


def check_key(relay, sink):
    order = {"from": "a@news.example", "to": ["k1@a.example", "k2@b.example"], "message": message("keyed")}
    first = relay.post(order, Idempotency_Key="key-1")
    again = relay.post(order, Idempotency_Key="key-1")
    assert first[0] == again[0] == 202 and first[2] == again[2], (first, again)
    assert first[1]["Idempotent-Replayed"] is None and again[1]["Idempotent-Replayed"] == "true"
    relay.fate("key-1", "finished")
    late = relay.post({**order, "campaign": "key-1"})
    assert late[0] == 202 and late[2] == first[2], late
    refused(relay.post({**order, "to": ["k1@a.example"]}, Idempotency_Key="key-1"), 409, "key-1")
    refused(relay.post({**order, "campaign": "other"}, Idempotency_Key="key-1"), 400, "Idempotency-Key")
    assert len(sink.saved("Subject: keyed")) == 2


def check_stream(relay, sink):
    """Rows in pieces, more than a piece of anything holds; the answer is large, too."""
    count = 20000
    head = {"from": "a@news.example", "campaign": "stream", "template": "From: a@news.example\nSubject: stream {{n}}\n\n{{n}}\n"}

    def pieces():
        yield json.dumps(head).encode() + b"\n"
        for begin in range(0, count, 1000):
            yield b"".join(b'{"email": "s%d@d%d.example", "n": %d}\n' % (i, i % 7, i) for i in range(begin, begin + 1000))

    status, _, receipt = relay.post_pieces(pieces())
    assert status == 202 and receipt["recipients"] == count, (status, str(receipt)[:300])
    ids = {one["id"] for one in receipt["messages"]}
    assert len(ids) == count and {one["recipient"] for one in receipt["messages"]} == {f"s{i}@d{i % 7}.example" for i in range(count)}
    campaign = wait_for(lambda: (told := relay.ask("GET", "/v1/messages/stream")[2])["state"] == "finished" and told, 60)
    assert campaign["delivered"] == count
    refused(relay.post_pieces(iter([b'{"from": "a@b.example", "message": "x\\n"}\n{"email": "x@y.example"}\n{"email": "no"}\n[]\n'])), 422,
            "body:3: 'no' is not an address", "body:4:")
    refused(relay.post_pieces(iter([b'{"from": "a@b.example", "message": "x"}'])), 400, "no recipients")
    refused(relay.post_pieces(iter([b'{"from": "a@b.example", "message": "x", "to": ["a@b.example"]}\n{}\n'])), 400, "lines behind the first")


def check_mistakes(relay, _):
    good = {"from": "a@news.example", "to": ["a@a.example"], "message": message()}
    refused(relay.post("{"), 400, "no JSON")
    refused(relay.post("[1]"), 400, "no JSON object")
    refused(relay.post(b'{"from": "\xff"}'), 400, "no JSON")
    refused(relay.post({"frm": "x", "to": [7, {}], "message": 3, "priority": "soon", "notices": "me", "notify": "x", "ret": "x", "envid": "\n"}), 400,
            "'frm': this key is not known", "to[0]:", "message: a string", "priority:", "notices:", "notify:", "ret:", "envid:", "from:")
    refused(relay.post({**good, "template": "x"}), 400, "exclude each other")
    refused(relay.post({**good, "to": []}), 400, "names nobody")
    refused(relay.post({**good, "from": "no address"}), 400, "'no address' is not an address")
    refused(relay.post({**good, "to": ["a@a.example", "b@@b.example", "c"]}), 422, "to:2: 'b@@b.example'", "to:3: 'c'")
    refused(relay.post({**good, "to": [{"email": "a@a.example", "name": "x"}]}), 422, "takes no merge fields")
    refused(relay.post({"from": "a@b.example", "to": ["a@a.example"], "template": "Subject: {{nmae}}\n\nx\n"}), 422,
            "template:1: tag {{nmae}}", "no From header")
    refused(relay.post({**good, "campaign": "x" * 81}), 400, "80 octets")
    refused(relay.post({**good, "campaign": "a\nb"}), 400, "control")
    refused(relay.post(json.dumps(good), Content_Type="text/plain"), 415, "application/x-ndjson")
    assert relay.ask("GET", "/v1/queue")[2]["total"]["waiting"] == 0


# ---- Who may

def check_tokens(relay, _):
    good = {"from": "a@news.example", "to": ["a@a.example"], "message": message()}
    for token in (None, "", TOKEN[:-1], TOKEN + "0", "x" * 4000, TOKEN.upper()):
        answer = relay.post(good, token=token)
        refused(answer, 401, "bearer token")
        assert answer[1]["WWW-Authenticate"].startswith("Bearer")
    refused(relay.ask("POST", "/v1/messages", json.dumps(good), Authorization=f"Basic {TOKEN}", Content_Type="application/json"), 401)


def check_without_a_token(folder, sink):
    with Relay(folder, sink, token=False) as relay:
        assert relay.ask("GET", "/v1/queue")[0] == 200
        refused(relay.post({}), 403, "token_file")


def check_token_files(folder, sink):
    relay = Relay(folder, sink)
    token_file = folder / "token"
    for text, mode, words in ((TOKEN, 0o644, "others may use this file"), ("short", 0o600, "16 to 4096 octets"), ("x y" * 9, 0o600, "blanks")):
        token_file.write_text(text)
        token_file.chmod(mode)
        result = subprocess.run([SLUICE, "serve", "--config", relay.config], capture_output=True, text=True, timeout=20)
        assert result.returncode == 78 and words in result.stderr, result
    token_file.write_text(TOKEN)
    with socket.create_server(("127.0.0.1", relay.port)):
        result = subprocess.run([SLUICE, "serve", "--config", relay.config], capture_output=True, text=True, timeout=20)
        assert result.returncode == 69 and "Address already in use" in result.stderr, result


# ---- Ill will

def check_hostile_clients(relay, _):
    def send(octets, timeout_s=10):
        """What comes back, up to the end of the connection."""
        with socket.create_connection(("127.0.0.1", relay.port), timeout=timeout_s) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(octets)
                answer = b""
                while piece := connection.recv(65536):
                    answer += piece
                return answer

    def status(answer):
        """Of an answer; None when the connection was cut before it could be read."""
        return int(answer.split(b" ")[1]) if answer else None

    assert status(send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100000 + b"\r\n\r\n")) in (None, 431)
    assert status(send(b"GET /" + b"y" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")) in (None, 414, 431)
    assert status(send(b"\x16\x03\x01\x02\x00\x01\x00" + b"\xff" * 200 + b"\r\n\r\n")) in (None, 400)
    huge = send(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer " +
                TOKEN.encode() + b"\r\nContent-Length: 99999999999\r\n\r\n{}")
    assert status(huge) in (None, 413), huge
    unknown = send(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 100000)
    assert status(unknown) in (None, 401), unknown
    deep = relay.post('{"to":' + "[" * 100000 + "]" * 100000 + "}")
    refused(deep, 400, "no JSON")
    # Half a request, by many at once: the others are served meanwhile.
    half = [socket.create_connection(("127.0.0.1", relay.port), timeout=10) for _ in range(150)]
    for connection in half:
        connection.sendall(b"GET /metr")
    assert relay.ask("GET", "/healthz")[0] == 200
    for connection in half:
        connection.close()


def check_full_disk(folder, sink):
    """Where there is no room nothing is handed off and nothing stays; with room it goes on."""
    disk = folder / "spool"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=True)
    try:
        with Relay(folder, sink) as relay:
            head = json.dumps({"from": "a@news.example", "message": message("full disk")}).encode() + b"\n"
            rows = (b"".join(b'{"email": "r%d@a.example"}\n' % (1000 * i + j) for j in range(1000)) for i in range(500))
            refused(relay.post_pieces(itertools.chain([head], rows)), 503, "No space left on device")
            large = {"from": "a@news.example", "to": ["a@a.example"], "message": message() + "x" * 78 * 80000}
            refused(relay.post(large), 503, "no space left")
            assert not list((disk / "campaigns").iterdir())
            assert relay.post({**large, "message": message("room again")})[0] == 202
            wait_for(lambda: sink.saved("room again"))
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def check_slow_client(relay):
    """A header that comes a byte a second, and is never silent for long, is cut off."""
    with socket.create_connection(("127.0.0.1", relay.port), timeout=1) as connection:
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            for octet in b"GET /healthz HTTP/1.1\r\n" + b"X: " + b"y" * 100:
                connection.sendall(bytes([octet]))
                with contextlib.suppress(TimeoutError):
                    if not connection.recv(1):
                        break
            else:
                raise AssertionError("served for ever")
        assert 25 < time.monotonic() - began < 50


class SavingSink(Sink):
    def __init__(self, folder):
        super().__init__("--save", folder)
        self.folder = folder

    def saved(self, words):
        """What has these octets, once for each recipient."""
        contents = (path.read_bytes() for path in self.folder.glob("[!.]*"))
        return [octets for octets in contents if words.encode() in octets for _ in range(octets.count(b"\r\nDelivered-To: "))]


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for part in ("one", "two", "three", "four", "saved"):
            (folder / part).mkdir()
        with SavingSink(folder / "saved") as sink:
            with Relay(folder / "one", sink) as relay:
                for check in (check_looks, check_mistakes, check_tokens, check_metrics, check_message, check_template, check_key,
                              check_stream, check_hostile_clients):
                    check(relay, sink)
                check_slow_client(relay)
            check_without_a_token(folder / "two", sink)
            check_token_files(folder / "three", sink)
            check_full_disk(folder / "four", sink)


if __name__ == "__main__":
    if os.geteuid() != 0:  # a small disk needs root of somewhere
        os.execvp("unshare", ["unshare", "--user", "--map-root-user", "--mount", sys.executable, *sys.argv])
    main()
