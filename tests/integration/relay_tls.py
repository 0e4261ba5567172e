#!/usr/bin/env python3
"""The relay under TLS, with clients of others: STARTTLS and TLS from the first octet, AUTH, who may relay, what is said of it in Received;
nothing said in plaintext survives STARTTLS; passwords are guessed slowly; messages are counted by client."""
# timeout_s: 180
import base64
import contextlib
import pathlib
import re
import smtplib
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from _relay import Relay, wait_for
from _sluice import Sink, free_port
from _tls_server import Authority

PASSWORD = "correct horse"
TEXT = "From: a@news.example\r\nTo: b@x.example\r\nSubject: one\r\n\r\none\r\n"


def certificate(folder):
    """A certificate that signs itself, and its key."""
    files = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=relay.example", "-addext", "subjectAltName=DNS:relay.example", "-out", files[0], "-keyout", files[1]],
                   check=True, capture_output=True)
    return files


def users(folder):
    # SHA-512 of few rounds: the test is not about its cost.
    hashed = subprocess.run(["openssl", "passwd", "-6", "-salt", "saltsalt", PASSWORD], check=True, capture_output=True, text=True).stdout.strip()
    (folder / "users").write_text(f"ann:{hashed}\nbob:{hashed}\n")
    (folder / "users").chmod(0o600)
    return folder / "users"


@contextlib.contextmanager
def relay(folder, *options, allow='["10.0.0.0/8"]', more=""):
    """A relay with STARTTLS on `port` and TLS at once on `tls_port`, before a sink that keeps what comes in `got`."""
    got, tls_port = folder / "got", free_port()
    got.mkdir()
    pem, key = certificate(folder)
    secure = f'allow = {allow}\ntls_certificate = "{pem}"\ntls_key = "{key}"\nusers = "{users(folder)}"\n{more}'
    with Sink("--save", got, *options) as sink, Relay(
            folder, sink.port, secure + f'[[listen]]\naddress = "127.0.0.1:{tls_port}"\ntls = "implicit"\n' + secure) as started:
        started.tls_port, started.got = tls_port, got
        started.trust = ssl.create_default_context(cafile=pem)
        started.trust.check_hostname = False
        yield started


def received(relay, number):
    """The Received fields of the `number` messages that came."""
    wait_for(lambda: len(list(relay.got.iterdir())) == number)
    time.sleep(0.1)
    return sorted(re.search(r"^Received: (.*?)\r\n(?=\S)", f.read_bytes().decode(), re.S | re.M)[1] for f in relay.got.iterdir())


def refusal(call):
    try:
        call()
    except smtplib.SMTPRecipientsRefused as e:
        return min(e.recipients.values())[0]
    except smtplib.SMTPResponseException as e:
        return e.smtp_code
    raise AssertionError("it was taken")


def takes_mail_of_those_who_log_in(folder):
    with relay(folder) as r:
        with r.client() as client:
            client.ehlo("client.example")
            assert client.has_extn("starttls") and not client.has_extn("auth"), client.esmtp_features
            assert client.docmd("AUTH", "PLAIN AGFubgBjb3JyZWN0IGhvcnNl")[0] == 538
            assert client.starttls(context=r.trust)[0] == 220
            client.ehlo("client.example")
            assert not client.has_extn("starttls") and client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"], client.esmtp_features
            assert client.sock.version() == "TLSv1.3"
            client.login("ann", PASSWORD)
            assert client.docmd("AUTH", "PLAIN AGFubgBjb3JyZWN0IGhvcnNl")[0] == 503
            client.sendmail("a@news.example", ["b@x.example"], TEXT)
        for mechanism in ("auth_plain", "auth_login"):
            for initial in (True, False):
                with smtplib.SMTP_SSL("127.0.0.1", r.tls_port, context=r.trust, timeout=20, local_hostname="client.example") as client:
                    client.ehlo()
                    assert not client.has_extn("starttls") and client.has_extn("auth"), client.esmtp_features
                    client.user, client.password = "bob", PASSWORD
                    assert client.auth(mechanism[5:].upper(), getattr(client, mechanism), initial_response_ok=initial)[0] == 235
                    client.sendmail("a@news.example", ["b@x.example"], TEXT)
        # Under TLS and not logged in.
        with r.client() as client:
            client.starttls(context=r.trust)
            try:
                client.sendmail("a@news.example", ["b@x.example"], TEXT)
                raise AssertionError("it relays for anybody")
            except smtplib.SMTPRecipientsRefused as e:
                assert e.recipients["b@x.example"][0] == 550
        fields = received(r, 5)
    for field in fields:
        assert re.search(r"from client\.example \(\[127\.0\.0\.1\]\)\r\n\t\(using TLSv1\.3 TLS_[A-Z0-9_]+\)\r\n\tby relay\.example with ESMTPSA id ", field), field
        assert "ann" not in field and "bob" not in field


def says_what_protects_a_message(folder):
    with relay(folder, allow='["127.0.0.0/8"]') as r:
        older = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        older.check_hostname, older.verify_mode, older.maximum_version = False, ssl.CERT_NONE, ssl.TLSVersion.TLSv1_2
        with r.client() as client:
            client.sendmail("a@news.example", ["b@x.example"], TEXT)
            client.starttls(context=older)
            client.sendmail("a@news.example", ["b@x.example"], TEXT)
        fields = received(r, 2)
    assert any("with ESMTP id" in f and "using" not in f for f in fields), fields
    assert any("with ESMTPS id" in f and re.search(r"\(using TLSv1\.2 TLS_ECDHE_ECDSA_WITH_", f) for f in fields), fields


def serves_the_clients_of_others(folder):
    with relay(folder) as r:
        swaks = ["swaks", "--server", "127.0.0.1", "--from", "a@news.example", "--to", "b@x.example", "--helo", "client.example", "--silent", "1"]
        login = ["--auth-user", "ann", "--auth-password", PASSWORD]
        for options in (["--port", str(r.port), "--tls", "--auth", "PLAIN"], ["--port", str(r.port), "--tls", "--auth", "LOGIN"],
                        ["--port", str(r.tls_port), "--tls-on-connect", "--auth", "PLAIN"],
                        ["--port", str(r.tls_port), "--tls-on-connect", "--auth", "LOGIN"]):
            done = subprocess.run(swaks + options + login, capture_output=True, text=True, timeout=30)
            assert done.returncode == 0, (options, done.stdout, done.stderr)
        wrong = subprocess.run(swaks + ["--port", str(r.port), "--tls", "--auth", "PLAIN", "--auth-user", "ann", "--auth-password", "wrong"],
                               capture_output=True, text=True, timeout=30)
        assert wrong.returncode == 28, (wrong.returncode, wrong.stdout)  # swaks: AUTH failed
        received(r, 4)
        openssl = ["openssl", "s_client", "-CAfile", folder / "certificate.pem", "-verify_return_error", "-quiet", "-crlf"]
        for options in (["-starttls", "smtp", "-connect", f"127.0.0.1:{r.port}"], ["-connect", f"127.0.0.1:{r.tls_port}"],
                        ["-starttls", "smtp", "-connect", f"127.0.0.1:{r.port}", "-tls1_2"],
                        ["-connect", f"127.0.0.1:{r.tls_port}", "-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]):
            client = subprocess.Popen(openssl + options, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            said, err = client.communicate("EHLO client.example\nQUIT\n", timeout=30)
            assert "250-AUTH PLAIN LOGIN" in said and "221 2.0.0" in said, (options, said, err)
        # A session goes on with the ticket of another one.
        session = folder / "session"
        first = ["openssl", "s_client", "-connect", f"127.0.0.1:{r.tls_port}", "-tls1_2"]
        subprocess.run(first + ["-sess_out", session], input="QUIT\r\n", capture_output=True, text=True, timeout=30)
        again = subprocess.run(first + ["-sess_in", session], input="QUIT\r\n", capture_output=True, text=True, timeout=30)
        assert "Reused, TLSv1.2" in again.stdout, again.stdout
        # What has no forward secrecy, or is old, is refused.
        for options in (["-tls1_2", "-cipher", "AES128-SHA"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"], ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]):
            refused = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{r.tls_port}", *options], input="", capture_output=True, text=True, timeout=30)
            assert refused.returncode != 0, options


def hears_nothing_that_was_said_before_tls(folder):
    with relay(folder, allow='["127.0.0.0/8"]') as r:
        for injected in (b"RSET\r\n", b"M", b"MAIL FROM:<evil@news.example>\r\nRCPT TO:<b@x.example>\r\n"):
            with socket.create_connection(("127.0.0.1", r.port), timeout=20) as s:
                s.recv(999)
                s.sendall(b"EHLO client.example\r\n")
                s.recv(999)
                s.sendall(b"STARTTLS\r\n" + injected)
                said = b"".join(iter(lambda: s.recv(999), b""))
                assert said.startswith(b"501 ") and said.count(b"\r\n") == 1, said
        # What comes later, in place of the handshake, ends the connection.
        with socket.create_connection(("127.0.0.1", r.port), timeout=20) as s:
            s.recv(999)
            s.sendall(b"EHLO client.example\r\n")
            s.recv(999)
            s.sendall(b"STARTTLS\r\n")
            assert s.recv(999).startswith(b"220 ")
            s.sendall(b"MAIL FROM:<evil@news.example>\r\n")
            said = b"".join(iter(lambda: s.recv(999), b""))
            assert b"250" not in said and b"503" not in said, said
        # A transaction that was begun in plaintext, EHLO included, is forgotten.
        with r.client() as client:
            client.ehlo("client.example")
            client.mail("evil@news.example")
            assert client.docmd("STARTTLS")[0] == 503
            client.rset()
            client.starttls(context=r.trust)
            assert client.docmd("MAIL", "FROM:<a@news.example>")[0] == 503
            client.sendmail("a@news.example", ["b@x.example"], TEXT)
        received(r, 1)


def ends_handshakes_that_take_too_long(folder):
    with relay(folder, more='command_timeout = "1s"\n') as r:
        quiet = socket.create_connection(("127.0.0.1", r.tls_port), timeout=20)
        slow = socket.create_connection(("127.0.0.1", r.tls_port), timeout=20)
        begun = time.monotonic()
        with contextlib.suppress(OSError):
            for octet in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500):
                slow.sendall(bytes([octet]))
                time.sleep(0.1)
                if time.monotonic() - begun > 5:
                    raise AssertionError("an octet now and then keeps a handshake open")
        assert quiet.recv(99) == b"", "a client that says nothing is kept"
        quiet.close()
        slow.close()


def has_a_client_that_guesses_wait(folder):
    with relay(folder) as r:
        with r.client() as client:
            client.starttls(context=r.trust)
            client.ehlo()
            assert client.docmd("AUTH", "PLAIN !!!")[0] == 501
            assert client.docmd("AUTH", "CRAM-MD5")[0] == 504
            assert client.docmd("AUTH", "LOGIN")[0] == 334
            assert client.docmd("*")[0] == 501
            client.mail("a@news.example")
            assert client.docmd("AUTH", "PLAIN")[0] == 503
            client.rset()
        wrong = base64.b64encode(b"\0ann\0wrong").decode()
        unknown = base64.b64encode(b"\0nobody\0wrong").decode()
        waited = []
        with r.client() as client:
            client.starttls(context=r.trust)
            client.ehlo()
            for code, secret in ((535, wrong), (535, unknown), (421, wrong)):
                begun = time.monotonic()
                assert client.docmd("AUTH", "PLAIN " + secret)[0] == code
                waited.append(time.monotonic() - begun)
                if code == 421:
                    break
                # Another session from there is told to come again meanwhile.
        assert waited[0] < 0.8 and 1 <= waited[1] < 1.8 and 2 <= waited[2] < 2.8, waited

        results = []

        def guess():
            with r.client() as client:
                client.starttls(context=r.trust)
                client.ehlo()
                results.append(client.docmd("AUTH", "PLAIN " + wrong)[0])

        guesses = [threading.Thread(target=guess) for _ in range(8)]
        for thread in guesses:
            thread.start()
        for thread in guesses:
            thread.join()
        assert sorted(results) == [454] * 7 + [535], results
        # The right one is good, and makes the wrong ones forgotten.
        with r.client() as client:
            client.starttls(context=r.trust)
            client.login("ann", PASSWORD)
    told = [line for line in r.said.splitlines() if "wrong password" in line]
    assert told == [f"sluice: 127.0.0.1:{r.port}: wrong password from 127.0.0.1"] * 4, r.said


def counts_messages_by_client(folder):
    with relay(folder, allow='["127.0.0.0/8"]', more='messages_per_client_rate = "1/h"\n') as r:
        with r.client() as client:
            for _ in range(10):
                client.sendmail("a@news.example", ["b@x.example"], TEXT)
            assert refusal(lambda: client.sendmail("a@news.example", ["b@x.example"], TEXT)) == 450
            client.starttls(context=r.trust)
            client.login("ann", PASSWORD)
            for _ in range(10):
                client.sendmail("a@news.example", ["b@x.example"], TEXT)
            assert refusal(lambda: client.sendmail("a@news.example", ["b@x.example"], TEXT)) == 450


def takes_large_mail_under_all_of_it(folder):
    """Beyond what is held in memory: the client waits for the disk under TLS, too, and is counted as with any message."""
    text = TEXT + "".join(f"{'.' * (line % 3)}line {line}\r\n" for line in range(400_000))
    with relay(folder, more='messages_per_client_rate = "1/h"\n') as r:
        for connect in (lambda: r.client(), lambda: smtplib.SMTP_SSL("127.0.0.1", r.tls_port, context=r.trust, timeout=20)):
            with connect() as client:
                if not isinstance(client, smtplib.SMTP_SSL):
                    client.starttls(context=r.trust)
                client.login("ann", PASSWORD)
                for _ in range(2):
                    client.sendmail("a@news.example", ["b@x.example"], text)
        fields = received(r, 4)
        saved = [f.read_bytes() for f in r.got.iterdir()]
        with smtplib.SMTP_SSL("127.0.0.1", r.tls_port, context=r.trust, timeout=20) as client:
            client.login("bob", PASSWORD)
            for _ in range(10):
                client.sendmail("a@news.example", ["b@x.example"], TEXT)
            assert refusal(lambda: client.sendmail("a@news.example", ["b@x.example"], text)) == 450
    assert all("with ESMTPSA id" in field for field in fields), fields
    body = text[text.index("\r\n\r\n"):].encode()
    assert all(octets.endswith(body) for octets in saved), [len(octets) for octets in saved]


def serves_the_clients_of_its_authority(folder):
    """Certificates of the right name, of another, out of time, of nobody we know, and none: who may relay by it, and all are served."""
    (folder / "others").mkdir()
    ours, others = Authority(folder), Authority(folder / "others")
    cards = {"good": ours.certificate("DNS:app.example"), "other name": ours.certificate("DNS:web.example"),
             "expired": ours.certificate("DNS:app.example", is_expired=True), "of others": others.certificate("DNS:app.example"),
             "wildcard": ours.certificate("DNS:*.example"), "none": None}
    with relay(folder, more=f'tls_client_ca_file = "{ours.file}"\nallow_certificates = ["app.example"]\n') as r:
        for kind, card in cards.items():
            mine = ssl.create_default_context(cafile=folder / "certificate.pem")
            mine.check_hostname = False
            if card:
                mine.load_cert_chain(*card)
            for _ in range(2):
                with r.client() as client:
                    client.starttls(context=mine)
                    if kind == "good":
                        client.sendmail("a@news.example", ["b@x.example"], TEXT)
                        continue
                    assert refusal(lambda: client.sendmail("a@news.example", ["b@x.example"], TEXT)) == 550, kind
                    client.login("ann", PASSWORD)
                    client.sendmail("a@news.example", ["b@x.example"], TEXT)
        with r.client() as client:
            assert refusal(lambda: client.sendmail("a@news.example", ["b@x.example"], TEXT)) == 550
        received(r, 2 * len(cards))


def main():
    for case in (takes_mail_of_those_who_log_in, says_what_protects_a_message, serves_the_clients_of_others, hears_nothing_that_was_said_before_tls,
                 ends_handshakes_that_take_too_long, has_a_client_that_guesses_wait, counts_messages_by_client, serves_the_clients_of_its_authority,
                 takes_large_mail_under_all_of_it):
        with tempfile.TemporaryDirectory() as folder:
            case(pathlib.Path(folder))
        print(f"{case.__name__}: passed", flush=True)


if __name__ == "__main__":
    main()
