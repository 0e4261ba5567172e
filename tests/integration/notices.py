#!/usr/bin/env python3
"""Notices as others read them: Python's email and flufl.bounce find in each what it tells, and nothing else; and the engine
delivers them from the null sender, octet for octet. The notices are written by a unit test, see notice_samples_test.cc."""
import email
import email.policy
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

DEBIANS_PYTHON = "/usr/bin/python3"
try:
    import flufl.bounce
except ImportError:
    # Debian's package is for Debian's Python; another one may come first in PATH.
    if os.path.realpath(sys.executable) == os.path.realpath(DEBIANS_PYTHON):
        sys.exit("notices.py: python3-flufl.bounce is missing; tools/setup.sh installs it")
    os.execv(DEBIANS_PYTHON, [DEBIANS_PYTHON, *sys.argv])

from _sluice import SLUICE, Sink

COMPOSER = SLUICE.parent / "unit_engine"
SUBJECTS = {"failed": "Undelivered Mail Returned to Sender", "delayed": "Delayed Mail (still being retried)",
            "relayed": "Successful Mail Delivery Report"}


def compose(folder):
    subprocess.run([COMPOSER, "--gtest_filter=NoticeSamples.*"], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "SLUICE_NOTICE_SAMPLES": str(folder)})
    samples = {path.stem: (path.read_bytes(), json.loads(path.with_suffix(".json").read_text()))
               for path in sorted(folder.glob("*.eml"))}
    assert len(samples) >= 14, sorted(samples)
    return samples


def xtext_undone(text):
    """The address of RFC 6533 section 3."""
    return re.sub(r"\\x\{([0-9A-F]+)\}", lambda code: chr(int(code[1], 16)), text)


def check_octets(octets, expected):
    assert all(len(line) <= 998 for line in octets.split(b"\r\n"))
    assert b"\0" not in octets and not re.search(rb"\r(?!\n)|(?<!\r)\n", octets)
    assert expected["needs_8bit"] or octets.isascii()


def check_structure(octets, expected):
    message = email.message_from_bytes(octets, policy=email.policy.SMTPUTF8)
    assert not message.defects, message.defects
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["Subject"] == SUBJECTS[expected["action"]], message["Subject"]
    assert message["Auto-Submitted"] == "auto-replied" and message["Message-ID"] and message["Date"].datetime
    assert message["From"].addresses[0].addr_spec == "MAILER-DAEMON@mta1.news.example"
    assert f"\r\nTo: {expected['to']}\r\n".encode() in octets
    text, status, returned = message.get_payload()
    assert text.get_content_type() == "text/plain"
    words = text.get_content()
    for recipient in expected["recipients"]:
        assert f"<{recipient['address']}>" in words, (recipient, words)
    check_status(status, expected)
    check_returned(octets, returned, expected)


def check_status(status, expected):
    assert status.get_content_type() in ("message/delivery-status", "message/global-delivery-status")
    if status.get_content_type() == "message/delivery-status":
        groups = status.get_payload()
    else:  # which Python does not know
        text = status.get_payload(decode=True) or status.get_payload(0).as_bytes()
        groups = [email.message_from_bytes(group, policy=email.policy.SMTPUTF8)
                  for group in text.replace(b"\r\n", b"\n").strip().split(b"\n\n")]
    groups = [group for group in groups if group.keys()]
    assert groups[0]["Reporting-MTA"] == "dns; mta1.news.example"
    assert groups[0]["Original-Envelope-Id"] == "QQ314159"
    assert len(groups) == 1 + len(expected["recipients"]), [group.items() for group in groups]
    for group, recipient in zip(groups[1:], expected["recipients"]):
        assert group["Action"] == expected["action"]
        assert re.fullmatch(r"[245]\.\d+\.\d+", group["Status"])
        address = group["Final-Recipient"].split(";", 1)[1].strip()
        assert xtext_undone(address) == recipient["address"], group["Final-Recipient"]
        assert (group["Original-Recipient"] or "").replace("; ", ";") == recipient["original"]
        assert (group["Will-Retry-Until"] is not None) == (expected["action"] == "delayed")
        reply = "".join(group["Diagnostic-Code"].splitlines())
        if not recipient["text"]:
            assert reply.startswith("X-Sluice; "), reply
        elif recipient["text"].isprintable() and "xxxx" not in reply:
            assert reply == f"smtp; {recipient['text']}", reply


def check_returned(octets, returned, expected):
    kind = returned.get_content_type()
    if expected["is_whole"] and expected["returned"].split("\r\n\r\n")[0].isascii():
        assert kind == "message/rfc822", kind
        assert expected["returned"].encode() in octets
    else:
        assert kind in ("text/rfc822-headers", "message/global-headers"), kind
        header = expected["returned"].split("\r\n\r\n")[0]
        assert returned.get_payload(decode=True).decode().replace("\r\n", "\n").strip() == \
            header.replace("\r\n", "\n"), returned.get_payload(decode=True)


def check_with_flufl(octets, expected):
    temporary, permanent = flufl.bounce.all_failures(email.message_from_bytes(octets))
    wanted = set()
    for recipient in expected["recipients"]:
        address = recipient["original"].removeprefix("rfc822;") or recipient["address"]
        if address.isascii():  # flufl.bounce knows no others
            wanted.add(address.encode())
    assert permanent == (wanted if expected["action"] == "failed" else set()), permanent
    assert temporary == (wanted if expected["action"] == "delayed" else set()), temporary


def check_delivery(folder, samples):
    """The engine takes them from the spool like any campaign."""
    saved = folder / "saved"
    saved.mkdir()
    with Sink("--count", str(len(samples)), "--save", saved) as sink:
        subprocess.run([SLUICE, "serve", "--until-empty", "--quiet", "--spool", folder / "spool",
                        "--next-hop", f"127.0.0.1:{sink.port}"], check=True, timeout=60)
        sink.end()
    contents = {octets: expected["to"] for octets, expected in samples.values()}
    for path in saved.iterdir():
        envelope, delivered_to, octets = path.read_bytes().split(b"\n", 2)
        assert envelope.strip() == b"Return-Path: <>", envelope
        to = contents.pop(octets)
        assert delivered_to.strip().decode() == f"Delivered-To: {to}", delivered_to
    assert not contents, f"{len(contents)} notices did not arrive as they were composed"


def main():
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        samples = compose(folder)
        for sample, (octets, expected) in samples.items():
            for check in check_octets, check_structure, check_with_flufl:
                try:
                    check(octets, expected)
                except Exception as error:
                    failures += 1
                    print(f"{sample}: {check.__name__}: {error!r}\n{octets.decode(errors='backslashreplace')}")
        check_delivery(folder, samples)
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
