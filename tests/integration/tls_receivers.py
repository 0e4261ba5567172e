#!/usr/bin/env python3
"""TLS towards receivers whose TLS is not ours: Exim, which is GnuTLS's, and OpenSSL's own server. Versions, ciphers and groups of each, certificates that
are not good, and sessions that the receiver says were resumed. Exim needs root."""
# timeout_s: 120
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import threading

from _exim import Exim
from _sluice import free_port
from _tls_server import Authority
from tls_delivery import send

TLS_1_2, TLS_1_3 = "NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"
# By GnuTLS's priorities: what our log says then, and what Exim's says.
AGREED = {
    "two": (TLS_1_2, "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS1.2:ECDHE_X25519__ECDSA_SHA256__AES_128_GCM:128"),
    "three": (TLS_1_3, "TLSv1.3 TLS_AES_128_GCM_SHA256", "TLS1.3:ECDHE_X25519__ECDSA_SECP256R1_SHA256__AES_128_GCM:128"),
    "p384": (TLS_1_3 + ":-CIPHER-ALL:+AES-256-GCM:-GROUP-ALL:+GROUP-SECP384R1", "TLSv1.3 TLS_AES_256_GCM_SHA384", "TLS1.3:ECDHE_SECP384R1__ECDSA_SECP256R1_SHA256__AES_256_GCM:256"),
    "chacha2": (TLS_1_2 + ":-CIPHER-ALL:+CHACHA20-POLY1305", "TLSv1.2 TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                "TLS1.2:ECDHE_X25519__ECDSA_SHA256__CHACHA20_POLY1305:256"),
    "chacha3": (TLS_1_3 + ":-CIPHER-ALL:+CHACHA20-POLY1305", "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256",
                "TLS1.3:ECDHE_X25519__ECDSA_SECP256R1_SHA256__CHACHA20_POLY1305:256"),
    "p256": ("NORMAL:-GROUP-ALL:+GROUP-SECP256R1", "TLSv1.3 TLS_AES_128_GCM_SHA256", "TLS1.3:ECDHE_SECP256R1__ECDSA_SECP256R1_SHA256__AES_128_GCM:128"),
    # Old ones that are better than none.
    "cbc": (TLS_1_2 + ":-CIPHER-ALL:+AES-128-CBC", "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "TLS1.2:ECDHE_X25519__ECDSA_SHA256__AES_128_CBC__SHA1:128"),
    "rsa": (TLS_1_2 + ":-KX-ALL:+RSA", "TLSv1.2 TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS1.2:RSA__AES_128_GCM:128"),
}
# Of these nothing is spoken here.
NOTHING_IN_COMMON = {"old": "LEGACY:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0", "ccm": TLS_1_3 + ":-CIPHER-ALL:+AES-128-CCM", "ffdhe": "NORMAL:-GROUP-ALL:+GROUP-FFDHE2048"}


def readable(files):
    for file in files:
        file.chmod(0o644)  # by Exim's user
    return files


def exim_and_sluice_agree(folder):
    authority = Authority(folder)
    good, of_rsa = (readable(authority.certificate(is_rsa=is_rsa)) for is_rsa in (False, True))
    sites = {name: (*(of_rsa if name == "rsa" else good), priority) for name, (priority, *_) in AGREED.items()}
    sites |= {name: (*good, priority) for name, priority in NOTHING_IN_COMMON.items()}
    untrusted = {"expired": authority.certificate(is_expired=True), "wrongname": authority.certificate("DNS:mx.example"),
                 "selfsigned": authority.certificate(is_self_signed=True)}
    sites |= {name: (*readable(files), "NORMAL") for name, files in untrusted.items()}
    reasons = {"expired": "certificate has expired", "wrongname": "mismatch", "selfsigned": "self signed certificate"}
    delivered = 0
    with Exim(folder / "exim", sites) as exim:
        hops = {f"{name}.example": f"localhost:{port}" for name, port in exim.ports.items()}
        for policy in ("opportunistic", "required", "verified"):
            before = {domain: len(exim.received(domain)) for domain in hops}
            records = send(folder / policy, hops, f'tls = "{policy}"\ntls_ca_file = "{authority.file}"')
            for domain in hops:
                name, record, came = domain.removesuffix(".example"), records[domain], exim.received(domain)[before[domain]:]
                context = (policy, record, came, exim.log()[-2000:])
                if policy != "opportunistic" and name in NOTHING_IN_COMMON or policy == "verified" and name in untrusted:
                    assert record["event"] == "failed" and record["phase"] == "starttls" and not came, context
                    assert "TLS handshake failed" in record["reason"] and reasons.get(name, "") in record["reason"].replace("self-signed", "self signed").lower(), context
                    continue
                assert record["event"] == "delivered", context
                delivered += 1
                trust = "unverified" if name in untrusted else "verified"
                if name in NOTHING_IN_COMMON:
                    assert record["tls"] is None and came == [None], context
                elif name in AGREED:
                    assert record["tls"] == f"{AGREED[name][1]} {trust}" and came == [AGREED[name][2]], context
                else:
                    assert record["tls"] == f"TLSv1.3 TLS_AES_128_GCM_SHA256 {trust}" and came[0].startswith("TLS1.3:"), context
        mails = exim.mails(delivered)
        assert len(mails) == delivered and all(mail.endswith(b"\n\none\n") for mail in mails), (delivered, len(mails), exim.log()[-3000:])


def exim_resumes_our_sessions(folder):
    authority = Authority(folder)
    good = readable(authority.certificate())
    with Exim(folder / "exim", {"two": (*good, TLS_1_2), "three": (*good, TLS_1_3)}) as exim:
        records = send(folder / "all", {f"{name}.example": f"localhost:{port}" for name, port in exim.ports.items()},
                       f'tls = "verified"\nmessages_per_session_max = 5\ntls_ca_file = "{authority.file}"', number=20)
        for domain, version in (("two.example", "TLS1.2"), ("three.example", "TLS1.3")):
            assert records[domain]["tls"].endswith(" verified"), records
            came = exim.received(domain)
            assert all(said.startswith(version) for said in came) and [said.endswith("*") for said in came] == [False] * 5 + [True] * 15, came
        assert len(exim.mails(40)) == 40


class OpensslServer:
    """openssl s_server, which knows no SMTP: what precedes the handshake is said here, and then octets go to and fro; what it decrypts is answered through its
    standard input. One session at a time. `said` has its own words, `content` the lines between DATA and the dot, of all messages."""

    def __init__(self, certificate, *options):
        self.said, self.content = [], []
        inner = free_port()
        self.process = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{inner}", "-cert", certificate[0], "-key", certificate[1], *options],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        while b"ACCEPT" not in self.process.stdout.readline():
            assert self.process.poll() is None, "openssl s_server ended"
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        for work in (lambda: self._splice(inner), self._answer):
            threading.Thread(target=work, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.listener.close()
        self.process.kill()
        self.process.wait(timeout=20)

    def _splice(self, inner):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            client.sendall(b"220 mx.example ESMTP\r\n")
            for answer in (b"250-mx.example\r\n250 STARTTLS\r\n", b"220 go ahead\r\n"):
                client.recv(4096)
                client.sendall(answer)
            server = socket.create_connection(("127.0.0.1", inner))
            ways = [threading.Thread(target=self._pass, args=way) for way in ((client, server), (server, client))]
            for way in ways:
                way.start()
            for way in ways:
                way.join()
            client.close()
            server.close()

    @staticmethod
    def _pass(source, target):
        try:
            while octets := source.recv(65536):
                target.sendall(octets)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _answer(self):
        answers = {b"EHLO": b"250 mx.example", b"MAIL": b"250 ok", b"RCPT": b"250 ok", b"DATA": b"354 go on", b"RSET": b"250 ok", b"QUIT": b"221 bye"}
        is_content = False
        for line in self.process.stdout:
            answer = answers.get(line[:4])
            if is_content and line == b".\r\n":
                is_content, answer = False, b"250 taken"
            elif is_content:
                self.content.append(line)
                answer = None
            elif answer is None:
                self.said.append(line.decode(errors="replace").strip())
            is_content = is_content or line[:4] == b"DATA"
            if answer:
                self.process.stdin.write(answer + b"\r\n")
                self.process.stdin.flush()


def openssl_s_server_takes_a_message(folder):
    authority = Authority(folder)
    certificate = authority.certificate()
    for name, options, agreed in (("two", ["-tls1_2"], "TLSv1.2 TLS_ECDHE_ECDSA_WITH_"), ("three", ["-tls1_3"], "TLSv1.3 TLS_AES_128_GCM_SHA256"),
                                  ("chacha", ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"], "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256")):
        with OpensslServer(certificate, *options) as server:
            record = send(folder / name, {"a.example": f"localhost:{server.port}"},
                          f'tls = "verified"\nmessages_per_session_max = 1\ntls_ca_file = "{authority.file}"', number=3)["a.example"]
            assert record["event"] == "delivered" and record["tls"].startswith(agreed) and record["tls"].endswith(" verified"), (record, server.said)
            assert server.content.count(b"Subject: one\r\n") == 3, server.content
            assert sum(bool(re.match("Reused session-id", line)) for line in server.said) == 2, server.said


def main():
    cases = [exim_and_sluice_agree, exim_resumes_our_sessions] if os.getuid() == 0 else []
    for case in (*cases, openssl_s_server_takes_a_message):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder).chmod(0o755)
            case(pathlib.Path(folder))
        print(f"{case.__name__}: passed", flush=True)


if __name__ == "__main__":
    main()
