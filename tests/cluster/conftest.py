"""A proxy before the object storage that misbehaves as a test asks."""

import contextlib
import http.client
import http.server
import socket
import threading
from urllib.parse import urlsplit

import pytest

ERROR = "<Error><Code>{code}</Code><Message>as the test asked</Message></Error>"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_request(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.proxy.seen.append(f"{self.command} {self.path}")
        with contextlib.suppress(OSError):
            self.proxy.rule(self)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_request  # noqa: N815

    def log_message(self, *words):
        pass

    def passed_on(self):
        """Let the server do it; returns its answer without giving it to the client."""
        connection = http.client.HTTPConnection(self.proxy.host, self.proxy.port, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name != "Expect"}
        connection.request(self.command, self.path, self.body, headers)
        response = connection.getresponse()
        answer = response.status, response.getheaders(), response.read()
        connection.close()
        return answer

    def give(self, answer):
        """Hand an answer to the client."""
        status, headers, body = answer
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = dict((name.lower(), value) for name, value in headers).get("content-length")
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code):
        """Answer with an error of S3's."""
        self.give((status, [("Content-Type", "application/xml")], ERROR.format(code=code).encode()))

    def hang_up(self):
        """Close the connection without a word."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def cut_upload(self):
        """Let the server see half of the body, then break both connections."""
        with socket.create_connection((self.proxy.host, self.proxy.port)) as connection:
            lines = [f"{self.command} {self.path} HTTP/1.1"]
            lines += [f"{name}: {value}" for name, value in self.headers.items()]
            head = "\r\n".join(line for line in lines if not line.startswith("Expect"))
            connection.sendall(head.encode() + b"\r\n\r\n" + self.body[: len(self.body) // 2])
        self.hang_up()


class Proxy:
    """Passes requests on, unless its `rule` does something else with them."""

    def __init__(self, target):
        self.host, self.port = urlsplit(target).hostname, urlsplit(target).port
        self.seen = []
        self.rule = lambda request: request.give(request.passed_on())
        handler = type("Bound", (Handler,), {"proxy": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def passing(self, condition, instead, times=None):
        """Do `instead` with the first `times` requests that fit (all when None)."""
        counted = threading.Semaphore(times if times is not None else 1_000_000)

        def rule(request):
            if condition(request) and counted.acquire(blocking=False):
                instead(request)
            else:
                request.give(request.passed_on())

        self.rule = rule


@pytest.fixture
def proxy(object_storage, bucket, s3):
    """A proxy that this process's S3 goes through."""
    between = Proxy(object_storage)
    s3(between.address)
    yield between
    between.server.shutdown()
    between.server.server_close()
