"""What TLS and DKIM want: the receiver's certificate, keys to sign with, and a judge of signatures that is not ours (python3-dkim)."""
import dataclasses
import pathlib
import re
import subprocess

from harness import roots

DOMAIN = "sender.example"


@dataclasses.dataclass
class Key:
    selector: str
    file: pathlib.Path
    record: bytes  # of its TXT


def _folder():
    folder = roots.cache() / "trust"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def certificate():
    """Files of a certificate and its key (ECDSA, P-256), signed by itself: nobody verifies it here."""
    pem, key = _folder() / "sink.pem", _folder() / "sink.key"
    if not pem.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650", "-subj",
                        "/CN=localhost", "-keyout", key, "-out", pem], check=True, capture_output=True)
    return pem, key


def signing_keys(sluice, algorithms):
    """New ones, each with its algorithm as the selector."""
    keys = []
    for algorithm in algorithms:
        file = _folder() / f"{algorithm}.pem"
        file.unlink(missing_ok=True)
        shown = subprocess.run([sluice, "dkim", "keygen", "--domain", DOMAIN, "--selector", algorithm, "--type", algorithm, "--out", file], check=True,
                               capture_output=True, text=True).stdout
        keys.append(Key(algorithm, file, "".join(re.findall(r'"([^"]*)"', shown)).encode()))
    return keys


def good_signatures(message, keys):
    """How many of the message's signatures verify, each by the key of its selector."""
    import dkim  # of Debian's Python, once it was installed
    records = {f"{key.selector}._domainkey.{DOMAIN}.".encode(): key.record for key in keys}
    judge = dkim.DKIM(message)
    count = sum(name.lower() == b"dkim-signature" for name, _ in judge.headers)
    return sum(bool(judge.verify(idx=i, dnsfunc=lambda name, timeout=5: records.get(name))) for i in range(count))
