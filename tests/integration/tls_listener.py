#!/usr/bin/env python3
"""What the listener agrees to under TLS, asked by OpenSSL's and GnuTLS's clients as a scanner would: versions, every cipher there is, groups, renegotiation,
downgrades, early data, compression."""
# timeout_s: 180
import pathlib
import re
import socket
import ssl
import subprocess
import tempfile

from relay_tls import relay

# ECDHE with AEAD: nothing else of TLS 1.2.
CIPHERS = {f"ECDHE-{key}-{cipher}" for key in ("ECDSA", "RSA") for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")}


def openssl(port, *options, said="QUIT\n"):
    """Its exit code, and all that it said."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options], input=said, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout + done.stderr


def takes(port, *options):
    """What was agreed to, or None."""
    code, said = openssl(port, *options, "-brief")
    agreed = re.search(r"Ciphersuite: (\S+)", said)
    assert (code == 0) == (agreed is not None), (options, said)
    return agreed and agreed[1]


def speaks_tls_1_2_and_1_3_alone(port):
    assert takes(port, "-tls1_2") and takes(port, "-tls1_3")
    for old in ("-tls1", "-tls1_1"):
        assert not takes(port, old, "-cipher", "ALL:@SECLEVEL=0"), old
    code, said = openssl(port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert "alert protocol version" in said, said


def agrees_to_ciphers_that_keep_past_sessions_secret(port):
    names = subprocess.run(["openssl", "ciphers", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"], capture_output=True, text=True, check=True).stdout
    names = [name for name in names.strip().split(":") if not name.startswith("TLS_")]
    assert len(names) > 80 and CIPHERS < set(names), names
    taken = {name for name in names if takes(port, "-tls1_2", "-cipher", f"{name}:@SECLEVEL=0")}
    assert taken == {name for name in CIPHERS if "ECDSA" in name}, taken  # the certificate's key is one of ECDSA
    suites = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
    assert [takes(port, "-tls1_3", "-ciphersuites", suite) for suite in suites] == suites
    assert not takes(port, "-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_8_SHA256")


def agrees_to_good_groups(port):
    for group, is_taken in (("X25519", True), ("P-256", True), ("P-384", True), ("secp224r1", False), ("ffdhe2048", False)):
        assert (takes(port, "-tls1_3" if group != "secp224r1" else "-tls1_2", "-groups", group) is not None) == is_taken, group


def does_not_negotiate_again(port):
    _, said = openssl(port, "-tls1_2", said="R\nQUIT\n")
    assert "Secure Renegotiation IS supported" in said, said  # RFC 5746: it says that it would notice
    assert "no renegotiation" in said.lower(), said


def notices_a_client_that_was_made_to_fall_back(port):
    _, said = openssl(port, "-tls1_2", "-fallback_scsv")
    assert "inappropriate fallback" in said, said


def offers_nothing_that_was_a_mistake(port):
    for version in ("-tls1_2", "-tls1_3"):
        _, said = openssl(port, version, "-alpn", "smtp", "-status", "-tlsextdebug")
        assert "No ALPN negotiated" in said and "heartbeat" not in said, said
        assert "Compression: NONE" in said, said
    _, said = openssl(port, "-tls1_3", said="EHLO c.example\nQUIT\n")
    assert "Max Early Data: 0" in said or "Early data was not sent" in said, said


def takes_all_that_is_said_in_one_breath(port, starttls):
    """The handshake's end, commands and the goodbye in one segment: what gnutls-cli does with a short input."""
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            if starttls:
                stream = connection.makefile("rb")
                stream.readline()
                connection.sendall(b"HELO c.example\r\n")
                stream.readline()
                connection.sendall(b"STARTTLS\r\n")
                assert stream.readline().startswith(b"220"), "STARTTLS"
            context = ssl._create_unverified_context()
            come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = context.wrap_bio(come, go)
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    connection.sendall(go.read())
                    come.write(connection.recv(65536))
            client.write(b"EHLO c.example\r\nQUIT\r\n")
            try:
                client.unwrap()
            except ssl.SSLWantReadError:
                pass
            connection.sendall(go.read())
            while connection.recv(65536):
                pass


def serves_gnutls(port, ca):
    def gnutls(priority):
        done = subprocess.run(["gnutls-cli", "--starttls-proto=smtp", "--port", str(port), "--x509cafile", ca, "--priority", priority,
                               "--verify-hostname=relay.example", "127.0.0.1"], input="QUIT\r\n", capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout + done.stderr

    for priority, is_taken in (("NORMAL", True), ("NORMAL:-VERS-ALL:+VERS-TLS1.2", True), ("NORMAL:-VERS-ALL:+VERS-TLS1.3", True), ("SECURE256:+SECURE128", True),
                               ("LEGACY:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0", False), ("NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA", False),
                               ("NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC", False)):
        code, said = gnutls(priority)
        assert (code == 0) == is_taken, (priority, said)
        assert not is_taken or "The certificate is trusted" in said, (priority, said)


def main():
    with tempfile.TemporaryDirectory() as name, relay(pathlib.Path(name)) as r:
        for case in (speaks_tls_1_2_and_1_3_alone, agrees_to_ciphers_that_keep_past_sessions_secret, agrees_to_good_groups, does_not_negotiate_again,
                     notices_a_client_that_was_made_to_fall_back, offers_nothing_that_was_a_mistake):
            case(r.tls_port)
            print(f"{case.__name__}: passed", flush=True)
        takes_all_that_is_said_in_one_breath(r.tls_port, False)
        takes_all_that_is_said_in_one_breath(r.port, True)
        print("takes_all_that_is_said_in_one_breath: passed", flush=True)
        serves_gnutls(r.port, pathlib.Path(name) / "certificate.pem")
        print("serves_gnutls: passed")


if __name__ == "__main__":
    main()
