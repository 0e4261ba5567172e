"""Hands mails to an MTA over SMTP: several sessions at once, one process each, pipelined where the server offers it."""
import os
import signal
import socket
import time

MAILS_PER_SESSION = 100


class Refused(Exception):
    pass


class Session:
    def __init__(self, address):
        self.socket = socket.create_connection(address, 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        self.expect("220")
        self.pipelining = b"PIPELINING" in self.ask("EHLO feeder.example", "250")

    def expect(self, code):
        lines = []
        while True:
            line = self.file.readline()
            lines.append(line)
            if line[3:4] != b"-":
                break
        if not line.startswith(code.encode()):
            raise Refused(line.decode(errors="replace").strip() or "closed")
        return b"".join(lines)

    def ask(self, command, code):
        self.socket.sendall(command.encode() + b"\r\n")
        return self.expect(code)

    def send(self, sender, recipient, content):
        envelope = [(f"MAIL FROM:<{sender}>", "250"), (f"RCPT TO:<{recipient}>", "250"), ("DATA", "354")]
        if self.pipelining:
            self.socket.sendall("".join(command + "\r\n" for command, _ in envelope).encode())
            for _, code in envelope:
                self.expect(code)
        else:
            for command, code in envelope:
                self.ask(command, code)
        self.socket.sendall(content + b".\r\n")
        self.expect("250")

    def quit(self):
        self.ask("QUIT", "221")
        self.socket.close()


def await_server(address, patience_s=30):
    _await(address, lambda connection: connection.recv(3) == b"220", patience_s)


def await_listener(address, patience_s=30):
    """One that does not speak first."""
    _await(address, lambda connection: True, patience_s)


def _await(address, is_served, patience_s):
    end = time.monotonic() + patience_s
    while True:
        try:
            with socket.create_connection(address, 5) as connection:
                if is_served(connection):
                    return
        except OSError:
            pass
        if time.monotonic() > end:
            raise RuntimeError(f"nobody greets on {address[0]}:{address[1]}")
        time.sleep(0.05)


def _feed_share(address, sender, mails, first, step):
    session = None
    for number, i in enumerate(range(first, mails.count, step)):
        if session is None:
            session = Session(address)
        session.send(sender, mails.recipient(i), mails.wire(i))
        if number % MAILS_PER_SESSION == MAILS_PER_SESSION - 1:
            session.quit()
            session = None
    if session:
        session.quit()


def in_processes(count, work):
    """Runs work(0) ... work(count - 1) in a process each; RuntimeError if one fails."""
    children = []
    for index in range(count):
        child = os.fork()
        if child == 0:
            code = 1
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            try:
                work(index)
                code = 0
            except BaseException as error:  # noqa: B902: a child ends here, whatever it was
                os.write(2, f"versus: feeding failed: {error!r}\n".encode())
            finally:
                os._exit(code)
        children.append(child)
    failed = [child for child in children if os.waitpid(child, 0)[1]]
    if failed:
        raise RuntimeError(f"{len(failed)} of {count} feeding processes failed")


def feed(address, sender, mails, sessions=10):
    """All mails, each answered with 250 when this returns."""
    sessions = min(sessions, mails.count)
    in_processes(sessions, lambda index: _feed_share(address, sender, mails, index, sessions))
