#!/usr/bin/env python3
"""Who is next at a destination that takes less than there is: an urgent message overtakes a million recipients, campaigns share by their weights,
and neither submissions nor deliveries keep the others waiting."""
# timeout_s: 240
import collections
import datetime
import pathlib
import re
import subprocess
import tempfile
import threading
import time

from _relay import Relay, wait_for
from _sluice import SLUICE, Sink, log_records

LETTER = "From: a@news.example\r\nSubject: now\r\nPriority: {}\r\n\r\nnow\r\n"


def hand_off(folder, name, recipients, *options, domain="x.example"):
    """A campaign of `recipients` that each get a message of their own."""
    (folder / "m.eml").write_text("From: a@news.example\nTo: {{email}}\nSubject: {{name}}\n\nHello {{name}}\n")
    with open(folder / "l.csv", "w") as rows:
        rows.write("email,name\n")
        rows.writelines(f"{name}{n}@{domain},{n}\n" for n in range(recipients))
    subprocess.run([SLUICE, "send", "--config", folder / "c.toml", "--message", folder / "m.eml", "--recipients", folder / "l.csv", "--campaign", name, "--json",
                    *options], check=True, timeout=120, stdout=subprocess.DEVNULL)


def delivered(folder):
    """By campaign; letters by None."""
    with open(folder / "log" / "transactions.jsonl") as log:
        return collections.Counter(re.search(r'"campaign":"(\w+)', line)[1] for line in log if '"event":"delivered"' in line)


def seconds_until_delivered(folder, recipient):
    """From the moment it was accepted, as the log has it."""
    times = {}
    for record in log_records(folder / "log"):
        if record["event"] == "accepted" and record.get("recipients") == 1 or record.get("recipient") == recipient:
            times[record["event"]] = datetime.datetime.fromisoformat(record["time"].replace("Z", "+00:00"))
    return (times["delivered"] - times["accepted"]).total_seconds()


def an_urgent_message_overtakes_a_million(folder, recipients=1_000_000):
    for sessions in (1, 10):
        here = folder / str(sessions)
        here.mkdir()
        with Sink("--delay", "final_dot=100ms") as sink:
            relay = Relay(here, sink.port, f'[destination."x.example"]\nsessions_max = {sessions}\n')
            hand_off(here, "million", recipients, "--from", "a@news.example")
            with relay:
                wait_for(lambda: (here / "log" / "transactions.jsonl").exists() and delivered(here)["million"] > 5 * sessions)
                with relay.client() as client:
                    client.sendmail("a@news.example", ["urgent@x.example"], LETTER.format("urgent"))
                wait_for(lambda: any(r.get("recipient") == "urgent@x.example" for r in log_records(here / "log")))
        took = seconds_until_delivered(here, "urgent@x.example")
        print(f"{sessions} sessions of 100 ms a message: {took:.3f} s behind {recipients} recipients")
        assert took < 1, took


def campaigns_share_by_weight(folder):
    with Sink("--delay", "final_dot=5ms") as sink:
        relay = Relay(folder, sink.port, '[destination."x.example"]\nsessions_max = 4\n[sender."*@heavy.example"]\nweight = 3\n')
        for name, sender in (("one", "a@news.example"), ("other", "a@news.example"), ("three", "a@heavy.example")):
            hand_off(folder, name, 20_000, "--from", sender)
        with relay:
            wait_for(lambda: (folder / "log" / "transactions.jsonl").exists() and delivered(folder).total() > 6000, 60)
            counts = delivered(folder)
    print(dict(counts))
    total = counts.total()
    for name, share in (("one", 0.2), ("other", 0.2), ("three", 0.6)):
        assert abs(counts[name] / total - share) < 0.1 * share + 0.02, counts  # and what one block is of the whole


def senders_of_relayed_mail_share_by_weight(folder, flood=2000):
    """One floods the relay, two others send less: each waits for its own mail, and has the share of its weight, after a restart too."""
    def submit(relay, sender, letters):
        with relay.client() as client:
            for n in range(letters):
                client.sendmail(sender, [f"{sender.split('@')[1].split('.')[0]}{n}@x.example"], LETTER.format("normal"))

    def counts():
        return collections.Counter(re.match(r"[a-z]+", r["recipient"])[0] for r in log_records(folder / "log") if r["event"] == "delivered")

    def shares(since, of_heavy):
        wait_for(lambda: (counts() - since)["heavy"] >= of_heavy, 60)
        found = counts() - since
        for name, share in (("flood", 0.2), ("light", 0.2), ("heavy", 0.6)):
            assert abs(found[name] / found.total() - share) < 0.06, found
        return dict(found)

    with Sink("--delay", "final_dot=20ms") as sink:
        relay = Relay(folder, sink.port, '[destination."x.example"]\nsessions_max = 1\n[sender."*@heavy.example"]\nweight = 3\n')
        with relay:
            submit(relay, "a@flood.example", flood)
            before = counts()["flood"]
            threads = [threading.Thread(target=submit, args=(relay, sender, letters)) for sender, letters in (("a@heavy.example", 600), ("a@light.example", 300))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            at_start = counts()
            first = shares(at_start, 200)
        stopped = counts()
        with relay:
            second = shares(stopped, 150)
    print(f"{before} of {flood} gone when the others came; then {first}, after a restart {second}")
    assert at_start["heavy"] > 0 and at_start["light"] > 0, at_start


def submissions_and_deliveries_go_on_together(folder, seconds=4, clients=50):
    """One shard, which has to do both."""
    acknowledged = collections.Counter()
    stop = threading.Event()

    def submit(relay, number):
        with relay.client() as client:
            while not stop.is_set():
                client.sendmail("b@app.example", [f"s{number}@y.example"], LETTER.format("normal"))
                acknowledged["all"] += 1

    with Sink() as sink:
        relay = Relay(folder, sink.port)
        config = folder / "c.toml"
        config.write_text(config.read_text().replace("[engine]\n", "[engine]\nshards = 1\n", 1))
        hand_off(folder, "drains", 400_000, "--from", "a@news.example")
        with relay:
            threads = [threading.Thread(target=submit, args=(relay, number), daemon=True) for number in range(clients)]
            for thread in threads:
                thread.start()
            time.sleep(seconds)
            taken, counts = acknowledged["all"], delivered(folder)
            stop.set()
            for thread in threads:
                thread.join()
    letters = counts.total() - counts["drains"]
    print(f"in {seconds} s: {taken} letters taken, {letters} of them delivered, {counts['drains']} of the campaign")
    assert taken > 200 * seconds and counts["drains"] > 500 * seconds and letters > taken / 2, (taken, counts)


def main():
    for case in (an_urgent_message_overtakes_a_million, campaigns_share_by_weight, senders_of_relayed_mail_share_by_weight, submissions_and_deliveries_go_on_together):
        with tempfile.TemporaryDirectory() as folder:
            case(pathlib.Path(folder))
        print(f"{case.__name__}: passed", flush=True)


if __name__ == "__main__":
    main()
