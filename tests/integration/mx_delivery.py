#!/usr/bin/env python3
"""From a list to several receivers by way of a real name server: MX order, failover within one attempt, implicit MX,
final and temporary words of DNS, each recipient's fate and its log."""
# timeout_s: 120
import pathlib
import socket
import sys
import tempfile
import threading

from _knot import Knot
from _sluice import Sink, deliver, free_port, log_records

ZONE = """$ORIGIN mail.test.
$TTL 300
@          SOA ns root 1 3600 600 86400 45
@          NS  ns
ns         A   127.0.0.1
down       A   127.0.0.11
up         A   127.0.0.12
refusing   A   127.0.0.13
lone       A   127.0.0.12
failover   MX  10 down
failover   MX  20 refusing
failover   MX  30 up
equal      MX  10 up
equal      MX  10 lone
alias      CNAME failover
null       MX  0 .
nothing    TXT "neither"
dead       MX  10 down
"""
RECIPIENTS = {
    "a@failover.mail.test": "delivered", "b@failover.mail.test": "delivered", "c@lone.mail.test": "delivered",
    "d@equal.mail.test": "delivered", "e@alias.mail.test": "delivered", "f@[127.0.0.12]": "delivered",
    "g@null.mail.test": "failed", "h@absent.mail.test": "failed", "i@nothing.mail.test": "failed",
    "j@dead.mail.test": "expired", "k@elsewhere.test": "expired",
}


def refuse(port):
    """A host that answers, and wants nothing."""
    listener = socket.create_server(("127.0.0.13", port))

    def serve():
        while True:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"554 5.3.2 not here\r\n")
    threading.Thread(target=serve, daemon=True).start()


def main():
    with tempfile.TemporaryDirectory() as knot_folder, tempfile.TemporaryDirectory() as folder, \
            Knot(knot_folder, {"mail.test": ZONE}) as knot:
        port = free_port()
        refuse(port)
        config = (
            f'[engine]\nhostname = "mta.sender.example"\nspool = "{folder}/spool"\nlog = "{folder}/log"\n'
            f'[dns]\nservers = ["127.0.0.1:{knot.port}"]\n'
            f'[destination."*"]\nport = {port}\n[destination."*".retry]\nfirst = "1s"\nfactor = 1.0\njitter = 0.0\n'
            '[destination."*".expire]\nnormal = "4s"\n')
        with Sink(listen=f"127.0.0.12:{port}") as sink:
            done = deliver(pathlib.Path(folder), config, "From: a@sender.example\nSubject: hello\n\nHello {{email}}\n",
                           "email\n" + "".join(f"{r}\n" for r in RECIPIENTS), "b@sender.example")
        taken = sink.result
        records = log_records(pathlib.Path(folder) / "log")
        of = {r: [x for x in records if x.get("recipient") == r] for r in RECIPIENTS}
        assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
        for recipient, fate in RECIPIENTS.items():
            assert of[recipient] and of[recipient][-1]["event"] == fate, (recipient, of[recipient])
        assert (taken["distinct_recipients"], taken["duplicates"]) == (6, 0), taken

        for recipient in ("a@failover.mail.test", "b@failover.mail.test", "e@alias.mail.test"):
            record, = of[recipient]  # every host within one attempt
            assert (record["attempt"], record["host"], record["remote"]) == (1, "up.mail.test", f"127.0.0.12:{port}"), record
        for recipient, enhanced in (("g@null.mail.test", "5.1.10"), ("h@absent.mail.test", "5.1.2"),
                                    ("i@nothing.mail.test", "5.1.2")):
            record, = of[recipient]
            assert record["phase"] == "dns" and record["enhanced"] == enhanced and record["attempt"] == 1, record
            assert record["reason"].startswith("dns: "), record
        dead = of["j@dead.mail.test"]
        assert [r["attempt"] for r in dead[:-1]] == list(range(1, len(dead))) and len(dead) >= 3, dead
        assert all(r["reason"] == "connect: connection refused" for r in dead), dead
        unknown = of["k@elsewhere.test"]
        assert unknown[0]["phase"] == "dns" and unknown[0]["event"] == "deferred", unknown
        print("ok: MX order, failover, implicit MX, aliases, literals, and what DNS says for good or for now")


if __name__ == "__main__":
    sys.exit(main())
