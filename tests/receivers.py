"""Where alerts arrive in tests: a real SMTP server and a real webhook receiver on 127.0.0.1."""

import email
import json
import socketserver
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass
class Received:
    """What came to one receiver, and where it listens."""

    port: int = 0
    #: Of each webhook: its path, and its JSON.
    posts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    mails: list[Message] = field(default_factory=list)
    connections: int = 0
    #: What the webhook answers, by path.
    answer: Callable[[str], int] = lambda _path: 200

    @property
    def texts(self) -> list[str]:
        """Subject and text of each webhook."""
        return [f"{post['title']}\n{post['message']}" for _path, post in self.posts]


@contextmanager
def serving(server: Any, received: Received) -> Iterator[Received]:
    received.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def certified(server: ThreadingHTTPServer) -> ThreadingHTTPServer:
    """Have a server speak TLS, with a certificate for localhost that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    now = datetime.now(UTC)
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    signed = made.add_extension(names, critical=False).sign(key, hashes.SHA256())
    encoding, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, no_password)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as both:
        both.write(private + signed.public_bytes(encoding))
        both.flush()
        context.load_cert_chain(both.name)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


@contextmanager
def webhooks(*, tls: bool = False) -> Iterator[Received]:
    """Take webhooks until the end of the block."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def setup(self) -> None:
            received.connections += 1
            super().setup()

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            received.posts.append((self.path, json.loads(self.rfile.read(length))))
            status = received.answer(self.path)
            self.send_response(status)
            if self.path == "/endless":
                self.end_headers()
                with suppress(OSError):
                    while True:
                        self.wfile.write(b"x" * 65_536)
                return
            if status == 302:
                self.send_header("Location", f"http://127.0.0.1:{received.port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving(certified(server) if tls else server, received):
        yield received


@contextmanager
def mailbox() -> Iterator[Received]:
    """Take mail by SMTP (RFC 5321, without extensions) until the end of the block."""
    received = Received()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            received.connections += 1
            self.say("220 mailbox")
            while line := self.rfile.readline():
                verb = line.split()[0].upper() if line.split() else b""
                if verb == b"DATA":
                    self.say("354 go on")
                    received.mails.append(self.letter())
                self.say("221 bye" if verb == b"QUIT" else "250 ok")
                if verb == b"QUIT":
                    return

        def letter(self) -> Message:
            lines = []
            while (line := self.rfile.readline()) != b".\r\n":
                lines.append(line.removeprefix(b"."))
            return email.message_from_bytes(b"".join(lines), policy=default)

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with serving(server, received):
        yield received


def text_of_mail(mail: Any) -> str:
    """Return the plain text of a received mail."""
    return str(mail.get_body(("plain",)).get_content())
