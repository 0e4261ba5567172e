#!/usr/bin/env python3
"""Hostile and broken clients of the relay: each is bounded in time and memory, none gets a message through that was not one, and honest
clients are served meanwhile. `--clients N`: how many idle ones at once (default 100,000, of several processes)."""
# timeout_s: 300
import argparse
import concurrent.futures
import contextlib
import functools
import multiprocessing
import pathlib
import resource
import smtplib
import socket
import tempfile
import time

from _relay import Relay, wait_for
from _sluice import Sink, log_records

ENVELOPE = b"MAIL FROM:<a@news.example>\r\nRCPT TO:<b@x.example>\r\n"


class Line:
    """A connection without manners."""

    def __init__(self, relay, source="127.0.0.1", greeted=True):
        self.socket = socket.create_connection(("127.0.0.1", relay.port), timeout=20, source_address=(source, 0))
        self.buffer = b""
        if greeted:
            assert self.reply().startswith(b"220")
            assert self.say(b"EHLO client.example").startswith(b"250")

    def reply(self):
        """A whole reply; b"" at the end."""
        lines = b""
        while True:
            while b"\n" not in self.buffer:
                got = self.socket.recv(65536)
                if not got:
                    return lines + self.buffer
                self.buffer += got
            line, _, self.buffer = self.buffer.partition(b"\n")
            lines += line + b"\n"
            if line[3:4] != b"-":
                return lines

    def send(self, octets):
        self.socket.sendall(octets)

    def say(self, command):
        self.send(command + b"\r\n")
        return self.reply()

    def rest(self):
        """All that still comes, until the server closes."""
        with contextlib.suppress(ConnectionError):
            while got := self.socket.recv(65536):
                self.buffer += got
        return self.buffer

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()


def memory_kb(relay):
    status = pathlib.Path(f"/proc/{relay.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def honest_message(relay, subject="honest"):
    """Seconds from the connect to the 250."""
    began = time.monotonic()
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=20) as client:
        client.sendmail("honest@news.example", [f"{subject}@x.example"], f"Subject: {subject}\r\n\r\ntext\r\n")
    return time.monotonic() - began


def delivered(folder):
    return [record["recipient"] for record in log_records(folder / "log") if record["event"] == "delivered"]


def one_octet_a_second_does_not_hold_a_session(folder):
    with Sink() as sink, Relay(folder, sink.port, 'command_timeout = "3s"\ncontent_timeout = "3s"\n') as relay:
        for beginning in (b"", ENVELOPE + b"DATA\r\n"):
            with Line(relay) as line:
                line.send(beginning)
                began = time.monotonic()
                line.socket.settimeout(1)
                gone = False
                while not gone and time.monotonic() - began < 15:
                    try:
                        line.send(b"N")
                        time.sleep(0.5)
                        line.socket.settimeout(0.001)
                        while (got := line.socket.recv(4096)):
                            line.buffer += got
                        gone = True
                    except TimeoutError:
                        pass
                    except ConnectionError:
                        gone = True
                took = time.monotonic() - began
                assert gone and took < 6, (beginning, took)
                assert b"421 4.4.2" in line.buffer, line.buffer
        honest_message(relay)
        wait_for(lambda: delivered(folder) == ["honest@x.example"])


def a_line_without_end_costs_nothing(folder):
    with Sink() as sink, Relay(folder, sink.port) as relay:
        honest_message(relay, "first")
        before = memory_kb(relay)
        for beginning in (b"", b"NOOP ", ENVELOPE + b"DATA\r\n"):
            with Line(relay) as line:
                line.send(beginning)
                with contextlib.suppress(ConnectionError, TimeoutError):
                    for _ in range(320):
                        line.send(b"x" * 65536)
                    line.socket.shutdown(socket.SHUT_WR)
                assert b" Ok: queued" not in line.rest(), line.buffer[-200:]
        grown = memory_kb(relay) - before
        assert grown < 16 * 1024, f"{grown} KiB more after lines of 20 MiB"
        honest_message(relay, "second")
        wait_for(lambda: sorted(delivered(folder)) == ["first@x.example", "second@x.example"])


def who_does_not_read_is_not_served(folder):
    """Commands without end whose replies nobody reads: the server stops reading, and keeps little."""
    with Sink() as sink, Relay(folder, sink.port, 'command_timeout = "3s"\n') as relay:
        honest_message(relay, "first")
        before = memory_kb(relay)
        with Line(relay) as line:
            line.socket.settimeout(0.5)
            sent = 0
            with contextlib.suppress(TimeoutError, ConnectionError):
                while sent < 64 << 20:
                    sent += line.socket.send((b"RSET\r\n" + ENVELOPE) * 500)
            assert sent < 64 << 20
            assert memory_kb(relay) - before < 16 * 1024
        honest_message(relay, "second")


def beyond_the_limit_recipients_are_put_off_and_the_others_get_it(folder):
    with Sink() as sink, Relay(folder, sink.port, "recipients_max = 100\n") as relay, Line(relay) as line:
        assert line.say(b"MAIL FROM:<a@news.example>").startswith(b"250")
        line.send(b"".join(b"RCPT TO:<u%d@x.example>\r\n" % number for number in range(1000)))
        replies = [line.reply() for _ in range(1000)]
        assert all(reply.startswith(b"250") for reply in replies[:100]) and all(reply.startswith(b"452 4.5.3") for reply in replies[100:]), replies[99:102]
        assert line.say(b"DATA").startswith(b"354")
        assert line.say(b"Subject: many\r\n\r\ntext\r\n.").startswith(b"250")
        wait_for(lambda: sorted(delivered(folder)) == sorted(f"u{number}@x.example" for number in range(100)))


def a_thousand_recipients_of_one_message_are_taken(folder):
    with Sink() as sink, Relay(folder, sink.port) as relay, Line(relay) as line:
        line.send(b"MAIL FROM:<a@news.example>\r\n" + b"".join(b"RCPT TO:<u%d@x.example>\r\n" % number for number in range(1000)) + b"DATA\r\n")
        replies = [line.reply() for _ in range(1002)]
        assert all(reply.startswith(b"250") for reply in replies[:-1]) and replies[-1].startswith(b"354"), replies[-2:]
        assert line.say(b"Subject: many\r\n\r\ntext\r\n.").startswith(b"250")
        wait_for(lambda: len(set(delivered(folder))) == 1000)


def a_chunk_of_another_length_is_no_message(folder):
    with Sink() as sink, Relay(folder, sink.port) as relay:
        with Line(relay) as line:  # fewer octets than said, and gone
            line.send(ENVELOPE + b"BDAT 1000 LAST\r\nSubject: short\r\n\r\nx\r\n")
            line.socket.shutdown(socket.SHUT_WR)
            assert b"queued" not in line.rest(), line.buffer
        with Line(relay) as line:  # more than said: the rest are commands, and none that there are
            line.send(ENVELOPE)
            assert line.reply().startswith(b"250") and line.reply().startswith(b"250")
            line.send(b"BDAT 15\r\nSubject: long\r\nMAIL FROM:<evil@x.example>\r\nRCPT TO:<victim@x.example>\r\nDATA\r\n")
            replies = [line.reply() for _ in range(4)]
            assert replies[0].startswith(b"250") and all(reply[:1] == b"5" for reply in replies[1:]), replies
            assert line.say(b"RSET").startswith(b"250")
        for size in (b"-1", b"99999999999999999999", b"x", b"", b"10 LAST more", b"0x10"):
            with Line(relay) as line:
                line.send(ENVELOPE + b"BDAT " + size + b"\r\nQUIT\r\n")
                assert b"queued" not in line.rest(), (size, line.buffer)
        honest_message(relay)
        wait_for(lambda: delivered(folder))
        assert delivered(folder) == ["honest@x.example"], delivered(folder)


def nothing_is_smuggled(folder):
    """What other servers took, or take, for the end of a message within one (CVE-2023-51764, -51765, -51766 and their like)."""
    smuggled = b"MAIL FROM:<evil@x.example>%sRCPT TO:<victim@x.example>%sDATA%sSubject: smuggled%s%ssmuggled%s.%s"
    ends = [before + b"." + after for before in (b"\n", b"\r", b"\r\n", b"\r\r\n", b"\r\n\0", b"\n\n", b"\x85", b"\0\r\n") for after in (b"\n", b"\r", b"\r\r\n", b"\r\0\n", b"\0\r\n", b"\x85")]
    ends += [b"\n.\r\n", b"\r.\r\n", b"\r\n..\r\n", b"\r\n.\r\0", b"\r\n .\r\n"]
    with Sink() as sink, Relay(folder, sink.port) as relay:
        for number, end in enumerate(ends):
            newline = b"\r\n" if number % 2 else b"\n"
            with Line(relay) as line:
                line.send(ENVELOPE + b"DATA\r\n")
                assert [line.reply()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
                line.send(b"Subject: outer\r\n\r\nouter" + end + smuggled % ((newline,) * 7) + b"\r\n.\r\nQUIT\r\n")
                replies = line.rest()
                assert replies.count(b"queued") <= 1 and b"\n354" not in replies, (end, replies)
        honest_message(relay)
        wait_for(lambda: "honest@x.example" in delivered(folder))
        time.sleep(0.5)
        assert "victim@x.example" not in delivered(folder), delivered(folder)


def a_web_page_cannot_hand_mail_over(folder):
    """A browser, or a server told to fetch something, that was sent to the port of a relay which trusts its machine."""
    with Sink() as sink, Relay(folder, sink.port) as relay:
        for head in (b"POST / HTTP/1.1", b"GET / HTTP/1.1", b"CONNECT x.example:25 HTTP/1.1"):
            with Line(relay, greeted=False) as line:
                line.send(head + b"\r\nHost: x\r\n\r\nEHLO x\r\n" + ENVELOPE + b"DATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n")
                assert b"queued" not in line.rest() and b"\n250" not in line.buffer, line.buffer
        honest_message(relay)
        wait_for(lambda: delivered(folder) == ["honest@x.example"])


def idle(port, count, first, opened, end):
    """A process with `count` connections that say nothing, from addresses of its own."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    sockets = []
    for number in range(count):
        one = socket.socket()
        one.setblocking(False)
        with contextlib.suppress(OSError):
            one.bind((f"127.{first}.{number // 200 % 250}.{1 + number // 50000}", 0))
            one.connect_ex(("127.0.0.1", port))
            sockets.append(one)
        if number % 500 == 499:
            time.sleep(0.02)
    opened.put(len(sockets))
    end.wait()


def idle_clients_shut_nobody_out(folder, clients):
    each = 16_000
    processes = -(-clients // each)
    with Sink() as sink, Relay(folder, sink.port) as relay:
        honest_message(relay, "before")
        before = memory_kb(relay)
        opened, end = multiprocessing.Queue(), multiprocessing.Event()
        crowd = [multiprocessing.Process(target=idle, args=(relay.port, min(each, clients - number * each), 10 + number, opened, end)) for number in range(processes)]
        try:
            for process in crowd:
                process.start()
            total = sum(opened.get(timeout=120) for _ in crowd)
            took = [honest_message(relay, f"meanwhile{number}") for number in range(20)]
            memory = memory_kb(relay)
        finally:
            end.set()
            for process in crowd:
                process.join()
        wait_for(lambda: len(delivered(folder)) == 21)
    took.sort()
    print(f"{total:,} clients that say nothing: engine {memory - before:,} KiB larger; 20 honest messages meanwhile: {took[10] * 1000:.0f} ms (median), {took[-1] * 1000:.0f} ms (most)")
    assert total == clients and memory - before < 128 * 1024 and took[-1] < 5, (total, memory, took)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--clients", type=int, default=100_000)
    clients = options.parse_args().clients
    cases = (one_octet_a_second_does_not_hold_a_session, a_line_without_end_costs_nothing, who_does_not_read_is_not_served,
             beyond_the_limit_recipients_are_put_off_and_the_others_get_it, a_thousand_recipients_of_one_message_are_taken, a_chunk_of_another_length_is_no_message,
             nothing_is_smuggled, a_web_page_cannot_hand_mail_over, functools.partial(idle_clients_shut_nobody_out, clients=clients))
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            case(pathlib.Path(folder))
        print(f"{getattr(case, '__name__', 'idle_clients_shut_nobody_out')}: passed", flush=True)


if __name__ == "__main__":
    main()
