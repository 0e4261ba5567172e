#!/usr/bin/env python3
"""sluice sink over real sockets: every fault, delays, saving, counting, two threads, and Postfix's smtp-source as a client."""
import pathlib
import re
import smtplib
import ssl
import subprocess
import tempfile
import time

from _sluice import SLUICE, Sink, root


def read_all(connection):
    """Until the server closes; a reset counts as that."""
    text = b""
    try:
        while piece := connection.recv(65536):
            text += piece
    except ConnectionResetError:
        pass
    return text


def is_silent(connection, seconds=0.3):
    connection.settimeout(seconds)
    try:
        return connection.recv(1) is None
    except TimeoutError:
        return True
    finally:
        connection.settimeout(20)


def message(number, recipient="r@x"):
    return (f"MAIL FROM:<s@x>\r\nRCPT TO:<{recipient}>\r\nDATA\r\nMessage-ID: <{number}@x>\r\n\r\n"
            "..dot\r\nbody\r\n.\r\n").encode()


def talk(sink, text):
    with sink.connect() as connection:
        connection.sendall(text)
        return read_all(connection)


def counts():
    with Sink() as sink:
        talk(sink, b"EHLO c\r\n" + message(1) + message(1) + message(2) + message(2, "other@x") + b"QUIT\r\n")
    result = sink.result
    assert (result["messages"], result["recipients"], result["distinct_recipients"], result["duplicates"]) == (4, 4, 2, 1), result
    assert result["connections"] == 1 and result["bytes"] == 4 * len("Message-ID: <1@x>\r\n\r\n..dot\r\nbody\r\n"), result


def ends_at_count_and_lets_the_client_finish():
    sink = Sink("--count", "3")
    with sink.connect() as connection:
        connection.sendall(b"EHLO c\r\n" + message(1) + message(2) + message(3))
        text = b""
        while text.count(b"Taken") < 3:
            text += connection.recv(65536)
        connection.sendall(b"QUIT\r\n")
        assert read_all(connection).endswith(b"221 2.0.0 Bye\r\n")
    sink.end()
    assert sink.result["messages"] == 3


def counts_what_a_dying_client_had_sent():
    with Sink("--delay", "final_dot=30s") as sink:
        with sink.connect() as connection:
            connection.sendall(b"EHLO c\r\n" + message(1))
            while b"354" not in connection.recv(65536):
                pass
        time.sleep(0.2)
    assert sink.result["messages"] == 1, sink.result


def every_fault():
    with Sink("--fault", "connect:drop") as sink:
        assert talk(sink, b"") == b""
    with Sink("--fault", "greeting:554") as sink:
        assert talk(sink, b"EHLO c\r\nQUIT\r\n") == (
            b"554 5.0.0 As asked for\r\n503 5.5.1 No service here\r\n221 2.0.0 Bye\r\n")
    with Sink("--fault", "rcpt:550 5.7.1 not @ all") as sink:
        assert b"550 5.7.1 not @ all\r\n554 5.5.1 No valid" in talk(
            sink, b"EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\nQUIT\r\n")
    assert sink.result["refusals"] == 1 and sink.result["messages"] == 0
    with Sink("--fault", "ehlo:502") as sink:
        assert b"\r\n502 5.0.0 As asked for\r\n250 " in talk(sink, b"EHLO c\r\nHELO c\r\nQUIT\r\n")
    for phase, before in (("ehlo", b"EHLO c\r\n"), ("mail", b"EHLO c\r\nMAIL FROM:<a@x>\r\n"),
                          ("final_dot", b"EHLO c\r\n" + message(1)), ("block", b"EHLO c\r\n" + message(1))):
        with Sink("--fault", phase + ":drop") as sink:
            text = talk(sink, before + b"QUIT\r\n")
            assert b"221" not in text and b"Taken" not in text, (phase, text)
        assert sink.result["drops"] == 1 and sink.result["messages"] == 0, (phase, sink.result)
    with Sink("--fault", "mail:stall") as sink, sink.connect() as connection:
        connection.sendall(b"EHLO c\r\n")
        while b"ENHANCEDSTATUSCODES" not in connection.recv(65536):
            pass
        connection.sendall(b"MAIL FROM:<a@x>\r\nQUIT\r\n")
        assert is_silent(connection)
    with Sink("--fault", "mail:garbage") as sink:
        text = talk(sink, b"EHLO c\r\nMAIL FROM:<a@x>\r\nQUIT\r\n")
        assert b"\0" in text and text.endswith(b"\r\n221 2.0.0 Bye\r\n"), text
    with Sink("--fault", "greeting:slow") as sink, sink.connect() as connection:
        begun = time.monotonic()
        assert connection.recv(10) == b"2" and connection.recv(10) == b"2"
        assert time.monotonic() - begun > 0.9


def delays_hold_answers_back_and_what_follows_waits():
    with Sink("--delay", "mail=400ms") as sink, sink.connect() as connection:
        begun = time.monotonic()
        connection.sendall(b"EHLO c\r\n" + message(1) + message(2) + b"QUIT\r\n")
        text = read_all(connection)
        assert time.monotonic() - begun > 0.8 and text.count(b"Taken") == 2, text


def saves_before_it_answers():
    with tempfile.TemporaryDirectory() as folder, Sink("--save", folder, "--fault", "final_dot:451@50") as sink:
        text = talk(sink, b"EHLO c\r\n" + message(1) * 40 + b"QUIT\r\n")
        files = sorted(pathlib.Path(folder).iterdir())
        assert len(files) == text.count(b"Taken") and 0 < len(files) < 40
        assert files[0].read_bytes() == (b"Return-Path: <s@x>\r\nDelivered-To: r@x\r\nMessage-ID: <1@x>\r\n\r\n"
                                         b".dot\r\nbody\r\n")


def holds_a_client_that_reads_nothing():
    with Sink() as sink, sink.connect() as connection:
        connection.settimeout(1)
        sent = 0
        try:
            while sent < 400_000_000:  # its answers, unread, would be as many octets
                sent += connection.send(b"NOOP\r\n" * 10_000)
        except TimeoutError:
            pass
        resident = int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{sink.process.pid}/status").read_text())[1])
        assert sent < 400_000_000 and resident < 100_000, (sent, resident)


def speaks_tls():
    with tempfile.TemporaryDirectory() as folder:
        pem, key = pathlib.Path(folder) / "pem", pathlib.Path(folder) / "key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mx.example", "-out", pem, "-keyout", key],
                       check=True, capture_output=True)
        trust = ssl.create_default_context(cafile=pem)
        trust.check_hostname = False
        tls = ("--tls-certificate", pem, "--tls-key", key)
        got = pathlib.Path(folder) / "got"
        body = "Message-ID: <1@x>\r\n\r\n" + "octets\r\n" * 30000
        with Sink(*tls, "--save", got, "--delay", "starttls=100ms") as sink:
            for _ in range(2):
                with smtplib.SMTP("127.0.0.1", sink.port, timeout=20) as client:
                    client.starttls(context=trust)
                    client.ehlo()
                    assert not client.has_extn("starttls") and client.has_extn("pipelining")
                    client.sendmail("s@x", ["r@x"], body)
            # What came with STARTTLS is gone: the handshake is the next that is heard.
            with sink.connect() as connection:
                connection.sendall(b"EHLO c\r\nSTARTTLS\r\n" + message(7))
                time.sleep(0.5)
                connection.sendall(b"QUIT\r\n")
                assert read_all(connection).split(b"220 2.0.0 Begin TLS\r\n")[1][:1] in (b"", b"\x15")
        assert sink.result["messages"] == 2 and all(f.read_bytes().endswith(b"octets\r\n") for f in got.iterdir()), sink.result
        with Sink(*tls, "--fault", "starttls:454 4.7.0 not now") as sink, smtplib.SMTP("127.0.0.1", sink.port, timeout=20) as client:
            try:
                client.starttls(context=trust)
                raise AssertionError("it began TLS")
            except smtplib.SMTPResponseException as refusal:
                assert refusal.smtp_code == 454
            client.sendmail("s@x", ["r@x"], body)


def says_what_is_wrong():
    def failure(*options):
        done = subprocess.run([SLUICE, "sink", *options], capture_output=True, text=True, timeout=20)
        return done.returncode, done.stderr
    assert failure("--fault", "foo:drop")[0] == 64
    assert failure("--listen", "localhost:1")[0] == 64
    assert failure("--tls-key", "/dev/null")[0] == 64
    assert failure("--tls-certificate", "/dev/null", "--tls-key", "/dev/null") == (66, "sluice sink: /dev/null holds no certificate in PEM\n")
    with Sink() as sink:
        code, error = failure("--listen", f"127.0.0.1:{sink.port}")
        assert code == 69 and "Address already in use" in error, error
    code, error = failure("--save", "/proc/nothing")
    assert code == 73 and "cannot save to /proc/nothing" in error, error


def smtp_source_is_content():
    tools = subprocess.run(["bash", root / "tools/postfix_tools.sh"], stdout=subprocess.PIPE, text=True, check=True)
    with Sink("--threads", "2") as sink:
        for options in ((), ("-d",), ("-r", "3")):
            subprocess.run([f"{tools.stdout.strip()}/smtp-source", *options, "-s", "8", "-m", "400", "-l", "5000",
                            "-f", "s@sender.example", "-t", "r@example.net", f"127.0.0.1:{sink.port}"], check=True, timeout=100)
    assert sink.result["messages"] == 1200 and sink.result["recipients"] == 2000, sink.result


for test in (counts, ends_at_count_and_lets_the_client_finish, counts_what_a_dying_client_had_sent, every_fault,
             delays_hold_answers_back_and_what_follows_waits, saves_before_it_answers, holds_a_client_that_reads_nothing, speaks_tls,
             says_what_is_wrong, smtp_source_is_content):
    test()
    print("ok", test.__name__, flush=True)
