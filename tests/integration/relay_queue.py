#!/usr/bin/env python3
"""Relayed mail is seen and steered as campaigns are: sluice queue, sluice explain and the HTTP interface, beside a running engine and at rest;
rules reach what the engine has in memory, what comes later, and what a start takes up."""
# timeout_s: 120
import json
import pathlib
import subprocess
import tempfile
import urllib.request

from _sluice import SLUICE, Sink, free_port, log_records
from relay import Relay, wait_for


class Station:
    """A relay whose next hop is away until a sink listens at `port`."""

    def __init__(self, folder, more=""):
        self.folder, self.port, self.admin = folder, free_port(), free_port()
        self.relay = Relay(folder, self.port, f'[admin]\naddress = "127.0.0.1:{self.admin}"\n' + more)
        config = folder / "c.toml"
        config.write_text(config.read_text().replace('first = "100ms"', 'first = "1h"\njitter = 0.0'))

    def queue(self, *words, code=0):
        done = subprocess.run([SLUICE, "queue", *words, "--config", self.folder / "c.toml"], capture_output=True, text=True, timeout=30)
        assert done.returncode == code, (words, done.returncode, done.stderr)
        return done.stdout

    def total(self):
        return json.loads(self.queue("summary", "--json"))["total"]

    def rows(self, *words):
        return json.loads(self.queue("list", "--json", *words))["recipients"]

    def states(self):
        return {row["recipient"]: row["state"] for row in self.rows()}

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=20) as answer:
            return json.load(answer)

    def submit(self, sender, *recipients):
        """The id that the 250 tells."""
        with self.relay.client() as client:
            client.ehlo()
            client.mail(sender)
            for recipient in recipients:
                assert client.rcpt(recipient)[0] == 250
            code, text = client.data(f"Subject: to {len(recipients)}\r\nMessage-ID: <{recipients[0]}>\r\n\r\ntext\r\n")
            assert code == 250, (code, text)
            return text.decode().rsplit(" ", 1)[1]

    def events(self):
        return {(r["event"], r.get("recipient")) for r in log_records(self.folder / "log")}


def is_seen(folder):
    station = Station(folder)
    with station.relay:
        first = station.submit("a@news.example", "ann@x.example", "bob@y.example")
        wait_for(lambda: station.total()["deferred"] == 2)
        second = station.submit("b@news.example", "cid@x.example")  # waits with the others, and makes no attempt
        wait_for(lambda: station.total()["deferred"] == 3)
        total = station.total()
        assert total["waiting"] == 0 and total["next_attempt"] > total["oldest"], total
        look(station, first, second)
        by_domain = {row["destination"]: row["deferred"] for row in station.get("/v1/queue")["destinations"]}
        assert by_domain == {"x.example": 2, "y.example": 1}, by_domain
        fate = station.get(f"/v1/messages/{first}")
        assert fate["recipient"] == "ann@x.example" and fate["state"] == "deferred" and fate["attempts"] == 1, fate
        assert fate["last_event"]["event"] == "deferred" and "refused" in fate["last_event"]["reason"], fate
    look(station, first, second)  # at rest
    with Sink(listen=f"127.0.0.1:{station.port}"):
        station.queue("retry", "--all")
        with station.relay:
            wait_for(lambda: ("delivered", "ann@x.example") in station.events())
            assert station.get(f"/v1/messages/{first}")["state"] == "delivered"
            wait_for(lambda: sum(event == "delivered" for event, _ in station.events()) == 3)
            total = station.total()
            assert total["waiting"] + total["deferred"] + total["held"] == 0, total


def look(station, first, second):
    assert {row["id"]: row["recipient"] for row in station.rows("--sender", "a@news.example")} == \
        {first: "ann@x.example", first.replace(".0", ".1"): "bob@y.example"}
    assert [row["id"] for row in station.rows("--recipient", "cid@x.example")] == [second]
    assert len(station.rows("--destination", "x.example")) == 2
    shown = json.loads(station.queue("show", second, "--json"))
    assert shown["recipient"] == "cid@x.example" and shown["sender"] == "b@news.example" and shown["message_id"] == "<cid@x.example>", shown
    explained = json.loads(subprocess.run([SLUICE, "explain", "cid@x.example", "--json", "--config", station.folder / "c.toml"],
                                          capture_output=True, text=True, timeout=30, check=True).stdout)
    own, = explained["waiting"]["own"]
    assert own["id"] == second and own["state"] == "deferred" and own["attempts"] == 0, own
    assert explained["waiting"]["recipients"] == 2, explained["waiting"]


def is_steered(folder):
    """What is in the engine's memory: deferred, then held, released, tried and cancelled, by all that can be said."""
    station = Station(folder)
    with station.relay:
        first = station.submit("a@news.example", "ann@x.example", "bob@y.example")
        station.submit("b@news.example", "cid@x.example", "dan@z.example")
        wait_for(lambda: station.total()["deferred"] == 4)
        station.queue("hold", "--destination", "x.example")
        assert station.states() == {"ann@x.example": "held", "cid@x.example": "held", "bob@y.example": "deferred", "dan@z.example": "deferred"}
        station.queue("cancel", "--recipient", "dan@z.example")
        wait_for(lambda: ("cancelled", "dan@z.example") in station.events())
        with Sink(listen=f"127.0.0.1:{station.port}") as sink:
            station.submit("b@news.example", "eve@x.example")  # held as it comes
            assert station.states()["eve@x.example"] == "held"
            station.queue("retry", "--sender", "a@news.example")
            wait_for(lambda: ("delivered", "bob@y.example") in station.events())
            station.queue("release", "--id", first)
            wait_for(lambda: ("delivered", "ann@x.example") in station.events())
            assert station.states() == {"cid@x.example": "held", "eve@x.example": "held"}, station.states()
            station.queue("release", "--destination", "x.example")
            wait_for(lambda: ("delivered", "eve@x.example") in station.events() and ("delivered", "cid@x.example") in station.events())
            wait_for(lambda: not station.states())
            station.queue("cancel", "--all", code=66)
        assert sink.result["messages"] == 4, sink.result


def rules_stand_when_mail_is_taken_up(folder):
    """Said while nothing runs, and before it came."""
    station = Station(folder)
    with station.relay:
        station.queue("hold", "--destination", "y.example")
        station.submit("a@news.example", "ann@x.example", "bob@y.example", "cid@z.example")
        wait_for(lambda: station.total()["deferred"] == 2)
        assert station.states()["bob@y.example"] == "held"
    station.queue("hold", "--recipient", "ann@x.example")
    station.queue("cancel", "--recipient", "cid@z.example")
    with Sink(listen=f"127.0.0.1:{station.port}") as sink:
        with station.relay:
            wait_for(lambda: ("cancelled", "cid@z.example") in station.events())
            assert station.states() == {"ann@x.example": "held", "bob@y.example": "held"}, station.states()
            station.queue("release", "--all")  # they wait with all others now, whose connection failed
            station.queue("retry", "--all")
            wait_for(lambda: ("delivered", "ann@x.example") in station.events() and ("delivered", "bob@y.example") in station.events())
    assert sink.result["distinct_recipients"] == 2, sink.result


def a_look_beside_deliveries_shows_none_that_is_done(folder):
    """Segments are sealed and go while others look."""
    station = Station(folder)
    with Sink(listen=f"127.0.0.1:{station.port}"):
        for _ in range(5):
            with station.relay:
                for number in range(40):
                    station.submit("a@news.example", f"u{number}@x.example")
                    if number % 10 == 0:
                        total = station.total()
                        assert total["waiting"] + total["deferred"] <= number + 1, total
                wait_for(lambda: station.total()["waiting"] == 0)
    assert not station.rows()


def main():
    for case in (is_seen, is_steered, rules_stand_when_mail_is_taken_up, a_look_beside_deliveries_shows_none_that_is_done):
        with tempfile.TemporaryDirectory() as folder:
            case(pathlib.Path(folder))
        print(f"{case.__name__}: passed", flush=True)


if __name__ == "__main__":
    main()
