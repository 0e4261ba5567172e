#!/usr/bin/env python3
"""REQUIRETLS (RFC 8689): asked for under TLS, a message goes to servers that offer it and prove who they are, or comes back without its body, in a
notice that requires TLS too. Others go as ever."""
# timeout_s: 120
import pathlib
import smtplib
import ssl
import tempfile

from _sluice import free_port, log_records
from _tls_server import Authority, TlsServer
from relay import wait_for
from reload import Engine

TEXT = "From: a@news.example\r\nTo: b@x.example\r\nSubject: for few\r\nMessage-ID: <one@news.example>\r\n\r\nthe secret\r\n"


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        authority = Authority(folder)
        good = authority.certificate()
        offers = {"extensions": ["PIPELINING", "REQUIRETLS"]}
        servers = {"good": TlsServer(good, **offers), "lacks": TlsServer(good), "unproven": TlsServer(authority.certificate(is_self_signed=True), **offers),
                   "plain": TlsServer(**offers), "news": TlsServer(good, **offers)}
        port, pem, key = free_port(), *good
        config = (f'[destination."*"]\ntls_ca_file = "{authority.file}"\n[[listen]]\naddress = "127.0.0.1:{port}"\n'
                  f'tls_certificate = "{pem}"\ntls_key = "{key}"\n')
        config += "".join(f'[destination."{kind}.example"]\nnext_hop = ["localhost:{server.port}"]\n' for kind, server in servers.items())

        def records():
            return {r["recipient"]: r for r in log_records(folder / "log") if r["event"] in ("delivered", "failed")}

        with Engine(folder, config):
            wait_for(lambda: connects(port))
            with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
                client.ehlo()
                assert not client.has_extn("requiretls"), client.esmtp_features
                assert client.mail("a@news.example", ["REQUIRETLS"])[0] == 555
                client.starttls(context=ssl._create_unverified_context())
                client.ehlo()
                assert client.has_extn("requiretls"), client.esmtp_features
                client.sendmail("a@news.example", [f"b@{kind}.example" for kind in servers if kind != "news"], TEXT, ["REQUIRETLS"])
                client.sendmail("a@news.example", [f"c@{kind}.example" for kind in servers if kind != "news"], TEXT)
            wait_for(lambda: len(records()) == 9 and len(servers["news"].mails) == 3)
            told = records()

        assert told["b@good.example"]["event"] == "delivered" and told["b@good.example"]["tls"].endswith(" verified"), told
        for kind, why in (("lacks", "server does not offer REQUIRETLS"), ("unproven", "whose identity is proven"), ("plain", "whose identity is proven")):
            record = told[f"b@{kind}.example"]
            assert record["event"] == "failed" and record["enhanced"] == "5.7.30" and why in record["reason"], record
            assert [mail["mail"] for mail in servers[kind].mails] == ["MAIL FROM:<a@news.example>"], servers[kind].mails
        assert sorted(mail["mail"] for mail in servers["good"].mails) == ["MAIL FROM:<a@news.example>", "MAIL FROM:<a@news.example> REQUIRETLS"]
        for mail in servers["news"].mails:
            assert mail["mail"] == "MAIL FROM:<> REQUIRETLS" and mail["tls"], mail["mail"]
            assert b"Subject: for few" in mail["content"] and b"the secret" not in mail["content"], mail["content"]
    print("REQUIRETLS goes to whom it may, and comes back with it: passed")


def connects(port):
    try:
        smtplib.SMTP("127.0.0.1", port, timeout=20).quit()
        return True
    except (OSError, smtplib.SMTPException):
        return False


if __name__ == "__main__":
    main()
