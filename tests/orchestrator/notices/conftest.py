"""A webhook's server that behaves as the test says, and keeps what was posted to it."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from tests.serving import LocalServer

PATH = "/services/T0000/B0000/not-for-others"


class Hook(LocalServer):
    """A server on loopback; `answers` says how each request is answered, the last one for all."""

    def __init__(self) -> None:
        self.answers: list[str] = ["ok"]
        self.texts: list[str] = []
        self.paths: list[str] = []
        self.arrived = threading.Condition()
        self.is_over = threading.Event()
        super().__init__(_Handler)
        self.address += PATH

    def wait_for(self, number: int) -> list[str]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.texts) >= number, 60), self.texts
            return list(self.texts)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        hook = self.server
        with hook.arrived:
            answer = hook.answers.pop(0) if len(hook.answers) > 1 else hook.answers[0]
            hook.texts.append(json.loads(body)["text"])
            hook.paths.append(self.path)
            hook.arrived.notify_all()
        if answer == "hang":
            hook.is_over.wait(60)
        elif answer == "drip":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not hook.is_over.wait(0.02):
                self.wfile.write(b"X-More: 1\r\n")
        elif answer == "flood":
            self.send_response(200)
            self.end_headers()
            while not hook.is_over.is_set():
                self.wfile.write(b"x" * (1 << 16))
        elif answer == "redirect":
            self.send_response(307)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
        elif answer == "garbage":
            self.wfile.write(b"no http at all\r\n\r\n")
        else:
            self.send_response(200 if answer == "ok" else int(answer))
            self.end_headers()

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # whoever asked went away
            self.close_connection = True

    def log_message(self, format: str, *values: object) -> None:
        """Print nothing."""


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    server = Hook()
    monkeypatch.setenv("LAB_HOOK", server.address)
    try:
        yield server
    finally:
        server.is_over.set()
        server.close()
