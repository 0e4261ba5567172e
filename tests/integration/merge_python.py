#!/usr/bin/env python3
"""Python's email package, which knows nothing of us, reads merged messages and must find exactly the values of the list.

Messages of many shapes, each for random recipients: whatever the transfer encoding, charset or place, what a reader sees is what the list says."""

import base64
import email
import email.header
import email.policy
import email.utils
import html
import json
import os
import quopri
import random
import subprocess
import sys
import tempfile
import urllib.parse

from _sluice import SLUICE

SEED = int(os.environ.get("SEED", random.randrange(2**32)))
ROWS = 40

HEADER = """From: "{{name}}, News" <news@sender.example>
To: {{name}} <{{email}}>
Subject: for {{name}} {{city}} only
X-City: ({{city}})
List-Unsubscribe: <https://sender.example/u?n={{name}}&c={{city}}>
"""
TEXT = "Dear {{name}},\n[[{{note}}]]\n.\n{{#city}}\n((of {{city}}))\n{{/city}}\n{{^city}}nowhere{{/city}}\n"
HTML = "<p title=\"{{name}}\">Dear {{name}},</p>\n<b>[[{{note}}]]</b> <i>((of {{city}}))</i>\n"


def part(kind, encoding, text, charset="utf-8"):
    octets = text.encode(charset)
    if encoding == "base64":
        octets = base64.encodebytes(octets)
    elif encoding == "quoted-printable":
        octets = quopri.encodestring(octets)
    head = f"Content-Type: {kind}; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n"
    return head.encode() + octets


def tree(kind, boundary, *parts):
    out = f"Content-Type: multipart/{kind}; boundary=\"{boundary}\"\n\n".encode()
    for each in parts:
        out += f"\n--{boundary}\n".encode() + each
    return out + f"\n--{boundary}--\n".encode()


def shapes():
    head = HEADER.encode()
    mime = head + b"MIME-Version: 1.0\n"
    attachment = b"Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\ne3tuYW1lfX0K\n"
    yield "no MIME", head + b"\n" + TEXT.encode()
    for encoding in "7bit", "8bit", "quoted-printable", "base64":
        yield f"plain {encoding}", mime + part("text/plain", encoding, TEXT)
        yield f"html {encoding}", mime + part("text/html", encoding, HTML)
    yield "latin-1", mime + part("text/plain", "8bit", "Gr\u00fc\u00dfe! " + TEXT, "iso-8859-1")
    yield "latin-1 quoted", mime + part("text/html", "quoted-printable", "Gr\u00fc\u00dfe! " + HTML, "iso-8859-1")
    yield "utf-16", mime + part("text/plain", "base64", TEXT, "utf-16")
    yield "long line", mime + part("text/html", "8bit", "<!-- " + "x" * 900 + HTML.replace("\n", " ") + "y" * 900 + "\n")
    both = tree("alternative", "inner", part("text/plain", "7bit", TEXT), part("text/html", "quoted-printable", HTML))
    yield "alternative", mime + both
    yield "nested", mime + tree("mixed", "outer", tree("related", "middle", both, attachment), attachment)


def rows(rng):
    letters = ["a", "B", "z9", "\u00fc", "\u20ac", "\u4e2d", "\U0001f600", ".", ",", "<", ">", "&", "\"", "'", "\\", "=", "?", "=?utf-8?q?x?=",
               "@", ";", "(", ")", "{{name}}", "}}", "%", "--", "-", "_", "#"]

    def word():
        return "".join(rng.choice(letters) for _ in range(rng.choice([1, 3, 8, 30])))

    def line():
        return " ".join(word() for _ in range(rng.choice([1, 1, 2, 3, 12])))

    for i in range(ROWS):
        name = rng.choice(["Ann", "Name, 1", "J\u00f6rg", line()])
        note = rng.choice(["", " ", ".", "x" * 1500, " ".join(["\u00fc" * 9] * 99), line(), "--inner--", "\n".join(["", ".", "..", "--outer", "--inner", "x ", "\ty", "From z"]),
                           rng.choice(["\n", "\r\n", "\r"]).join(line() for _ in range(4))])
        yield {"email": f"user{i}@d{i % 3}.example", "name": name, "city": rng.choice(["", "Ulm", line()]), "note": note}


def lines(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


def between(text, begin, end):
    return text[text.index(begin) + len(begin):text.rindex(end)]


def address(wire, field):
    # By the older of Python's readers: the newer keeps the blank between two encoded-words of a phrase, against RFC 2047 section 6.2.
    value = email.message_from_bytes(wire)[field].replace("\r\n", "")
    name, spec = email.utils.parseaddr(value)
    return str(email.header.make_header(email.header.decode_header(name))), spec


def check(label, row, preview):
    wire = preview["message"].encode()
    assert preview["sender"] == "b+1@sender.example", preview["sender"]
    for one in wire.split(b"\r\n"):
        assert b"\r" not in one and b"\n" not in one, "bare CR or LF"
        assert len(one) <= 998, "a line of %d octets" % len(one)
    message = email.message_from_bytes(wire, policy=email.policy.default)

    def same(what, got, wanted):
        assert got == wanted, f"{what}: {got!r} instead of {wanted!r}"

    name, city, note = row["name"], row["city"], row["note"]
    same("To", address(wire, "To"), (name, row["email"]))
    same("From", address(wire, "From"), (name + ", News", "news@sender.example"))
    same("Subject", message["Subject"], f"for {name} {city} only")
    same("X-City", message["X-City"], f"({city})")
    url = urllib.parse.urlsplit("".join(message["List-Unsubscribe"].split())[1:-1])
    same("List-Unsubscribe", urllib.parse.parse_qs(url.query, keep_blank_values=True), {"n": [name], "c": [city]})
    for once in "Date", "Message-ID", "From", "To", "Subject":
        assert len(message.get_all(once)) == 1, once

    texts = 0
    for each in message.walk():
        if each.get_content_type() == "application/octet-stream":
            same("attachment", each.get_content(), b"{{name}}\n")
        if each.get_content_maintype() != "text":
            continue
        texts += 1
        content = lines(each.get_content())
        if each.get_content_subtype() == "html":
            same("title", html.unescape(content[content.index('title="') + 7:content.index('">Dear')]), name)
            content = html.unescape(content)
        same("greeting", content[content.index("Dear ") + 5:content.index(",\n" if "</p>" not in content else ",</p>", content.index("Dear ") + 5 + len(name))], name)
        same("note", between(content, "[[", "]]"), lines(note))
        if "((of" in content or city:
            same("city", between(content, "((of ", "))"), city)
    return texts


def main():
    print("seed", SEED)
    rng = random.Random(SEED)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for label, message in shapes():
            list_rows = list(rows(rng))
            with open(f"{folder}/list.jsonl", "w") as out:
                for row in list_rows:
                    out.write(json.dumps(row, ensure_ascii=rng.random() < 0.5) + "\n")
            with open(f"{folder}/m.eml", "wb") as out:
                out.write(message.replace(b"\n", b"\r\n") if rng.random() < 0.5 and b"utf-16" not in message else message)
            run = subprocess.run([SLUICE, "send", "--message", f"{folder}/m.eml", "--recipients", f"{folder}/list.jsonl", "--from", "b+1@sender.example",
                                  "--spool", f"{folder}/spool", "--preview", str(ROWS), "--json"], capture_output=True, text=True, timeout=60)
            if run.returncode != 0:
                print(f"{label}: exit {run.returncode}: {run.stderr[:500]}")
                failed += 1
                continue
            previews = {p["recipient"]: p for p in json.loads(run.stdout)["previews"]}
            assert len(previews) == ROWS, (label, len(previews))
            for row in list_rows:
                try:
                    texts = check(label, row, previews[row["email"]])
                    assert texts >= 1, "no text part"
                except (AssertionError, ValueError, IndexError) as error:
                    failed += 1
                    if failed <= 10:
                        print(f"{label}: {row!r}\n  {error}\n{previews[row['email']]['message'][:1500]}")
            print(f"{label}: {ROWS} messages read")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
