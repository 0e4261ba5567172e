"""An HTTPS server on loopback for MTA-STS policies and TLS reports: by host name, what it serves."""
import http.server
import ssl
import threading
import time


class HttpsServer:
    """`served`: by host name the body of the policy, or a function that is given the request's handler. `certificates`: by host name, "" for others.
    What was asked for is in `asked`, a host name for each request. `take`: a function that is given a POST's handler and body, and answers."""

    def __init__(self, address, certificates, served, take=None):
        self.served, self.asked = served, []
        contexts = {}
        for name, (certificate, key) in certificates.items():
            contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            contexts[name].load_cert_chain(certificate, key)

        def choose(connection, name, _):
            connection.context = contexts.get(name, contexts[""])

        contexts[""].sni_callback = choose
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 30

            def do_GET(self):
                host = self.headers["Host"]
                outer.asked.append(host)
                content = outer.served.get(host)
                if callable(content):
                    return content(self)
                if content is None or self.path != "/.well-known/mta-sts.txt":
                    return self.send_error(404)
                self.answer(content)

            def do_POST(self):
                take(self, self.rfile.read(int(self.headers["Content-Length"])))

            def answer(self, content, status=200, **headers):
                self.send_response(status)
                for name, value in ({"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(content))} | headers).items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(content.encode())

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self):
                connection, peer = self.socket.accept()
                connection.settimeout(30)
                # The handshake is the handler's thread's.
                return contexts[""].wrap_socket(connection, server_side=True, do_handshake_on_connect=False), peer

            def handle_error(self, request, address):
                pass  # a client that does not like the certificate

        host, port = address.split(":")
        self.server = Server((host, int(port)), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def hang(_):
    time.sleep(25)
