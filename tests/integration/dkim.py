#!/usr/bin/env python3
"""DKIM: what arrives is verified by opendkim and by python3-dkim, which ask Knot DNS for the keys that `sluice dkim keygen` printed: odd messages through
the relay, newsletters of every shape, notices, 5 MB. Keys come and go by time and by SIGHUP; are told apart from what is published; and do not leak."""
# timeout_s: 300
import datetime
import json
import os
import pathlib
import re
import resource
import signal
import smtplib
import subprocess
import tempfile

from _dkim import OpenDkim, keygen, name_server, python3_dkim, section
from _relay import Relay, wait_for
from _sluice import SLUICE, Sink, deliver, free_port, log_records

DOMAIN = "news.example"
HEAD = f"From: Ann <ann@{DOMAIN}>\r\nTo: b@x.example\r\nSubject: {{}}\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{{}}@{DOMAIN}>\r\n"
ODD = {
    "empty body": HEAD + "\r\n",
    "blank lines only": HEAD + "\r\n\r\n\r\n",
    "trailing blank lines": HEAD + "\r\ntext\r\n\r\n \r\n\t\r\n\r\n",
    "leading blank lines": HEAD + "\r\n\r\n\r\ntext\r\n",
    "blanks": HEAD + "\r\n  two  words \t\r\n\ttab\t\ttab \r\n",
    "8-bit": HEAD + "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße \u00a0 €\r\n",
    "folded": HEAD + "References: <1@x.example>\r\n <2@x.example>\r\n\t<3@x.example>\r\nIn-Reply-To:\r\n <3@x.example>\r\n\r\ntext\r\n",
    "repeated": "Comments: one\r\nCc: c@x.example\r\nList-Id: a\r\n" + HEAD + "Cc: d@x.example\r\nCc:  e@x.example \r\nList-Id: b\r\n\r\ntext\r\n",
    "names in capitals": HEAD.replace("Subject: ", "SUBJECT:").replace("To:", "tO:\t") + "\r\ntext\r\n",
    "dots": HEAD + "\r\n.\r\n..\r\n.x\r\n...\r\n. \r\n\r\n.\r\n",
    "dots at the end": HEAD + "X-Last: .\r\n\r\n.dot\r\n.\r\n",
    "no line end at the end": HEAD + "\r\ntext",
    "long lines": HEAD + "\r\n" + "x" * 990 + "\r\n" + ("word " * 190) + "\r\n",
    "list": HEAD + "List-Unsubscribe: <https://x.example/?a=1>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nFeedback-ID: 1:2:3\r\n\r\ntext\r\n",
    "attached": HEAD + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\ntext\r\n--b\r\n"
                       "Content-Type: message/rfc822\r\n\r\nFrom: x@other.example\r\n\r\n.inner\r\n--b--\r\n",
    "100 KB": HEAD + "\r\n" + ".a line  with blanks \r\n" * 5000,
    "5 MB": HEAD + "\r\n" + ("." + "0123456789 " * 80 + " \r\n\r\n") * 5700,
}


class World:
    """Keys r1 (RSA) and e1 (Ed25519), published."""

    def __init__(self, folder):
        self.folder = folder
        lines = [keygen(folder, DOMAIN, "r1"), keygen(folder, DOMAIN, "e1", "--type", "ed25519"), keygen(folder, DOMAIN, "r2", "--bits", "1024")]
        self.lines = lines
        self.both = section(folder, DOMAIN, "r1") + section(folder, DOMAIN, "e1")
        self.dns = name_server(folder, DOMAIN, lines)
        self.opendkim = OpenDkim(folder, DOMAIN, self.dns.port)

    def check(self, messages, selectors=("r1", "e1")):
        """All are signed by these keys, each signature good in the eyes of both verifiers."""
        results = python3_dkim(self.dns.port, messages)
        for path in messages:
            text = path.read_bytes()
            assert re.findall(rb"\ts=(.*?);|; s=(.*?);", text) == [(b"", s.encode()) for s in selectors], text[:1500]
            assert results[path] == [True] * len(selectors), (path, results[path], text[:3000])
            told = self.opendkim.verify(path)
            assert told.count("dkim=pass") == len(selectors) and "dkim=fail" not in told, (path, told, text[:3000])
            head = text.split(b"\r\n\r\n")[0] + b"\r\n"
            assert max(map(len, re.search(rb"DKIM-Signature:.*?\r\n(?=\S)", head, re.S)[0].split(b"\r\n"))) <= 78


def saved(folder, number):
    wait_for(lambda: len([p for p in folder.iterdir() if not p.name.startswith(".")]) >= number, 60)
    return sorted(folder.iterdir())


def odd_messages_are_verified(world, folder):
    got = folder / "got"
    got.mkdir()
    with Sink("--save", got) as sink, Relay(folder, sink.port, world.both) as relay, relay.client() as client:
        for number, (name, text) in enumerate(ODD.items()):
            client.sendmail(f"ann@{DOMAIN}", ["b@x.example"], text.format(name, number).encode(), ["BODY=8BITMIME"])
        messages = saved(got, len(ODD))
    subjects = {re.search(rb"(?mi)^subject: ?([^\r]*)", path.read_bytes())[1].decode() for path in messages}
    assert subjects == set(ODD), subjects ^ set(ODD)
    world.check(messages)
    # Verifiers do see what was changed, and fields that were added.
    for change in (lambda text: text + b"more\r\n", lambda text: text.replace(b"\r\nSubject:", b"\r\nSubject: new\r\nSubject:"),
                   lambda text: text.replace(b"\r\nDate:", b"\r\nCc: z@x.example\r\nDate:")):
        changed = folder / "changed"
        changed.write_bytes(change(next(p for p in messages if b"Subject: blanks\r\n" in p.read_bytes()).read_bytes()))
        assert True not in python3_dkim(world.dns.port, [changed])[changed], changed.read_bytes()
        assert "dkim=fail" in world.opendkim.verify(changed)
    print(f"{len(messages)} odd messages: each has two signatures, and two verifiers find both good")


def who_signs_is_decided_by_the_author(world, folder):
    got = folder / "got"
    got.mkdir()
    authors = {f"Ann <ann@eu.{DOMAIN.upper()}>": 2, '"x@news.example" <y@other.example>': 0, "ann@xnews.example": 0, f"a@other.example, b@{DOMAIN}": 0,
               f'(a@other.example) "Quoted\\" <x@other.example>" <"odd name"@{DOMAIN}>': 2, f"=?utf-8?q?=C3=A4?=\r\n <a@\r\n {DOMAIN}>": 2}
    with Sink("--save", got) as sink, Relay(folder, sink.port, world.both) as relay, relay.client() as client:
        for number, author in enumerate(authors):
            client.sendmail("a@b.example", ["b@x.example"], f"From: {author}\r\nX-Number: {number}\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\ntext\r\n")
        messages = saved(got, len(authors))
    counts = {int(re.search(rb"X-Number: (\d)", p.read_bytes())[1]): p.read_bytes().count(b"DKIM-Signature:") for p in messages}
    assert [counts[n] for n in range(len(authors))] == list(authors.values()), counts
    world.check([p for p in messages if b"DKIM-Signature:" in p.read_bytes()])


PEOPLE = "email,name,note\n" + "".join(f'u{i}@d{i % 5}.example,"Näme {i}","{note}"\n' for i, note in enumerate(["", ".", "  two  ", "a\n\n.b\n", "x" * 900, "\n\n"] * 4))
HTML = "MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n"
NEWSLETTERS = {
    "varies from its beginning": "Subject: Hello {{name}}\n\n{{note}}\nDear {{name}}.\n.dot\n\n" + "The same  for all. \n" * 200,
    "varies at its end": "Subject: Hello {{name}}\n\n" + ".The same  for all. \n\n" * 2000 + "{{note}}\n\nYours, {{name}}",
    "varies in its header": "Subject: Hello {{name}}\nList-Id: <{{name}}.x.example>\n\n" + "The same  for all. \n.\n" * 300 + "\n\n",
    "HTML": "Subject: {{name}}\n" + HTML + "\n<p>Dear {{name}},</p>\n" + "<p>=C3=A4 the same</p>\n" * 100 + "<p>{{note}}</p>\n",
    "of parts": "Subject: s\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\nsame\n--b\n"
                "Content-Type: text/html\n\n<p>{{name}}</p>\n--b--\n",
    "the same for all": f"To: readers:;\nMessage-ID: <1@{DOMAIN}>\nSubject: all\n\n.same\n\n",
    "empty": "Subject: {{name}}\n\n",
}


def newsletters_are_verified(world, folder):
    for number, (name, text) in enumerate(NEWSLETTERS.items()):
        run = folder / str(number)
        got = run / "got"
        got.mkdir(parents=True)
        with Sink("--save", got) as sink:
            config = (f'[engine]\nhostname = "mta.{DOMAIN}"\nspool = "{run}/spool"\nlog = "{run}/log"\nshards = 2\n'
                      f'[destination."*"]\nnext_hop = ["127.0.0.1:{sink.port}"]\nrecipients_per_transaction_max = 3\n' + world.both)
            done = deliver(run, config, f"From: News <news@{DOMAIN}>\nDate: Sun, 22 Nov 2026 10:00:00 +0000\n{text}", PEOPLE, f"bounce@{DOMAIN}")
            assert done.returncode == 0, done.stderr
        messages = sorted(got.iterdir())
        if name == "the same for all":
            assert 8 <= len(messages) < 24, len(messages)
            signed = {re.search(rb"\r\n\tb=.*?\r\nFrom:", p.read_bytes(), re.S)[0] for p in messages}
            assert len(signed) <= 2, len(signed)  # once a shard
        else:
            assert len(messages) == 24, len(messages)
        world.check(messages)
    print(f"{len(NEWSLETTERS)} newsletters: all of their messages are verified")


def explain_tells_which_keys_sign(world, folder):
    (folder / "c.toml").write_text(f'[engine]\nspool = "{folder}/spool"\n[destination."*"]\nnext_hop = ["127.0.0.1:9"]\n'
                                   + section(world.folder, DOMAIN, "r1", "end = 2026-01-01T00:00:00Z\n") + section(world.folder, DOMAIN, "e1"))

    def explained(*options):
        done = subprocess.run([SLUICE, "explain", "ann@x.example", "--config", folder / "c.toml", *options], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def signs(*options):
        return [(row["selector"], row["domain"], row["signs"]) for row in json.loads(explained("--json", *options)).get("dkim", [])]

    assert signs("--from", f"News <news@mail.{DOMAIN}>") == signs("--sender", f"bounce@{DOMAIN}") == [("r1", DOMAIN, False), ("e1", DOMAIN, True)]
    assert signs("--from", "a@other.example") == signs() == []
    assert "no more since 2026-01-01" in explained("--from", f"a@{DOMAIN}") and "--from ADDRESS tells" in explained()


def notices_are_signed(world, folder):
    """They are of MAILER-DAEMON at the engine's own name."""
    got = folder / "got"
    got.mkdir()
    with Sink("--fault", "rcpt:550 5.1.1 no") as bad, Sink("--save", got) as sink:
        relay = Relay(folder, sink.port, f'[destination."bad.example"]\nnext_hop = ["127.0.0.1:{bad.port}"]\n' + world.both)
        config = folder / "c.toml"
        config.write_text(config.read_text().replace('"relay.example"', f'"mta.{DOMAIN}"'))
        with relay, relay.client() as client:
            client.sendmail("ann@x.example", ["b@bad.example"], HEAD.format("s", 1) + "\r\ntext\r\n")
            world.check(saved(got, 1))


def keys_come_and_go_without_a_restart(world, folder):
    """By time, and by SIGHUP with a file that was replaced; a reload with a key that is open to others changes nothing."""
    got = folder / "got"
    got.mkdir()
    now = datetime.datetime.now(datetime.timezone.utc)
    stamp = lambda seconds: (now + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    keys = (section(world.folder, DOMAIN, "r1", f"end = {stamp(-5)}\n") + section(world.folder, DOMAIN, "r2", f"start = {stamp(-5)}\nexpire = \"\"\n")
            + section(world.folder, DOMAIN, "e1", f"start = {stamp(3600)}\n"))
    with Sink("--save", got) as sink, Relay(folder, sink.port, keys) as relay:
        def signers():
            before = set(got.iterdir())
            with relay.client() as client:
                client.sendmail("a@x.example", ["b@x.example"], HEAD.format("s", len(before)) + "\r\ntext\r\n")
            wait_for(lambda: len([p for p in set(got.iterdir()) - before if not p.name.startswith(".")]) == 1)
            path = next(iter(set(got.iterdir()) - before))
            return [s.decode() for s in re.findall(rb"; s=(.*?);", path.read_bytes())], path

        def reload(text):
            config = folder / "c.toml"
            config.write_text(config.read_text().split("[[dkim")[0] + text)
            relay.process.send_signal(signal.SIGHUP)

        names, path = signers()
        assert names == ["r2"] and b" x=" not in path.read_bytes(), names
        world.check([path], ["r2"])
        reload(world.both)
        wait_for(lambda: signers()[0] == ["r1", "e1"])
        open_to_others = folder / "open.pem"
        open_to_others.write_bytes((world.folder / "e1.pem").read_bytes())
        open_to_others.chmod(0o640)
        reload(f'[[dkim."{DOMAIN}"]]\nselector = "e1"\nkey = "{open_to_others}"\n')
        assert "is open to others" in relay.process.stderr.readline()
        assert "nothing has changed" in relay.process.stderr.readline()
        assert signers()[0] == ["r1", "e1"]
        reload("")
        wait_for(lambda: signers()[0] == [])


def what_is_published_is_compared(world, folder):
    def check(server, keys, *options):
        (folder / "c.toml").write_text(f'[engine]\nhostname = "h.example"\n[dns]\nservers = ["127.0.0.1:{server}"]\n' + keys)
        return subprocess.run([SLUICE, "check", "--dns", "--config", folder / "c.toml", *options], capture_output=True, text=True, timeout=60)

    good = check(world.dns.port, world.both)
    assert good.returncode == 0 and f"r1._domainkey.{DOMAIN}: published" in good.stdout, (good.stdout, good.stderr)
    line = keygen(folder, DOMAIN, "r1")  # another key of the same name
    other = check(world.dns.port, section(folder, DOMAIN, "r1"))
    assert other.returncode == 78 and "is of another key" in other.stderr and line in other.stderr, other.stderr
    line = keygen(folder, DOMAIN, "new", "--type", "ed25519")
    absent = check(world.dns.port, world.both + section(folder, DOMAIN, "new"))
    assert absent.returncode == 78 and "is not published" in absent.stderr and f"publish: {line}" in absent.stderr, absent.stderr
    nobody = check(free_port(), world.both)
    assert nobody.returncode == 75 and "cannot be looked up" in nobody.stderr, nobody.stderr
    again = subprocess.run([SLUICE, "dkim", "keygen", "--domain", DOMAIN, "--selector", "new", "--out", folder / "new.pem"], capture_output=True, text=True)
    assert again.returncode == 73 and "is there already" in again.stderr, again.stderr
    assert (folder / "new.pem").stat().st_mode & 0o777 == 0o600
    assert all(len(string) <= 255 for string in re.findall(r'"(.*?)"', world.lines[0])) and world.lines[0].count('"') == 4


def an_engine_with_keys_leaves_no_core_dump(world, folder):
    os.chdir(folder)  # where one would be written
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for keys in (world.both, ""):
        with Sink() as sink:
            relay = Relay(folder, sink.port, keys)
            relay.start()
            relay.process.send_signal(signal.SIGSEGV)
            _, status = os.waitpid(relay.process.pid, 0)
            relay.process.returncode = -os.WTERMSIG(status)
            relay.process.stderr.close()
            dumped = os.WCOREDUMP(status)
            assert not (keys and dumped), "it dumped its memory"
    os.chdir("/")
    print("no core dump with keys" + ("" if dumped else " (nor without: this machine writes none)"))


def main():
    with tempfile.TemporaryDirectory() as keys:
        world = World(pathlib.Path(keys))
        try:
            for case in (odd_messages_are_verified, who_signs_is_decided_by_the_author, newsletters_are_verified,
                         explain_tells_which_keys_sign, notices_are_signed,
                         keys_come_and_go_without_a_restart, what_is_published_is_compared, an_engine_with_keys_leaves_no_core_dump):
                with tempfile.TemporaryDirectory() as folder:
                    case(world, pathlib.Path(folder))
                print(f"{case.__name__}: passed", flush=True)
        finally:
            world.dns.stop()


if __name__ == "__main__":
    main()
