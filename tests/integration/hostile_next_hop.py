#!/usr/bin/env python3
"""Next hops that refuse, stall, close, or talk nonsense: what the transaction log says of each, and that nothing is lost.

Every scenario runs `sluice send --deliver` of three recipients against a server of its own, with short deadlines; a recipient that
is never taken expires after a second, so that every run ends."""

import json
import pathlib
import socket
import sys
import tempfile
import threading

from _sluice import deliver, log_records

MESSAGE = "From: a@sender.example\nTo: {{email}}\nSubject: Hi {{name}}\n\nHello {{name}}\n"
LIST = "email,name\nann@a.example,Ann\nbob@b.example,Bob\ncid@c.example,Cid\n"
CONFIG = """
[engine]
hostname = "mta.sender.example"
shards = 1
spool = "{folder}/spool"
log = "{folder}/log"
[destination."*"]
next_hop = ["127.0.0.1:{port}"]
[destination."*".timeout]
connect = "400ms"
greeting = "400ms"
ehlo = "400ms"
mail = "400ms"
rcpt = "400ms"
data = "400ms"
block = "400ms"
final_dot = "400ms"
quit = "200ms"
idle = "100ms"
[destination."*".retry]
first = "200ms"
ceiling = "200ms"
[destination."*".expire]
normal = "1s"
"""


class Peer:
    """One connection as a script sees it."""

    def __init__(self, connection):
        self.connection = connection
        self.buffer = b""

    def say(self, *lines, end=b"\r\n"):
        self.connection.sendall(b"".join(line.encode("latin-1") + end for line in lines))

    def raw(self, octets):
        self.connection.sendall(octets)

    def line(self):
        while b"\r\n" not in self.buffer:
            got = self.connection.recv(65536)
            if not got:
                raise EOFError
            self.buffer += got
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def content(self):
        while b"\r\n.\r\n" not in self.buffer:
            got = self.connection.recv(65536)
            if not got:
                raise EOFError
            self.buffer += got
        content, self.buffer = self.buffer.split(b"\r\n.\r\n", 1)
        return content

    def serve(self, until="", say=None):
        """A plain server; at the stage named `until` it calls say(peer) instead and ends."""
        say = say or (lambda peer: None)
        if until == "greeting":
            return say(self)
        self.say("220 peer.example")
        while True:
            command = self.line().upper()
            stage = command.split(b" ")[0].split(b":")[0].decode()
            if stage == until.upper():
                return say(self)
            if stage == "EHLO":
                self.say("250-peer.example", "250-PIPELINING", "250 8BITMIME")
            elif stage == "DATA":
                self.say("354 go on")
                if until == "content":
                    return say(self)
                self.content()
                if until == "dot":
                    return say(self)
                self.say("250 2.0.0 taken")
            elif stage == "QUIT":
                self.say("221 bye")
                return None
            else:
                self.say("250 ok")


class Server:
    def __init__(self, script, backlog=100):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.port = self.listener.getsockname()[1]
        self.script = script
        self.open = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self.one, args=(connection,), daemon=True).start()

    def one(self, connection):
        try:
            self.script(Peer(connection))
            connection.close()
        except (EOFError, OSError):
            pass


def stall(peer):
    try:
        while peer.connection.recv(65536):
            pass
    except OSError:
        pass


def endless(peer):
    while True:
        peer.raw(b"250-and another thing\r\n" * 100)


def endless_line(peer):
    while True:
        peer.raw(b"250-" + b"x" * 4096)


def a_byte_at_a_time(peer):
    import time
    for octet in b"250-" + b"slow" * 100:
        peer.raw(bytes([octet]))
        time.sleep(0.1)


def bare_lf(peer):
    peer.say = lambda *lines: peer.raw(b"".join(line.encode() + b"\n" for line in lines))
    peer.serve()


def with_nul(peer):
    say = peer.say
    peer.say = lambda *lines: say(*(line + " \0\x1b[31m\x7f" if line.startswith("250 2.0.0") else line for line in lines))
    peer.serve()


def at(stage, say=None):
    return lambda peer: peer.serve(stage, say)


# name: script, exit code, and what every first record of a recipient must hold
EXPIRED, DELIVERED = 1, 0
SCENARIOS = {
    "greeting never comes": (at("greeting", stall), EXPIRED, {"phase": "greeting", "reason": "greeting: timed out after 0.4 s"}),
    "greeting 554": (at("greeting", lambda p: p.say("554 5.3.2 go away")), EXPIRED,
                     {"phase": "greeting", "code": 554, "enhanced": "5.3.2", "text": "554 5.3.2 go away"}),
    "greeting 421": (at("greeting", lambda p: p.say("421 4.3.2 not now")), EXPIRED, {"phase": "greeting", "code": 421}),
    "closes at once": (at("greeting"), EXPIRED, {"phase": "greeting", "reason": "greeting: connection closed by peer"}),
    "closes at EHLO": (at("ehlo"), EXPIRED, {"phase": "ehlo", "reason": "ehlo: connection closed by peer"}),
    "closes at MAIL": (at("mail"), EXPIRED, {"phase": "mail"}),
    "closes at RCPT": (at("rcpt"), EXPIRED, {"phase": "rcpt"}),
    "closes at DATA": (at("data"), EXPIRED, {"phase": "data"}),
    "closes in the content": (at("content"), EXPIRED, {}),
    "closes at the dot": (at("dot"), EXPIRED, {"event": "in_doubt", "phase": "final_dot"}),
    "stalls at the dot": (at("dot", stall), EXPIRED, {"event": "in_doubt", "phase": "final_dot", "reason": "final_dot: timed out after 0.4 s"}),
    "stalls at MAIL": (at("mail", stall), EXPIRED, {"phase": "mail", "reason": "mail: timed out after 0.4 s"}),
    "endless reply lines": (at("ehlo", endless), EXPIRED, {"phase": "ehlo"}),
    "a line without end": (at("ehlo", endless_line), EXPIRED, {"phase": "ehlo"}),
    "a byte at a time": (at("ehlo", a_byte_at_a_time), EXPIRED, {"phase": "ehlo", "reason": "ehlo: timed out after 0.4 s"}),
    "garbage for a greeting": (at("greeting", lambda p: p.raw(b"\xff\xfe\x00HTTP/1.1 200 OK\r\n")), EXPIRED, {"phase": "greeting"}),
    "bare LF replies": (bare_lf, DELIVERED, {"event": "delivered"}),
    "NUL and escapes in replies": (with_nul, DELIVERED, {"event": "delivered"}),
    "refuses the recipient": (at("rcpt", lambda p: (p.say("550 5.1.1 no such user"), stall(p))), 1, {"event": "failed", "phase": "rcpt", "code": 550}),
    "refuses the content": (at("dot", lambda p: (p.say("554 5.7.1 spam"), stall(p))), 1, {"event": "failed", "phase": "final_dot", "code": 554}),
}


def run(name, port, expected_exit, expected):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        done = deliver(path, CONFIG.format(folder=folder, port=port), MESSAGE, LIST, "b@sender.example")
        assert done.returncode == expected_exit, (name, done.returncode, done.stdout, done.stderr)
        octets = (path / "log" / "transactions.jsonl").read_bytes()
        assert not any(octet < 32 and octet != 10 or octet == 127 for octet in octets), (name, "control characters in the log", octets)
        records = log_records(path / "log")
        by_recipient = {}
        for record in records:
            if "recipient" in record:
                by_recipient.setdefault(record["recipient"], []).append(record)
        assert set(by_recipient) == {"ann@a.example", "bob@b.example", "cid@c.example"}, (name, by_recipient.keys())
        fates = ("delivered", "failed", "expired")
        for recipient, history in by_recipient.items():
            assert [r["event"] in fates for r in history] == [False] * (len(history) - 1) + [True], (name, recipient, [r["event"] for r in history])
            # Who expires while waiting has made no further attempt.
            attempts = [r["attempt"] for r in history if r["event"] != "expired" or r is history[0]]
            assert attempts == list(range(1, len(attempts) + 1)), (name, recipient, attempts)
            assert history[-1]["attempt"] in (attempts[-1], attempts[-1] + 1), (name, recipient, history[-1])
            for key, value in expected.items():
                if key == "event" and len(history) == 1 and history[0]["event"] == "expired":
                    continue  # its only attempt came too late for another
                assert history[0].get(key) == value, (name, key, history[0])
        result = json.loads(done.stdout)
        assert result["delivered"] + result["failed"] + result["expired"] == 3 and result["waiting"] == 0, (name, result)
        print(f"ok: {name}")


def main():
    for name, (script, expected_exit, expected) in SCENARIOS.items():
        run(name, Server(script).port, expected_exit, expected)

    refused = socket.create_server(("127.0.0.1", 0))
    port = refused.getsockname()[1]
    refused.close()
    run("connection refused", port, EXPIRED, {"phase": "connect", "reason": "connect: connection refused"})

    # A full backlog leaves further SYNs unanswered: a black hole on loopback.
    hole = socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(hole.getsockname())
        fillers.append(filler)
    run("a black hole", hole.getsockname()[1], EXPIRED, {"phase": "connect", "reason": "connect: timed out after 0.4 s"})


if __name__ == "__main__":
    sys.exit(main())
