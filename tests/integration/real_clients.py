#!/usr/bin/env python3
"""Programs that others wrote hand their mail to the relay, each in its own way, and at the other end it arrives: once, octet for octet, with
its envelope. Without arguments what needs Debian's packages only; `real_clients.py nodemailer mailman` takes npm, and a Debian root."""
# timeout_s: 300
import contextlib
import email
import email.policy
import os
import pathlib
import re
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile

import _mailman
import _nodemailer
from _postfix import Postfix
from _relay import wait_for
from _sluice import SLUICE, root
from _station import Station, split_received
from relay_tls import PASSWORD

TEXT = ("From: Ärzte <a@news.example>\r\nTo: b@x.example\r\nSubject: Grüße\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
        "Message-ID: <1@news.example>\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        "Grüße aus Köln\r\n.dot\r\n..\r\n. \r\ntrailing blank \r\n\r\n" + "x" * 998 + "\r\n\r\nend\r\n").encode()
SECURE = r"\(using TLSv1\.3 TLS_[A-Z0-9_]+\) by relay\.example with "


def run(command, code=0, octets=None, **more):
    """What it said on stdout and stderr; it must exit with `code`."""
    done = subprocess.run(command, input=octets, capture_output=True, timeout=60, **more)
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == code, (command, done.returncode, said[-2000:])
    return said


def text_file(station, octets=TEXT, name="message"):
    """A message in a file, with the line ends of files."""
    (station.folder / name).write_bytes(octets.replace(b"\r\n", b"\n"))
    return station.folder / name


class Swaks:
    def __init__(self, station):
        self.station = station

    def __call__(self, *options, code=0, sender="a@news.example", to="b@x.example", port=None):
        return run(["swaks", "--server", "127.0.0.1", "--port", str(port or self.station.port), "--helo", "client.example", "--from", sender,
                    "--to", to, *options], code)


def swaks_in_every_way_it_logs_in(station):
    swaks, message = Swaks(station), f"@{text_file(station)}"
    login = ["--auth-user", "ann", "--auth-password"]
    at_once = ["--tls-on-connect"]
    ways = [([], None, r"\) by relay\.example with ESMTP id"), (["--protocol", "SMTP"], None, r"\) by relay\.example with SMTP id"),
            (["--tls", "--tls-verify", "--tls-ca-path", str(station.pem)], None, SECURE + "ESMTPS id"),
            (["--tls", "--tls-protocol", "tlsv1_2"], None, r"\(using TLSv1\.2 .* with ESMTPS id"), (at_once, station.tls_port, SECURE + "ESMTPS id")]
    for mechanism in ("PLAIN", "LOGIN"):
        ways += [(["--tls", "--auth", mechanism, *login, PASSWORD], None, SECURE + "ESMTPSA id"),
                 ([*at_once, "--pipeline", "--auth", mechanism, *login, PASSWORD], station.tls_port, SECURE + "ESMTPSA id")]
    for options, port, protection in ways:
        swaks(*options, "--data", message, port=port)
        field, octets = split_received(station.take_one("a@news.example", "b@x.example"))
        # swaks ends every message with an empty line.
        assert octets == TEXT + b"\r\n" and field.startswith("Received: from client.example ([127.0.0.1]) ") and re.search(protection, field), (options, field)
    for mechanism in ("PLAIN", "LOGIN"):
        assert "535 5.7.8" in swaks("--tls", "--auth", mechanism, *login, "wrong", code=28)
    swaks("--auth", "PLAIN", *login, PASSWORD, code=28)  # not offered in plaintext
    swaks("--tls", "--auth", "CRAM-MD5", *login, PASSWORD, code=28)
    swaks("--tls", "--tls-protocol", "tlsv1", code=29)
    assert station.copies() == 0


def swaks_with_messages_of_its_own_making(station):
    swaks = Swaks(station)
    attached = text_file(station, bytes(range(256)) * 100, "attached")
    swaks("--h-Subject", "Größe", "--h-X-Odd", "  spaced", "--add-header", "X-More: 1", "--attach-type", "application/octet-stream", "--attach-name",
          "a b.bin", "--attach", f"@{attached}", "--attach-body", "Grüße\nund mehr", sender="<>", to="b@x.example,c@x.example,d@y.example")
    taken = station.take(3)
    assert set(taken) == {"b@x.example", "c@x.example", "d@y.example"} and len(set(taken.values())) == 1, taken.keys()
    (sender, octets), = set(taken.values())
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert sender == "" and message["X-More"] == "1" and b"\r\nSubject: Gr\xc3\xb6\xc3\x9fe\r\n" in octets and b"\r\nX-Odd:   spaced\r\n" in octets, octets[:999]
    parts = {part.get_filename(): part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()}
    assert parts["a b.bin"] == attached.read_bytes() and "Grüße\nund mehr".encode() in parts[None].replace(b"\r\n", b"\n"), parts.keys()
    with station.relay.client() as client:
        client.ehlo()
        limit = int(client.esmtp_features["size"])
    lines = min(limit, 5_000_000) // 80 - 100
    large = TEXT + b"".join(b"%078d\r\n" % number for number in range(lines))
    swaks("--data", f"@{text_file(station, large)}")
    assert split_received(station.take_one("a@news.example", "b@x.example"))[1] == large + b"\r\n"
    if limit < 5_000_000:
        assert "552 5.3.4" in swaks("--data", f"@{text_file(station, large + large[:limit // 2])}", code=26)
    assert station.copies() == 0


def swaks_when_it_is_told_no_or_leaves(station):
    swaks = Swaks(station)
    for how, stops in (("--quit-after", ("CONNECT", "EHLO", "TLS", "AUTH", "MAIL", "RCPT")), ("--drop-after", ("EHLO", "TLS", "AUTH", "MAIL", "RCPT", "DATA")),
                       ("--drop-after-send", ("EHLO", "AUTH", "MAIL", "RCPT", "DATA"))):
        for stop in stops:
            swaks(how, stop, "--tls", "--auth", "LOGIN", "--auth-user", "ann", "--auth-password", PASSWORD)
    assert "500 5.5.2" in swaks("--protocol", "LMTP", code=22)
    swaks("--xclient-addr", "192.0.2.1", code=33)
    swaks("--prdr", code=30)
    assert "553 5.6.7" in swaks(to="jörg@x.example", code=24)  # swaks cannot say SMTPUTF8
    # One of several is no address: the others get it.
    for options in ([], ["--pipeline"]):
        assert "553 5.1.3" in swaks(*options, to="b@x.example,c@@x.example,d@x.example")
        assert set(station.take(2)) == {"b@x.example", "d@x.example"}
    assert station.copies() == 0


def curl(station):
    submit = ["curl", "--silent", "--show-error", "--cacert", station.pem, "--connect-to", f"::127.0.0.1:{station.port}", "--mail-from", "a@news.example",
              "--crlf", "--upload-file", text_file(station)]
    at_once = [f"::127.0.0.1:{station.tls_port}" if word.startswith("::") else word for word in map(str, submit)]
    to, login = ["--mail-rcpt", "b@x.example"], ["--user", f"ann:{PASSWORD}"]
    plain, secure = "smtp://relay.example/client.example", "smtps://relay.example/client.example"
    for command, protection in (([*submit, plain, *to], "ESMTP id"), ([*submit, plain, *to, "--ssl-reqd"], SECURE + "ESMTPS id"),
                                ([*submit, plain, *to, "--ssl-reqd", *login, "--login-options", "AUTH=LOGIN"], SECURE + "ESMTPSA id"),
                                ([*at_once, secure, *to], SECURE + "ESMTPS id"), ([*at_once, secure, *to, *login, "--sasl-ir"], SECURE + "ESMTPSA id"),
                                ([*submit, plain, *to, "--ssl-reqd", *login, "--mail-auth", "<>"], SECURE + "ESMTPSA id")):
        run(command)
        field, octets = split_received(station.take_one("a@news.example", "b@x.example"))
        assert octets == TEXT and re.search(protection, field), (command, field)
    run([*at_once, secure, *to, "--user", "ann:wrong"], 67)
    # Two messages over one connection, the second to several, one of whom is no address, one beyond ASCII.
    run([*submit, plain, *to, "--next", *submit[1:], plain, "--mail-rcpt-allowfails", "--mail-rcpt", "c@x.example", "--mail-rcpt", "d@@x.example", "--mail-rcpt",
         "jörg@bücher.example"], env=os.environ | {"LC_ALL": "C.UTF-8"})
    taken = station.take(3)
    assert set(taken) == {"b@x.example", "c@x.example", "jörg@xn--bcher-kva.example"} and {split_received(octets)[1] for _, octets in taken.values()} == {TEXT}, taken
    ask = submit[:submit.index("--mail-from")]
    assert "252 2.0.0" in run([*ask, plain, *to])
    assert "250 2.0.0" in run([*ask, plain, "--request", "NOOP"])
    assert station.copies() == 0


def msmtp(station):
    settings = f"defaults\nhost 127.0.0.1\nport {station.port}\ndomain client.example\ntls_trust_file {station.pem}\ntls_host_override relay.example\n" \
               f"user ann\npassword {PASSWORD}\nfrom a@news.example\n"
    (station.folder / "msmtprc").write_text(settings + f"account plain\nauth off\naccount starttls\ntls on\nauth plain\naccount login\ntls on\nauth login\n"
                                            f"account at_once\nport {station.tls_port}\ntls on\ntls_starttls off\nauth on\n"
                                            "account dsn\ntls on\ndsn_notify failure,delay\ndsn_return headers\n"
                                            "account wrong\ntls on\nauth plain\npassword wrong\n")
    (station.folder / "msmtprc").chmod(0o600)
    program = ["msmtp", "--file", station.folder / "msmtprc", "--account"]
    message = text_file(station).read_bytes()
    for account, protection in (("plain", "ESMTP id"), ("starttls", SECURE + "ESMTPSA id"), ("login", SECURE + "ESMTPSA id"), ("at_once", SECURE + "ESMTPSA id")):
        run([*program, account, "b@x.example"], octets=message)
        field, octets = split_received(station.take_one("a@news.example", "b@x.example"))
        assert octets == TEXT and re.search(protection, field), (account, field)
    run([*program, "wrong", "b@x.example"], 77, octets=message)
    station.commands()
    run([*program, "dsn", "b@x.example"], octets=message)
    assert split_received(station.take_one("a@news.example", "b@x.example"))[1] == TEXT
    assert station.commands() == ["MAIL FROM:<a@news.example> BODY=8BITMIME RET=HDRS", "RCPT TO:<b@x.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;b@x.example"]
    # As sendmail(1): recipients are in the header.
    run([*program, "at_once", "-oi", "-t", "-f", "bounce@news.example"], octets=message.replace(b"\n", b"\nCc: c@x.example\nBcc: d@x.example\n", 1))
    taken = station.take(3)
    assert set(taken) == {"b@x.example", "c@x.example", "d@x.example"} and {sender for sender, _ in taken.values()} == {"bounce@news.example"}
    assert not any(b"d@x.example" in octets for _, octets in taken.values()), "Bcc is told"
    said = run([*program, "starttls", "--serverinfo", "--tls=on"])
    assert "DSN:\n" in said and "PLAIN LOGIN" in said, said
    run([*program, "plain", "--rmqs=@branch.example"])  # ETRN


def smtplib_with_every_extension(station):
    message = email.message_from_bytes(TEXT, policy=email.policy.SMTPUTF8)
    message.replace_header("To", "Jörg <jörg@bücher.example>, b@x.example")
    with smtplib.SMTP_SSL("127.0.0.1", station.tls_port, context=station.trust, timeout=20) as client:
        client.login("ann", PASSWORD)
        client.send_message(message, "grüße@news.example")
        taken = station.take(2)
        assert set(taken) == {"jörg@xn--bcher-kva.example", "b@x.example"}, taken.keys()
        assert {sender for sender, _ in taken.values()} == {"grüße@news.example"}
        got = email.message_from_bytes(next(iter(taken.values()))[1], policy=email.policy.default)
        assert got["To"] == message["To"] and got["Subject"] == "Grüße", got.items()
        assert all("SMTPUTF8" in command for command in station.commands() if command.startswith("MAIL"))
        client.sendmail("a@news.example", ["b@x.example"], TEXT, ["BODY=8BITMIME", "ENVID=e+2B1", "RET=HDRS"],
                        ["NOTIFY=FAILURE,DELAY", "ORCPT=rfc822;old+2Bone@x.example"])
        assert split_received(station.take_one("a@news.example", "b@x.example"))[1] == TEXT
    mail, rcpt = station.commands()
    assert set(mail.split()) == {"MAIL", "FROM:<a@news.example>", "BODY=8BITMIME", "ENVID=e+2B1", "RET=HDRS"}, mail
    assert rcpt == "RCPT TO:<b@x.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;old+2Bone@x.example", rcpt
    # All of a session in one packet, over plaintext; then the same in chunks (RFC 3030).
    envelopes = [b"MAIL FROM:<a@news.example>\r\nRCPT TO:<u%d@x.example>\r\n" % number for number in range(100)]
    stuffed = TEXT.replace(b"\r\n.", b"\r\n..")
    for transfer in (b"DATA\r\n" + stuffed + b".\r\n", b"BDAT 10\r\n" + TEXT[:10] + b"BDAT %d LAST\r\n" % (len(TEXT) - 10) + TEXT[10:]):
        with socket.create_connection(("127.0.0.1", station.port), timeout=20) as connection:
            connection.sendall(b"EHLO client.example\r\n" + b"".join(envelope + transfer for envelope in envelopes) + b"QUIT\r\n")
            said = b"".join(iter(lambda: connection.recv(65536), b""))
        assert said.count(b"queued as") == 100 and b"\r\n221 2.0.0" in said, said[-500:]
        assert {split_received(octets)[1] for _, octets in station.take(100).values()} == {TEXT}


def mailx_through_sluice_sendmail(station):
    tools = subprocess.run([root / "tools" / "mailx_tools.sh"], check=True, capture_output=True, text=True).stdout.strip()
    sendmail = station.folder / "sendmail"
    sendmail.write_text(f'#!/bin/sh\nexec "{SLUICE}" sendmail --config "{station.config}" "$@"\n')
    sendmail.chmod(0o755)
    (station.folder / "mailrc").write_text(f"set sendmail={sendmail}\n")
    environment = os.environ | {"MAILRC": str(station.folder / "mailrc"), "LC_ALL": "C.UTF-8", "HOME": str(station.folder)}
    mailx = [f"{tools}/bsd-mailx", "-n", "-s", "Grüße {{now}}", "-c", "c@x.example", "-b", "d@x.example", "-r", "a@news.example", "-a", "X-Job: 7", "--", "b@x.example"]
    body = "Grüße\n.\n.dot\n{{tag}}\n"

    def check():
        taken = station.take(3)
        assert set(taken) == {"b@x.example", "c@x.example", "d@x.example"} and {sender for sender, _ in taken.values()} == {"a@news.example"}, taken
        (_, octets), = set(taken.values())
        message = email.message_from_bytes(octets, policy=email.policy.default)
        assert message.get_content() == body.replace("\n", "\r\n") or message.get_content() == body, octets
        assert message["Subject"] == "Grüße {{now}}" and message["X-Job"] == "7" and message["Message-ID"] and message["Bcc"] is None, octets

    run(mailx, octets=body.encode(), env=environment)
    check()
    station.relay.stop()
    run(mailx, octets=body.encode(), env=environment)
    assert station.copies() == 0
    run([SLUICE, "serve", "--config", station.config, "--until-empty", "--quiet"])
    check()


@contextlib.contextmanager
def postfix_before(station, **parameters):
    with tempfile.TemporaryDirectory() as home:
        postfix = Postfix(home, "home.example", ["ann"], relayhost=f"[127.0.0.1]:{station.port}", minimal_backoff_time="1s", maximal_backoff_time="1s",
                          queue_run_delay="1s", **parameters)
        try:
            yield postfix
            postfix.settle()
        finally:
            postfix.stop()


def begin_load(postfix, count):
    """smtp-source hands `count` messages to Postfix, to 1u@x.example and so on."""
    program = pathlib.Path(postfix.libraries).parents[2] / "bin" / "smtp-source"
    return subprocess.Popen([program, "-N", "-s", "4", "-l", "3000", "-f", "a@news.example", "-t", "u@x.example", "-m", str(count), f"127.0.0.1:{postfix.port}"])


def postfix_with_relayhost(station):
    with postfix_before(station) as postfix:
        assert begin_load(postfix, 200).wait(timeout=60) == 0
        assert set(station.take(200)) == {f"{number}u@x.example" for number in range(1, 201)}
        station.commands()
        with smtplib.SMTP("127.0.0.1", postfix.port, timeout=20) as client:
            client.sendmail("a@news.example", ["b@x.example"], TEXT, ["BODY=8BITMIME", "ENVID=e1", "RET=HDRS"], ["NOTIFY=FAILURE", "ORCPT=rfc822;old@x.example"])
        # Postfix adds a Received field of its own.
        field, octets = split_received(station.take_one("a@news.example", "b@x.example"))
        assert " with ESMTP id " in field and split_received(octets)[1] == TEXT, field
        mail, rcpt = station.commands()
        assert {"ENVID=e1", "RET=HDRS", "BODY=8BITMIME"} < set(mail.split()) and rcpt.endswith("NOTIFY=FAILURE ORCPT=rfc822;old@x.example"), (mail, rcpt)


def postfix_when_the_relay_comes_and_goes(station):
    with postfix_before(station, smtp_tls_security_level="encrypt") as postfix:
        for how in (signal.SIGTERM, signal.SIGKILL):
            deferred = postfix.log().count("status=deferred")
            source = begin_load(postfix, 500)
            wait_for(lambda: station.copies() >= 100)
            station.relay.stop(how)
            wait_for(lambda: postfix.log().count("status=deferred") > deferred)
            station.relay.start()
            assert source.wait(timeout=60) == 0
            postfix.settle()
            everybody = {f"{number}u@x.example" for number in range(1, 501)}
            if how == signal.SIGTERM:
                taken = station.take(500)
                assert set(taken) == everybody and all(" with ESMTPS id " in split_received(octets)[0] for _, octets in taken.values())
            else:  # whose 250 nobody read comes again
                wait_for(lambda: {recipient for _, recipients, _ in station.arrived() for recipient in recipients} == everybody)


CASES = (swaks_in_every_way_it_logs_in, swaks_with_messages_of_its_own_making, swaks_when_it_is_told_no_or_leaves, curl, msmtp, smtplib_with_every_extension,
         mailx_through_sluice_sendmail, postfix_with_relayhost, postfix_when_the_relay_comes_and_goes)
MORE = (_nodemailer.nodemailer, _mailman.mailman)


def main():
    if os.geteuid() != 0:  # Postfix's master starts its daemons as others
        os.execvp("sudo", ["sudo", "--preserve-env=HOME,SLUICE,XDG_CACHE_HOME", sys.executable, __file__, *sys.argv[1:]])
    named = {case.__name__: case for case in CASES + MORE}
    if unknown := set(sys.argv[1:]) - named.keys():
        sys.exit(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(named)}")
    for case in [named[name] for name in sys.argv[1:]] or CASES:
        with tempfile.TemporaryDirectory() as folder, Station(folder) as station:
            case(station)
        print(f"{case.__name__}: passed", flush=True)


if __name__ == "__main__":
    main()
