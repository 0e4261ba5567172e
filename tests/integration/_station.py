"""`sluice serve` between a client and a `sluice sink`: what came out at the other end, message by message, and the words of the
envelope on their way there."""
import pathlib
import re
import socket
import ssl
import threading
import time

from _relay import Relay, wait_for
from _sluice import Sink, free_port
from relay_tls import certificate, users

EXTENSIONS = "PIPELINING,SIZE 104857600,8BITMIME,SMTPUTF8,ENHANCEDSTATUSCODES,DSN"


class Tap:
    """Passes on what comes at `port` to `target`, and keeps the MAIL and RCPT commands that it saw."""

    def __init__(self, target):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port, self.target, self.commands = self.listener.getsockname()[1], target, []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self.pass_on, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.pass_on, args=(server, client, False), daemon=True).start()

    def pass_on(self, source, target, is_client):
        rest = b""
        try:
            while octets := source.recv(65536):
                if is_client:
                    *lines, rest = (rest + octets).split(b"\r\n")
                    self.commands += [line.decode() for line in lines if re.match(rb"(MAIL FROM|RCPT TO):", line)]
                target.sendall(octets)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()


class Station:
    """With STARTTLS on `port` and TLS at once on `tls_port`; user ann (relay_tls.PASSWORD); who is on loopback may relay."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.saved = self.folder / "saved"
        self.saved.mkdir()
        self.pem, key = certificate(self.folder)
        self.trust = ssl.create_default_context(cafile=self.pem)
        self.trust.check_hostname = False
        secure = f'tls_certificate = "{self.pem}"\ntls_key = "{key}"\nusers = "{users(self.folder)}"\n'
        self.tls_port = free_port()
        self.sink = Sink("--save", self.saved, "--extensions", EXTENSIONS)
        self.tap = Tap(self.sink.port)
        self.relay = Relay(folder, self.tap.port, secure + f'[[listen]]\naddress = "127.0.0.1:{self.tls_port}"\ntls = "implicit"\n{secure}')
        self.port, self.config = self.relay.port, self.folder / "c.toml"

    def __enter__(self):
        self.relay.start()
        return self

    def __exit__(self, *error):
        if self.relay.process.poll() is None:
            self.relay.stop()
        self.sink.__exit__(*error)

    def configure(self, more):
        """Starts it anew with more configuration."""
        self.relay.stop()
        with open(self.config, "a", encoding="utf-8") as config:
            config.write(more)
        self.relay.start()

    def arrived(self):
        """(envelope sender, recipients, octets) of each message that the sink has."""
        return [split_envelope(path.read_bytes()) for path in sorted(self.saved.glob("[!.]*"))]  # a dot: being written

    def copies(self):
        return sum(len(recipients) for _, recipients, _ in self.arrived())

    def take(self, copies, seconds=30):
        """{recipient: (sender, octets)} once `copies` arrived, all to different recipients, and no more come; then they are forgotten."""
        wait_for(lambda: self.copies() >= copies, seconds)
        time.sleep(0.2)
        taken = [(recipient, (sender, octets)) for sender, recipients, octets in self.arrived() for recipient in recipients]
        assert len(taken) == copies == len(dict(taken)), (copies, len(taken), sorted(recipient for recipient, _ in taken)[:20])
        for path in self.saved.glob("[!.]*"):
            path.unlink()
        return dict(taken)

    def take_one(self, sender, recipient):
        """The octets of the only message that arrived, which has this envelope."""
        taken = self.take(1)
        assert list(taken) == [recipient] and taken[recipient][0] == sender, taken
        return taken[recipient][1]

    def commands(self):
        """The MAIL and RCPT commands since the last call, without SIZE, as they went to the sink."""
        commands, self.tap.commands[:] = [re.sub(r" SIZE=\d+", "", command) for command in self.tap.commands], []
        return commands


def split_envelope(octets):
    sender, octets = octets.removeprefix(b"Return-Path: <").split(b">\r\n", 1)
    recipients = []
    while octets.startswith(b"Delivered-To: "):
        recipient, octets = octets.removeprefix(b"Delivered-To: ").split(b"\r\n", 1)
        recipients.append(recipient.decode())
    return sender.decode(), recipients, octets


def split_received(octets):
    """The Received field that the relay put on top, unfolded, and what the client sent."""
    field = re.match(rb"Received: (?:.*\r\n)(?:[ \t].*\r\n)*", octets)
    assert field, octets[:300]
    return " ".join(field[0].decode().split()), octets[field.end():]
