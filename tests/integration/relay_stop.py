#!/usr/bin/env python3
"""SIGTERM with relay sessions open ends within 10 s, with exit 0, whatever the peers do; SIGUSR1 opens the log anew, also of mail that comes in."""
# timeout_s: 90
import contextlib
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

from _sluice import SLUICE, Sink, log_records
from relay import Relay, wait_for


def raw(relay, *lines):
    """A client that said these lines, and reads nothing more."""
    connection = socket.create_connection(("127.0.0.1", relay.port), timeout=20)
    connection.sendall("".join(line + "\r\n" for line in lines).encode())
    return connection


def ends_in_time(relay, at_most):
    began = time.monotonic()
    relay.stop()
    seconds = time.monotonic() - began
    assert seconds < at_most, seconds
    return seconds


def idle_clients_are_told(folder):
    with Sink() as sink:
        relay = Relay(folder, sink.port)
        relay.start()
        idle = [raw(relay, "EHLO c.example") for _ in range(20)]
        time.sleep(0.3)
        ends_in_time(relay, 3)
        for connection in idle:
            said = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := connection.recv(4096):
                    said += piece
            assert b"421 4.3.2" in said, said
            connection.close()


def one_in_the_middle_of_data_is_waited_for_so_long(folder):
    with Sink() as sink:
        relay = Relay(folder, sink.port)
        relay.start()
        slow = raw(relay, "EHLO c.example", "MAIL FROM:<a@news.example>", "RCPT TO:<b@x.example>", "DATA", "Subject: half")
        time.sleep(0.5)
        print(f"in the middle of DATA: {ends_in_time(relay, 12):.1f} s")
        slow.close()
    assert sink.result["messages"] == 0


def one_that_ends_its_data_in_time_is_answered(folder):
    with Sink() as sink:
        relay = Relay(folder, sink.port)
        relay.start()
        client = raw(relay, "EHLO c.example", "MAIL FROM:<a@news.example>", "RCPT TO:<b@x.example>", "DATA", "Subject: half")
        time.sleep(0.5)
        relay.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        client.sendall(b"\r\nwhole\r\n.\r\n")
        said = b""
        while piece := client.recv(4096):
            said += piece
        assert b"250 2.0.0 Ok: queued as" in said, said
        relay.process.communicate(timeout=12)
        assert relay.process.returncode == 0
        # It was acknowledged: it is there.
        with relay:
            wait_for(lambda: any(r["event"] == "delivered" for r in log_records(folder / "log")))


def a_next_hop_that_stalls_at_the_final_dot_is_waited_for_so_long(folder):
    with Sink("--fault", "final_dot:stall") as sink:
        relay = Relay(folder, sink.port)
        relay.start()
        with relay.client() as client:
            client.sendmail("a@news.example", ["b@x.example"], "Subject: hello\r\n\r\nhello\r\n")
        time.sleep(1)
        print(f"a next hop that stalls: {ends_in_time(relay, 12):.1f} s")


def an_engine_that_just_begins_ends_too(folder):
    """Whenever in its start it is told: before it listens to signals they end it, later it ends itself."""
    config = folder / "c.toml"
    config.write_text(f'[engine]\nhostname = "relay.example"\nspool = "{folder}/spool"\nlog = "{folder}/log"\nshards = 2\n')
    for ms in range(0, 100, 2):
        engine = subprocess.Popen([SLUICE, "serve", "--config", config], stderr=subprocess.DEVNULL)
        time.sleep(ms / 1000)
        engine.send_signal(signal.SIGTERM)
        try:
            assert engine.wait(timeout=20) in (0, -signal.SIGTERM), (ms, engine.returncode)
        finally:
            engine.kill()


def the_log_is_opened_anew(folder):
    with Sink() as sink, Relay(folder, sink.port) as relay:
        with relay.client() as client:
            client.sendmail("a@news.example", ["b@x.example"], "Subject: one\r\n\r\none\r\n")
            log = folder / "log" / "transactions.jsonl"
            wait_for(lambda: any(r["event"] == "delivered" for r in log_records(folder / "log")))
            log.rename(folder / "old.jsonl")
            relay.process.send_signal(signal.SIGUSR1)
            time.sleep(0.5)  # it is there with the next line
            client.sendmail("a@news.example", ["c@x.example"], "Subject: two\r\n\r\ntwo\r\n")
            wait_for(lambda: log.exists() and sorted(r["event"] for r in log_records(folder / "log")) == ["accepted", "delivered"])


def main():
    for case in (idle_clients_are_told, one_in_the_middle_of_data_is_waited_for_so_long, one_that_ends_its_data_in_time_is_answered,
                 a_next_hop_that_stalls_at_the_final_dot_is_waited_for_so_long, an_engine_that_just_begins_ends_too, the_log_is_opened_anew):
        with tempfile.TemporaryDirectory() as folder:
            case(pathlib.Path(folder))
        print(f"{case.__name__}: passed", flush=True)


if __name__ == "__main__":
    main()
