"""A small HTTP/1.1 server with keep-alive: one thread a connection, one write an answer."""

from __future__ import annotations

import socket
import struct
from http import HTTPStatus
from socketserver import StreamRequestHandler, ThreadingTCPServer

from tests.testexchange.app import App
from tests.testexchange.control import PREFIX, Control
from tests.testexchange.messages import DropConnection, Request, Response


class Handler(StreamRequestHandler):
    """Requests of one connection. Own parsing: http.server's would cost most of a replay."""

    disable_nagle_algorithm = True
    server: Server

    def handle(self) -> None:
        try:
            while self._serve_one():
                pass
        except (ConnectionError, TimeoutError):
            return  # the client has gone; what it ordered stands

    def _serve_one(self) -> bool:
        """Answers one request; False when the connection is over."""
        request = self._read()
        if request is None:
            return False
        try:
            if request.path.startswith(PREFIX):
                answer = self.server.control.handle(request)
            else:
                answer = self.server.app.handle(request)
        except DropConnection:
            self._reset()
            return False
        return self._write(request, answer)

    def _read(self) -> Request | None:
        line = self.rfile.readline(65537).decode("latin-1").split()
        if len(line) != 3:
            return None
        headers: dict[str, str] = {}
        while (raw := self.rfile.readline(65537)) not in (b"\r\n", b"\n", b""):
            name, _, value = raw.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", "0"))).decode()
        path, _, query = line[1].partition("?")
        return Request(
            method=line[0], path=path.lstrip("/"), query=query, body=body, headers=headers
        )

    def _write(self, request: Request, answer: Response) -> bool:
        closing = answer.cut or request.headers.get("connection", "").lower() == "close"
        lines = [
            f"HTTP/1.1 {answer.status} {_phrase(answer.status)}",
            f"Content-Type: {answer.content_type}",
            f"Content-Length: {len(answer.body)}",
            f"Connection: {'close' if closing else 'keep-alive'}",
            *(f"{name}: {value}" for name, value in answer.headers.items()),
        ]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        body = answer.body[: len(answer.body) // 2] if answer.cut else answer.body
        self.wfile.write(head + body)
        return not closing

    def _reset(self) -> None:
        """Makes close() send a reset instead of an orderly end."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown"


class Server(ThreadingTCPServer):
    """Listens on loopback only."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, app: App, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.app = app
        self.control = Control(app)
