#!/usr/bin/env python3
"""ETRN (RFC 1985), end to end: mail for a host that is seldom there is held; when it comes and asks, all that waits is delivered, and what
comes later waits again. Only those who may relay may ask; what an operator holds is not a client's to release."""
# timeout_s: 120
import pathlib
import socket
import tempfile
import time

from _relay import Relay, wait_for
from _sluice import Sink, free_port, log_records

MORE = """[destination."dialup.example"]
hold = "etrn"
[destination."*.dialup.example"]
hold = "etrn"
[destination."other.example"]
hold = "etrn"
[destination."kept.dialup.example"]
hold = "manual"
"""


def send(relay, *recipients):
    with relay.client() as client:
        for recipient in recipients:
            client.sendmail("a@news.example", [recipient], f"Subject: for {recipient}\r\n\r\nhello\r\n")


def etrn(relay, target):
    with relay.client() as client:
        client.ehlo("branch.example")
        assert client.has_extn("etrn")
        return client.docmd("ETRN", target)


def delivered(folder):
    return sorted(r["recipient"] for r in log_records(folder / "log") if r["event"] == "delivered")


def branch(port):
    """The branch office's server. That which was there before may still be on its way out: a ring ends behind its process."""
    def is_free():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                probe.listen()
                return True
            except OSError:
                return False
    wait_for(is_free)
    return Sink(listen=f"127.0.0.1:{port}")


def delivers_what_waits_when_its_host_asks(folder):
    port = free_port()  # of the branch office, which is not there yet
    with Relay(folder, port, MORE) as relay:
        send(relay, "a@dialup.example", "b@dialup.example", "c@sub.dialup.example", "d@other.example", "e@kept.dialup.example")
        time.sleep(0.5)
        assert not any(r["event"] in ("delivered", "deferred") for r in log_records(folder / "log")), "it tried before it was asked to"

        with branch(port) as sink:
            code, text = etrn(relay, "dialup.example")
            assert code == 250 and b"dialup.example" in text, (code, text)
            wait_for(lambda: len(delivered(folder)) == 2)
            send(relay, "late@dialup.example")
            time.sleep(0.5)
            assert delivered(folder) == ["a@dialup.example", "b@dialup.example"], delivered(folder)
        assert sink.result["messages"] == 2, sink.result

        # It has gone; what came meanwhile waits, over a restart too.
        relay.stop()
        relay.start()
        with branch(port) as sink:
            time.sleep(0.5)
            assert len(delivered(folder)) == 2, delivered(folder)
            # With all below it; what an operator holds stays.
            assert etrn(relay, "@dialup.example")[0] == 250
            wait_for(lambda: len(delivered(folder)) == 4)
            time.sleep(0.3)
            assert delivered(folder) == ["a@dialup.example", "b@dialup.example", "c@sub.dialup.example", "late@dialup.example"], delivered(folder)
        assert sink.result["messages"] == 2, sink.result


def asks_again_for_what_could_not_be_delivered(folder):
    port = free_port()
    retry = '[destination."dialup.example".retry]\nfirst = "1h"\n'
    with Relay(folder, port, MORE + retry) as relay:
        send(relay, "a@dialup.example")
        assert etrn(relay, "dialup.example")[0] == 250  # and then the line breaks down
        wait_for(lambda: any(r["event"] == "deferred" for r in log_records(folder / "log")))
        with branch(port):
            assert etrn(relay, "dialup.example")[0] == 250
            wait_for(lambda: delivered(folder) == ["a@dialup.example"])


def is_for_those_who_may_relay(folder):
    with Relay(folder, free_port(), 'allow = ["10.0.0.0/8"]\n' + MORE) as relay:
        assert etrn(relay, "dialup.example")[0] == 459
        assert not list((folder / "spool" / "rules").iterdir())


def refuses_what_names_no_destination(folder):
    with Relay(folder, free_port()) as relay:
        assert [etrn(relay, target)[0] for target in ("", "a b", "#queue", "a..b", "@", "x" * 300)] == [501] * 6
    (folder / "c.toml").write_text((folder / "c.toml").read_text() + "etrn = false\n")
    relay.start()
    with relay.client() as client:
        client.ehlo("branch.example")
        assert not client.has_extn("etrn") and client.docmd("ETRN", "dialup.example")[0] == 502
    relay.stop()


def main():
    for case in (delivers_what_waits_when_its_host_asks, asks_again_for_what_could_not_be_delivered, is_for_those_who_may_relay,
                 refuses_what_names_no_destination):
        with tempfile.TemporaryDirectory() as folder:
            case(pathlib.Path(folder))
        print(f"{case.__name__}: passed", flush=True)


if __name__ == "__main__":
    main()
