"""An SMTP server with STARTTLS for tests of a client's TLS: a certificate of one's choice, and faults. What came is in `mails`, how in `sessions`."""
import base64
import hashlib
import hmac
import os
import pathlib
import re
import socket
import ssl
import struct
import subprocess
import threading


class Authority:
    """A certificate authority in `folder`, and certificates that it signs: of `localhost` and 127.0.0.1 unless told otherwise."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.file = self.folder / "authority.pem"
        self.made = 0
        self._new("authority", "/CN=Test Authority", "-x509", "-days", "30", "-addext", "basicConstraints=critical,CA:TRUE")

    def _openssl(self, *arguments, **options):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=self.folder, **options)

    def _new(self, name, subject, *options, is_rsa=False):
        key = ("rsa:2048",) if is_rsa else ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
        self._openssl("req", "-new", "-newkey", *key, "-nodes", "-subj", subject, *options, "-out", f"{name}.pem", "-keyout", f"{name}.key")

    def certificate(self, names="DNS:localhost,IP:127.0.0.1", is_expired=False, is_self_signed=False, is_rsa=False):
        """Files of a certificate and its key."""
        self.made += 1
        name = f"host{self.made}"
        if is_self_signed:
            self._new(name, "/CN=localhost", "-x509", "-days", "30", "-addext", f"subjectAltName={names}")
        else:
            self._new(name, "/CN=localhost", is_rsa=is_rsa)
            (self.folder / f"{name}.ext").write_text(f"subjectAltName={names}\n")
            (self.folder / "index").write_text("")
            (self.folder / "ca.cnf").write_text(
                "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=p\ncopy_extensions=none\n"
                "[p]\ncommonName=supplied\n")
            dates = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"] if is_expired else ["-days", "30"]
            self._openssl("ca", "-batch", "-config", "ca.cnf", "-cert", "authority.pem", "-keyfile", "authority.key", "-in", f"{name}.pem",
                          "-out", f"{name}.pem.signed", "-notext", "-extfile", f"{name}.ext", *dates)
            (self.folder / f"{name}.pem.signed").rename(self.folder / f"{name}.pem")
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"


class Auth:
    """The server's side of AUTH for one user. `mechanisms`: those it offers; with `knows` False it takes SCRAM's proof without one of its own."""

    def __init__(self, mechanisms, user="mta@news.example", password="pa=ss,wörd", knows=True):
        self.mechanisms, self.name, self.password, self.knows = mechanisms, user, password, knows
        self.user, self.said = None, []

    def _ask(self, stream, connection, text):
        connection.sendall(b"334 " + base64.b64encode(text) + b"\r\n")
        answer = stream.readline()
        self.said.append(answer)
        return base64.b64decode(answer)

    def serve(self, line, stream, connection):
        self.said.append(line)
        words = line.decode().split()
        if words[1] == "PLAIN":
            _, user, password = base64.b64decode(words[2]).decode().split("\0")
        elif words[1] == "LOGIN":
            user = self._ask(stream, connection, b"Username:").decode()
            password = self._ask(stream, connection, b"Password:").decode()
        else:
            return self._scram(base64.b64decode(words[2]).decode(), stream, connection)
        self.user = user
        return (user, password) == (self.name, self.password)

    def _scram(self, first, stream, connection):
        bare = first.removeprefix("n,,")
        name, nonce = re.fullmatch(r"n=(.*),r=(.*)", bare).groups()
        server_first = f"r={nonce}{os.urandom(9).hex()},s={base64.b64encode(b'saltsalt').decode()},i=4096"
        answer = self._ask(stream, connection, server_first.encode()).decode()
        without_proof, proof = answer.rsplit(",p=", 1)
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), b"saltsalt", 4096)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        everything = f"{bare},{server_first},{without_proof}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), everything, "sha256")
        is_right = bytes(a ^ b for a, b in zip(client_key, signature)) == base64.b64decode(proof) and name.replace("=3D", "=").replace("=2C", ",") == self.name
        if self.knows and is_right:
            server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), everything, "sha256")
            self._ask(stream, connection, b"v=" + base64.b64encode(server))
        self.user = self.name
        return is_right or not self.knows


class TlsServer:
    """`certificate`: files, or None for a server without STARTTLS. `fault`: what follows STARTTLS instead of a handshake: an answer ("454 ..."),
    "garbage", "close", "stall", "injection". `context(ssl_context)` sets what else there is to set."""

    def __init__(self, certificate=None, fault=None, context=lambda made: None, extensions=(), auth=None, messages_a_session=1 << 30,
                 address="127.0.0.1:0"):
        self.fault, self.extensions, self.auth, self.messages_a_session = fault, list(extensions), auth, messages_a_session
        self.mails, self.sessions, self.names, self.said = [], [], [], []
        self.has_tls = certificate is not None or fault is not None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
            self.context.sni_callback = lambda connection, name, made: self.names.append(name)
            context(self.context)
        host, port = address.split(":")
        self.listener = socket.create_server((host, int(port)), backlog=4096)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            connection.settimeout(30)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        session = {"tls": None, "resumed": False}
        self.sessions.append(session)
        try:
            self._talk(connection, session)
        except OSError as error:
            session["error"] = str(error)
        finally:
            connection.close()

    def _talk(self, connection, session):
        connection.sendall(b"220 mx.example ESMTP\r\n")
        stream, sender, messages = connection.makefile("rb"), None, 0
        while line := stream.readline():
            verb = line.split()[0].upper() if line.split() else b""
            if not session["tls"]:
                self.said.append(line)
            if verb == b"EHLO":
                offered = ["mx.example", *self.extensions]
                if self.has_tls and not session["tls"]:
                    offered.append("STARTTLS")
                if self.auth and session["tls"]:
                    offered.append("AUTH " + self.auth.mechanisms)
                connection.sendall("".join(f"250{' ' if i == len(offered) - 1 else '-'}{word}\r\n" for i, word in enumerate(offered)).encode())
            elif verb == b"STARTTLS":
                connection = self._start_tls(connection, session)
                if connection is None:
                    return
                stream = connection.makefile("rb")
            elif verb == b"AUTH":
                if not self.auth.serve(line, stream, connection):
                    connection.sendall(b"535 5.7.8 no\r\n")
                    continue
                session["user"] = self.auth.user
                connection.sendall(b"235 2.7.0 yes\r\n")
            elif verb == b"MAIL" and messages == self.messages_a_session:
                connection.sendall(b"421 4.7.0 enough\r\n")
                return
            elif verb == b"MAIL":
                sender = line.decode().strip()
                connection.sendall(b"250 ok\r\n")
            elif verb == b"DATA":
                connection.sendall(b"354 go on\r\n")
                content = b"".join(iter(stream.readline, b".\r\n"))
                self.mails.append({"content": content, "tls": session["tls"], "user": session.get("user"), "mail": sender})
                messages += 1
                connection.sendall(b"250 2.0.0 taken\r\n")
            elif verb == b"QUIT":
                connection.sendall(b"221 bye\r\n")
                return
            else:
                connection.sendall(b"250 ok\r\n")

    def _start_tls(self, connection, session):
        """The connection to go on with; None: it is over."""
        if self.fault and self.fault[0].isdigit():
            connection.sendall(self.fault.encode() + b"\r\n")
            return connection
        connection.sendall(b"220 go ahead\r\n" + (b"250 injected\r\n" * 5 if self.fault == "injection" else b""))
        if self.fault == "close":
            connection.recv(4096)  # what is left unread makes it a reset
            return None
        if self.fault == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return None
        if self.fault == "stall":
            connection.recv(1)
            while connection.recv(4096):
                pass
            return None
        if self.fault == "garbage":
            connection.recv(4096)  # else it might come with the 220, and be taken for injected
            connection.sendall(b"500 what is this?\r\n" * 10)
            return None
        if self.fault == "injection":
            connection.recv(4096)
            return None
        secure = self.context.wrap_socket(connection, server_side=True)
        session.update(tls=secure.version(), resumed=secure.session_reused, client=secure.getpeercert(binary_form=True))
        return secure
