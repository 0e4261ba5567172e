"""What is sent: personal mails to many, one text for all MTAs."""
import pathlib

SENDER = "bounce@sender.example"
LINE = "Sixty-five characters of newsletter that say nothing new at all."
NEXT_HOP_PORT = 2525


class Mails:
    """`count` recipients over `domains` domains, one mail each, of about `size_bytes`; mail i is the same whoever sends it."""

    def __init__(self, count, domains=100, size_bytes=10240):
        self.count, self.domains = count, domains
        lines = max(1, (size_bytes - 260) // (len(LINE) + 2))
        self._text = "From: News <news@sender.example>\nTo: {{name}} <{{email}}>\nSubject: Hello {{name}}\n" \
                     "Date: Sun, 22 Nov 2026 12:00:00 +0000\nMessage-ID: <{{token}}@sender.example>\n\n" \
                     "Dear {{name}}, your token is {{token}}.\n" + (LINE + "\n") * lines
        wire = self._text.replace("\n", "\r\n")
        for tag in ("email", "name", "token"):
            wire = wire.replace("{{%s}}" % tag, "%%(%s)s" % tag)
        self._wire = wire
        self.bytes = len(self.wire(0))

    def recipient(self, i):
        return f"user{i}@d{i % self.domains}.example"

    def wire(self, i):
        """Content of mail i, with CRLF; no line begins with a dot."""
        return (self._wire % {"email": self.recipient(i), "name": f"Reader {i}", "token": f"token{i:08}"}).encode()

    def write_newsletter(self, folder):
        """Template and list, as `sluice send` reads them."""
        (folder / "news.eml").write_text(self._text)
        with open(folder / "list.csv", "w") as file:
            file.write("email,name,token\n")
            file.writelines(f"{self.recipient(i)},Reader {i},token{i:08}\n" for i in range(self.count))


class Route:
    """Where mail goes: all to one next hop, or each domain to a loopback address of its own; the receiver answers on all of them.

    `sessions`: at most to one next hop. `sessions_in_all`: what it takes to be sized for, processes for instance. `tls`: mail goes under TLS, or not at all.
    `keys`: each signs what is sent (harness/trust.py).
    """

    def __init__(self, sessions, domains=None, sessions_in_all=None):
        self.sessions, self.port = sessions, NEXT_HOP_PORT
        self.sessions_in_all = sessions_in_all or sessions
        self.host, self.tls, self.keys = "127.0.0.1", False, []
        self.hosts = {f"d{i}.example": f"127.1.{i // 250}.{i % 250 + 1}" for i in range(domains or 0)}


def write(path, text, mode=0o644):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
