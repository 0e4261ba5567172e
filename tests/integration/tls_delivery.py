#!/usr/bin/env python3
"""TLS towards servers of others: each policy against each kind of server; what the log says of it; sessions resumed; client certificates;
what a server remembers of whom; Postfix and the sink. Nothing of a message is sent in the clear where policy forbids it."""
# timeout_s: 300
import os
import pathlib
import ssl
import subprocess
import tempfile
import time

from _postfix import Postfix
from _sluice import SLUICE, Sink, deliver, log_records
from _tls_server import Auth, Authority, TlsServer
from relay import wait_for
from reload import Engine, hop

MESSAGE = "From: a@news.example\nTo: {{email}}\nSubject: one\n\none\n"


def send(folder, hops, policy, number=1, more="", message=MESSAGE):
    """The log's last record of each destination; `hops`: their next hops by domain."""
    folder.mkdir(exist_ok=True)
    config = (f'[engine]\nhostname = "mta.news.example"\nspool = "{folder}/spool"\nlog = "{folder}/log"\nshards = 1\n'
              f'[destination."*"]\nsessions_max = 1\n{policy}\n[destination."*".retry]\nfirst = "1s"\nfactor = 1.0\nconnect_attempts_max = 1\n'
              '[destination."*".timeout]\nstarttls = "1s"\n' + more)
    config += "".join(f'[destination."{domain}"]\nnext_hop = ["{hop}"]\n' for domain, hop in hops.items())
    people = "email\n" + "".join(f"u{i}@{domain}\n" for domain in hops for i in range(number))
    done = deliver(folder, config, message, people, "a@news.example")
    assert done.returncode in (0, 1), (done.returncode, done.stdout, done.stderr)
    records = {}
    for record in log_records(folder / "log"):
        if record["event"] != "accepted":
            records[record["recipient"].split("@")[1]] = record
    return records


def settled(server, number):
    until = time.monotonic() + 10
    while len(server.mails) < number and time.monotonic() < until:
        time.sleep(0.02)
    return server.mails


def keeps_to_its_policy(folder):
    authority = Authority(folder)
    good, localhost = authority.certificate(), "localhost:{}"

    def old(context):
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    kinds = {
        "plain": (TlsServer(), localhost), "refused": (TlsServer(fault="454 4.7.0 not now"), localhost),
        "garbage": (TlsServer(fault="garbage"), localhost), "close": (TlsServer(fault="close"), localhost),
        "reset": (TlsServer(fault="reset"), localhost), "stall": (TlsServer(fault="stall"), localhost),
        "old": (TlsServer(good, context=old), localhost), "good": (TlsServer(good), localhost), "address": (TlsServer(good), "127.0.0.1:{}"),
        "expired": (TlsServer(authority.certificate(is_expired=True)), localhost),
        "wrongname": (TlsServer(authority.certificate("DNS:mx.example")), localhost),
        "wrongaddress": (TlsServer(authority.certificate("DNS:localhost,IP:192.0.2.1")), "127.0.0.1:{}"),
        "selfsigned": (TlsServer(authority.certificate(is_self_signed=True)), localhost),
        "wildcard": (TlsServer(authority.certificate("DNS:*.example")), localhost),
        "injection": (TlsServer(fault="injection"), localhost),
    }
    hops = {f"{kind}.example": hop.format(server.port) for kind, (server, hop) in kinds.items()}
    clear, no = None, "no"
    broken = {"garbage", "close", "reset", "stall", "old"}
    without = {"plain", "refused"}
    untrusted = {"expired", "wrongname", "wrongaddress", "selfsigned", "wildcard"}

    def expected(policy, kind):
        if policy == "none":
            return clear
        if kind == "injection":
            return no
        if kind in without | broken:
            return clear if policy == "opportunistic" else no
        if kind in untrusted:
            return no if policy == "verified" else "unverified"
        return "verified"

    for policy in ("none", "opportunistic", "required", "verified"):
        for server, _ in kinds.values():
            server.mails.clear()
            server.said.clear()
        records = send(folder / policy, hops, f'tls = "{policy}"\ntls_min = "1.3"\ntls_ca_file = "{authority.file}"')
        for kind, (server, _) in kinds.items():
            record, want = records[f"{kind}.example"], expected(policy, kind)
            context = (policy, kind, record, server.sessions[-2:])
            if want == no:
                assert record["event"] == "failed" and record["phase"] == "starttls" and not server.mails, context
                # Words of ours: what was demanded, and what happened.
                assert policy == "opportunistic" or record["reason"].endswith(f"; tls = {policy}"), context
                assert not any(line.startswith((b"MAIL", b"RCPT", b"DATA")) for line in server.said), context
                words = {"plain": "does not offer STARTTLS", "stall": "timed out after 1 s", "injection": "plaintext behind", "close": "closed by peer",
                         "old": "TLS handshake failed", "garbage": "TLS handshake failed", "refused": "refused", "expired": "certificate has expired",
                         "selfsigned": "self signed certificate", "wrongname": "mismatch", "wrongaddress": "mismatch", "wildcard": "mismatch"}
                assert words.get(kind, "") in record["reason"].replace("self-signed", "self signed").lower() or words[kind] in record["reason"], context
                assert kind != "refused" or (record["code"] == 454 and record["text"] == "454 4.7.0 not now"), context
                assert record["tls"] is None, context
                continue
            assert record["event"] == "delivered" and len(settled(server, 1)) == 1, context
            assert b"Subject: one" in server.mails[0]["content"], context
            if want is clear:
                assert record["tls"] is None and server.mails[0]["tls"] is None, context
            else:
                version, cipher, trust = record["tls"].split(" ")
                assert version == server.mails[0]["tls"] == "TLSv1.3" and cipher.startswith("TLS_") and trust == want, context
    assert set(kinds["good"][0].names) == {"localhost"} and set(kinds["address"][0].names) == {None}, "SNI"
    for server, _ in kinds.values():
        server.listener.close()


def speaks_what_both_sides_know(folder):
    authority = Authority(folder)
    certificate = authority.certificate()

    def older(context):
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    with TlsServer(certificate, context=older) as two, TlsServer(certificate) as three:
        records = send(folder / "both", {"two.example": f"localhost:{two.port}", "three.example": f"localhost:{three.port}"}, 'tls = "required"')
        assert records["two.example"]["tls"].startswith("TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_") and two.mails[0]["tls"] == "TLSv1.2", records
        # Signed by nobody whom the system knows.
        assert records["three.example"]["tls"].startswith("TLSv1.3 ") and records["three.example"]["tls"].endswith(" unverified"), records


def shows_a_certificate_to_those_who_ask(folder):
    authority = Authority(folder)
    mine = authority.certificate("DNS:mta.news.example")

    def asks(context):
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.file)

    with TlsServer(authority.certificate(), context=asks) as server:
        hops = {"a.example": f"localhost:{server.port}"}
        with_it = send(folder / "with", hops, f'tls = "required"\ntls_client_certificate = "{mine[0]}"\ntls_client_key = "{mine[1]}"')
        assert with_it["a.example"]["event"] == "delivered" and server.sessions[0]["client"] == ssl.PEM_cert_to_DER_cert(mine[0].read_text())
        without = send(folder / "without", hops, 'tls = "required"')
        assert without["a.example"]["event"] == "failed" and "CERTIFICATE_REQUIRED" in without["a.example"]["reason"].upper(), without
        opportunistic = send(folder / "opportunistic", hops, 'tls = "opportunistic"')
        assert opportunistic["a.example"]["event"] == "delivered" and opportunistic["a.example"]["tls"] is None, opportunistic


def resumes_sessions(folder):
    authority = Authority(folder)

    def older(context):
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    for name, context in (("two", older), ("three", lambda made: None)):
        with TlsServer(authority.certificate(), context=context) as server:
            records = send(folder / name, {"a.example": f"localhost:{server.port}"},
                           f'tls = "verified"\nmessages_per_session_max = 5\ntls_ca_file = "{authority.file}"', number=20)
            assert len(settled(server, 20)) == 20 and records["a.example"]["tls"].endswith(" verified"), records
            assert [s["resumed"] for s in server.sessions] == [False, True, True, True], server.sessions


def remembers_whose_handshakes_fail(folder):
    with TlsServer(fault="garbage") as server:
        send(folder / "garbage", {"a.example": f"localhost:{server.port}"}, 'messages_per_session_max = 5', number=20)
        assert len(settled(server, 20)) == 20
        assert sum(line.startswith(b"STARTTLS") for line in server.said) == 1, server.said
        assert len(server.sessions) == 1 + 4, server.sessions


def sends_large_messages_whole(folder):
    authority = Authority(folder)
    body = "".join(f"line {i} of a long story, as long as lines of stories are\n" for i in range(60_000))
    with TlsServer(authority.certificate(), extensions=["PIPELINING"]) as server:
        records = send(folder / "large", {"a.example": f"localhost:{server.port}"}, 'tls = "required"', number=3, message=MESSAGE + body)
        assert records["a.example"]["event"] == "delivered"
        for mail in settled(server, 3):
            assert mail["content"].endswith(body.replace("\n", "\r\n").encode()), len(mail["content"])


def logs_in_where_it_is_told_to(folder):
    authority = Authority(folder)
    certificate = authority.certificate()
    password = folder / "password"
    password.write_text("pa=ss,wörd\n")
    password.chmod(0o600)
    trust = f'tls_ca_file = "{authority.file}"\nauth_user = "mta@news.example"\nauth_password_file = "{password}"'
    for mechanisms, used in (("PLAIN LOGIN SCRAM-SHA-256", "SCRAM-SHA-256"), ("LOGIN PLAIN", "PLAIN"), ("LOGIN", "LOGIN")):
        auth = Auth(mechanisms)
        with TlsServer(certificate, auth=auth) as server:
            records = send(folder / used, {"a.example": f"localhost:{server.port}"}, 'tls = "verified"\n' + trust)
            assert records["a.example"]["event"] == "delivered" and server.mails[0]["user"] == "mta@news.example", records
            assert auth.said[0].split()[1].decode() == used, auth.said
    wrong = {"liar": (Auth("SCRAM-SHA-256", knows=False), "proof that the server knows"), "other": (Auth("PLAIN", password="other"), "535"),
             "none": (None, "offers no SCRAM-SHA-256, PLAIN or LOGIN"), "strange": (Auth("CRAM-MD5"), "offers no SCRAM-SHA-256, PLAIN or LOGIN")}
    for name, (auth, words) in wrong.items():
        with TlsServer(certificate, auth=auth) as server:
            record = send(folder / name, {"a.example": f"localhost:{server.port}"}, 'tls = "required"\n' + trust)["a.example"]
            assert record["event"] == "failed" and record["phase"] == "auth" and not server.mails, record
            assert words in record.get("reason", "") + record.get("text", ""), record
            assert record["tls"] is None or record["tls"].endswith(" verified"), record
    # A server that is not who it should be gets no password.
    auth = Auth("PLAIN")
    with TlsServer(authority.certificate("DNS:mx.example"), auth=auth) as server:
        record = send(folder / "impostor", {"a.example": f"localhost:{server.port}"}, 'tls = "verified"\n' + trust)["a.example"]
        assert record["event"] == "failed" and record["phase"] == "starttls" and not auth.said, record
    # Nor does anybody who looks.
    checked = subprocess.run([SLUICE, "check", "--config", folder / "PLAIN" / "c.toml"], capture_output=True, text=True, check=True)
    explained = subprocess.run([SLUICE, "explain", "u@a.example", "--config", folder / "PLAIN" / "c.toml"], capture_output=True, text=True)
    assert "auth_user" in explained.stdout and "pa=ss" not in checked.stdout + explained.stdout + explained.stderr, explained
    password.chmod(0o640)
    checked = subprocess.run([SLUICE, "check", "--config", folder / "PLAIN" / "c.toml"], capture_output=True, text=True)
    assert checked.returncode == 78 and "is open to others (mode 640)" in checked.stderr and "pa=ss" not in checked.stderr, checked
    password.chmod(0o600)


def reads_its_files_anew_when_told_to(folder):
    authority = Authority(folder)
    password = folder / "password"
    password.write_text("old\n")
    password.chmod(0o600)
    with TlsServer(authority.certificate(), auth=Auth("PLAIN", password="new")) as server:
        config = hop(server.port) + (f'tls = "verified"\ntls_ca_file = "{authority.file}"\nauth_user = "mta@news.example"\n'
                                     f'auth_password_file = "{password}"\n[destination."a.example".retry]\nfirst = "1s"\nfactor = 1.0\n')

        def hand_off(recipient):
            (folder / "m.eml").write_text(MESSAGE)
            (folder / "l.csv").write_text(f"email\n{recipient}\n")
            subprocess.run([SLUICE, "send", "--config", folder / "c.toml", "--message", folder / "m.eml", "--recipients", folder / "l.csv", "--from",
                            "a@news.example", "--quiet"], check=True, capture_output=True, timeout=30)

        with Engine(folder, config) as engine:
            hand_off("one@a.example")
            wait_for(lambda: ("deferred", "one@a.example") in engine.events())
            password.write_text("new\n")
            engine.reload(config)
            hand_off("two@a.example")
            wait_for(lambda: ("delivered", "two@a.example") in engine.events())
            password.chmod(0o644)
            assert "is open to others" in engine.reload(config, "nothing has changed")


def delivers_to_postfix_and_to_the_sink(folder):
    authority = Authority(folder)
    pem, key = authority.certificate()
    (folder / "postfix").mkdir()
    for file in (pem, key):
        file.chmod(0o644)
    folder.chmod(0o755)
    with Sink("--tls-certificate", pem, "--tls-key", key) as sink:
        records = send(folder / "sink", {"a.example": f"127.0.0.1:{sink.port}"}, f'tls = "verified"\ntls_ca_file = "{authority.file}"', number=500)
        assert records["a.example"]["tls"].startswith("TLSv1.3 TLS_") and records["a.example"]["tls"].endswith(" verified"), records
        sink.process.terminate()
        sink.end()
        assert sink.result["messages"] == sink.result["messages_tls"] == 500 and sink.result["duplicates"] == 0, sink.result
        assert sink.result["tls_handshakes"] == 1 and sink.result["messages_signed"] == 0, sink.result
    if os.getuid() != 0:
        return
    users = [f"u{i}" for i in range(20)]
    postfix = Postfix(folder / "postfix", "b.example", users, smtpd_tls_security_level="encrypt", smtpd_tls_cert_file=pem, smtpd_tls_key_file=key)
    try:
        records = send(folder / "to_postfix", {"b.example": f"127.0.0.1:{postfix.port}"}, f'tls = "verified"\ntls_ca_file = "{authority.file}"', number=20)
        assert records["b.example"]["event"] == "delivered" and records["b.example"]["tls"].endswith(" verified"), (records, postfix.log())
        # Encryption is demanded there.
        refused = send(folder / "in_clear", {"b.example": f"127.0.0.1:{postfix.port}"}, 'tls = "none"')
        assert refused["b.example"]["event"] in ("failed", "deferred") and refused["b.example"]["code"] == 530, refused
    finally:
        postfix.stop()


def main():
    for case in (keeps_to_its_policy, speaks_what_both_sides_know, shows_a_certificate_to_those_who_ask, resumes_sessions,
                 remembers_whose_handshakes_fail, logs_in_where_it_is_told_to, sends_large_messages_whole,
                 reads_its_files_anew_when_told_to, delivers_to_postfix_and_to_the_sink):
        with tempfile.TemporaryDirectory() as folder:
            case(pathlib.Path(folder))
        print(f"{case.__name__}: passed", flush=True)


if __name__ == "__main__":
    main()
