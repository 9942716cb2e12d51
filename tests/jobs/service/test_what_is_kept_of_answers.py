"""Servers and proxies may answer with what they were sent; records keep a short plain name."""

import http.server
import json

import pytest

from jobs.service.credentials import read_key
from jobs.service.endpoint import Endpoint
from jobs.service.faults import NoAnswer, plain_name
from tests.serving import LocalServer

KEY = "opensesame-of-the-lab-77"


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the header that holds the key, in the places that are read."""

    status = 200

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        header = self.headers["Authorization"]
        body = {
            "model": f"tiny\x1b[31m {header}\n" + "x" * 5000,
            "system_fingerprint": [header] * 3,
            "choices": [{"message": {"content": "well"}}],
            "error": {"code": "opensesame"},
        }
        data = json.dumps(body).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words):
        """Say nothing."""


@pytest.fixture
def endpoint(monkeypatch):
    def make(status):
        handler = type("Handler", (Echo,), {"status": status})
        servers.append(LocalServer(handler))
        monkeypatch.setenv("LLM", KEY)
        return Endpoint(
            base_url=servers[-1].address,
            model="tiny",
            key=read_key("LLM"),
            timeout_s=20,
            at_once=1,
        )

    servers = []
    yield make
    for server in servers:
        server.close()


def test_a_key_that_is_answered_is_not_kept(endpoint):
    served = endpoint(200).complete([], {}).served
    assert served.startswith("tiny?[31m ") and KEY not in served and "sesame" not in served
    assert len(served) <= 260 and served.isprintable() and served.isascii()


def test_a_key_that_is_answered_as_a_fault_is_not_kept(endpoint, monkeypatch):
    monkeypatch.setenv("OTHER_PASSWORD", "opensesame")
    with pytest.raises(NoAnswer) as fault:
        endpoint(418).complete([], {})
    assert "opensesame" not in str(fault.value)


def test_a_long_key_is_found_before_a_name_is_cut(monkeypatch):
    key = "Zq7" + "abc9" * 500
    monkeypatch.setenv("LLM_KEY", key)
    assert plain_name("x" * 100 + key) == "x" * 100 + "<LLM_KEY>"
