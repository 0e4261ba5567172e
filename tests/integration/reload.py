#!/usr/bin/env python3
"""SIGHUP: the configuration is read anew, all or nothing. Mail that waits goes by it, also what is deferred in memory and what is held; listeners
come, go and change while sessions go on; a mistake changes nothing, and is told with file, line and field; systemd is told as it wants."""
# timeout_s: 120
import contextlib
import os
import pathlib
import signal
import smtplib
import socket
import subprocess
import tempfile
import threading

from _sluice import SLUICE, Sink, free_port, log_records
from relay import wait_for

HEAD = '[engine]\nhostname = "relay.example"\nspool = "{0}/spool"\nlog = "{0}/log"\nshards = 2\n[destination."*".retry]\nfirst = "1h"\n'


class Engine:
    """`sluice serve` on a configuration that changes. `told` has the lines of its stderr."""

    def __init__(self, folder, config, **environment):
        self.folder, self.config = folder, folder / "c.toml"
        self.write(config)
        self.told = []
        self.process = subprocess.Popen([SLUICE, "serve", "--config", self.config], stderr=subprocess.PIPE, text=True, env=os.environ | environment)
        self.reader = threading.Thread(target=lambda: self.told.extend(self.process.stderr))
        self.reader.start()

    def write(self, config):
        self.config.write_text(HEAD.format(self.folder) + config)

    def reload(self, config, says="the configuration is reloaded"):
        self.write(config)
        before = len(self.told)
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: any(says in line for line in self.told[before:]))
        return "".join(self.told[before:])

    def events(self):
        path = self.folder / "log" / "transactions.jsonl"
        return [(r["event"], r.get("recipient")) for r in log_records(self.folder / "log")] if path.exists() else []

    def states(self):
        import json
        done = subprocess.run([SLUICE, "queue", "list", "--json", "--config", self.config], capture_output=True, text=True, timeout=30, check=True)
        return {row["recipient"]: row["state"] for row in json.loads(done.stdout)["recipients"]}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)
        self.reader.join()
        assert self.process.returncode == 0, (self.process.returncode, self.told)


def hop(port, destination="*"):
    return f'[destination."{destination}"]\nnext_hop = ["127.0.0.1:{port}"]\n'


def listen(port, more=""):
    return f'[[listen]]\naddress = "127.0.0.1:{port}"\n' + more


def client(port):
    def connect():
        with contextlib.suppress(OSError, smtplib.SMTPServerDisconnected):
            return smtplib.SMTP("127.0.0.1", port, timeout=20)
    made = []
    wait_for(lambda: made or (connection := connect()) and made.append(connection) or made)
    return made[0]


def submit(port, *recipients):
    with client(port) as connection:
        connection.sendmail("a@news.example", recipients, "Subject: hello\r\n\r\nhello\r\n")


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def a_corrected_next_hop_is_for_what_waits(folder):
    dead, port = free_port(), free_port()
    with Sink("--fault", "rcpt:451 4.3.0 later") as busy, Sink() as good, \
            Engine(folder, hop(dead) + hop(busy.port, "busy.example") + listen(port)) as engine:
        submit(port, *(f"u{n}@x{n % 3}.example" for n in range(30)))
        submit(port, "ann@busy.example")
        wait_for(lambda: ("deferred", "ann@busy.example") in engine.events() and set(engine.states().values()) == {"deferred"})
        submit(port, "late@x0.example")  # joins those who wait
        engine.reload(hop(good.port) + listen(port))
        wait_for(lambda: sum(event == "delivered" for event, _ in engine.events()) == 32)
        wait_for(lambda: not engine.states())
    assert good.result["distinct_recipients"] == 32 and good.result["duplicates"] == 0, good.result


def a_destination_gets_a_section_of_its_own(folder):
    """One of those who shared a queue leaves it, and the others stay; then it comes back."""
    dead, port = free_port(), free_port()
    with Sink() as sink, Engine(folder, hop(dead) + listen(port)) as engine:
        submit(port, "ann@x.example", "bob@y.example", "cid@x.example")
        wait_for(lambda: set(engine.states().values()) == {"deferred"})
        engine.reload(hop(dead) + hop(sink.port, "x.example") + listen(port))
        wait_for(lambda: engine.states() == {"bob@y.example": "deferred"})
        # Held by the configuration, and let go by it.
        engine.reload(hop(dead) + hop(sink.port, "y.example") + 'hold = "manual"\n' + listen(port))
        wait_for(lambda: engine.states() == {"bob@y.example": "held"})
        engine.reload(hop(dead) + listen(port))
        engine.reload(hop(dead) + hop(sink.port, "y.example") + listen(port))
        wait_for(lambda: not engine.states())
    assert sink.result["distinct_recipients"] == 3, sink.result
    assert sum(event == "deferred" for event, _ in log_events(folder)) < 10


def log_events(folder):
    return [(r["event"], r.get("recipient")) for r in log_records(folder / "log")]


def a_mistake_changes_nothing(folder):
    port, dead = free_port(), free_port()
    with Sink() as sink, Engine(folder, hop(sink.port) + listen(port)) as engine:
        submit(port, "ann@x.example")
        told = engine.reload(hop(dead) + listen(free_port()) + '[destination."x.example"]\nsessions_max = "many"\nno_such = 1\n', "nothing has changed")
        assert f"{folder}/c.toml:" in told and 'destination."x.example".sessions_max' in told and "no_such" in told, told
        told = engine.reload(hop(dead) + listen(port) + '[admin]\naddress = "127.0.0.1:1"\n[report]\nnotices = "log"\n', "nothing has changed")
        assert "admin.address: cannot change" in told and "report.notices: cannot change" in told, told
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            told = engine.reload(hop(dead) + listen(port) + listen(taken.getsockname()[1]), "nothing has changed")
            assert "cannot listen on" in told, told
        submit(port, "bob@x.example")
        wait_for(lambda: ("delivered", "bob@x.example") in engine.events())
    assert sink.result["messages"] == 2, sink.result


def listeners_come_go_and_change(folder):
    first, second = free_port(), free_port()
    with Sink() as sink, Engine(folder, hop(sink.port) + listen(first)) as engine:
        with client(first) as under_way:
            under_way.ehlo()
            engine.reload(hop(sink.port) + listen(second))
            submit(second, "ann@x.example")
            wait_for(lambda: refuses(first))
            under_way.sendmail("a@news.example", ["bob@x.example"], "Subject: on\r\n\r\non\r\n")
        with client(second) as under_way:
            engine.reload(hop(sink.port) + listen(second, 'allow = ["10.0.0.0/8"]\n') + listen(first))
            under_way.sendmail("a@news.example", ["cid@x.example"], "Subject: on\r\n\r\non\r\n")
            with client(second) as later:
                later.ehlo()
                later.mail("a@news.example")
                assert later.rcpt("dan@x.example")[0] == 550
        submit(first, "eve@x.example")
        engine.reload(hop(sink.port))
        wait_for(lambda: refuses(first) and refuses(second))
        engine.reload(hop(sink.port) + listen(first))
        submit(first, "fay@x.example")
        wait_for(lambda: sum(event == "delivered" for event, _ in engine.events()) == 5)
    assert sink.result["distinct_recipients"] == 5, sink.result


def many_reloads_lose_and_double_nothing(folder):
    """Between two next hops, while mail comes in and goes out."""
    port, sent = free_port(), []
    with Sink("--delay", "data=5ms") as one, Sink("--delay", "data=5ms") as two:
        configs = [hop(one.port) + listen(port), hop(two.port) + listen(port), hop(one.port) + hop(two.port, "x1.example") + listen(port)]
        with Engine(folder, configs[0]) as engine:
            client(port).quit()
            stop = threading.Event()

            def feed():
                with client(port) as connection:
                    while not stop.is_set():
                        recipients = [f"u{len(sent)}.{n}@x{n}.example" for n in range(3)]
                        connection.sendmail("a@news.example", recipients, f"Subject: n\r\nMessage-ID: <{len(sent)}@a.example>\r\n\r\nhello\r\n")
                        sent.extend(recipients)
            feeder = threading.Thread(target=feed)
            feeder.start()
            for turn in range(30):
                engine.reload(configs[turn % 3])
            stop.set()
            feeder.join()
            wait_for(lambda: sum(event == "delivered" for event, _ in engine.events()) == len(sent))
            wait_for(lambda: not engine.states())
    assert one.result["recipients"] + two.result["recipients"] == len(sent) > 30, (one.result, two.result, len(sent))
    print(f"{len(sent)} recipients, 30 reloads")


def the_service_manager_is_told(folder):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        manager.settimeout(20)
        port = free_port()
        with Engine(folder, hop(free_port()) + listen(port), NOTIFY_SOCKET=str(folder / "notify")) as engine:
            assert manager.recv(1000) == b"READY=1"
            for config in (listen(port), "no such line\n"):
                engine.write(config)
                engine.process.send_signal(signal.SIGHUP)
                told = manager.recv(1000)
                assert told.startswith(b"RELOADING=1\nMONOTONIC_USEC="), told
                assert manager.recv(1000) == b"READY=1"
        assert manager.recv(1000) == b"STOPPING=1"


def main():
    for case in (a_corrected_next_hop_is_for_what_waits, a_destination_gets_a_section_of_its_own, a_mistake_changes_nothing, listeners_come_go_and_change,
                 many_reloads_lose_and_double_nothing, the_service_manager_is_told):
        with tempfile.TemporaryDirectory() as folder:
            case(pathlib.Path(folder))
        print(f"{case.__name__}: passed", flush=True)


if __name__ == "__main__":
    main()
