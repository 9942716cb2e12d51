"""Proxies of the environment: this machine is asked without them; what cannot be one is said."""

import importlib.util
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx2
import pytest

from cluster.machine import way_out
from cluster.machine.left_over_variables import one_process
from cluster.machine.set_variables import variables_set
from cluster.machine.way_out import asked_directly, proxy_on_the_way, unusable_way_out

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in (*way_out._PROXIES, *way_out._DIRECT, way_out._CERTIFICATES):
        monkeypatch.delenv(name, raising=False)


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address():
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.parametrize("name", way_out._PROXIES)
def test_this_machine_is_asked_without_a_proxy(monkeypatch, address, name):
    monkeypatch.setenv(name, NOBODY)
    if "https" not in name.lower():
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(address, trust_env=True)
        assert str(proxy_on_the_way(address)).lower() == name.lower()
    with variables_set(asked_directly()):
        assert httpx2.get(address, trust_env=True).status_code == 204
        assert proxy_on_the_way(address) is None


def test_names_that_the_environment_has_already_stay():
    given = {"https_proxy": NOBODY, "NO_PROXY": "localhost, .cluster.example"}
    direct = "localhost,.cluster.example,127.0.0.1,::1"
    assert asked_directly(given) == {"no_proxy": direct, "NO_PROXY": direct}
    assert asked_directly({"https_proxy": NOBODY, "no_proxy": "*"}) == {}
    assert asked_directly({"NO_PROXY": "somewhere"}) == {}
    head = asked_directly({"http_proxy": NOBODY}, also=["10.0.0.7"])
    assert head["no_proxy"] == "localhost,127.0.0.1,::1,10.0.0.7"


def test_a_job_asks_its_own_machine_without_a_proxy(monkeypatch, address):
    monkeypatch.setenv("http_proxy", NOBODY)
    before = {name: os.environ.get(name) for name in way_out._DIRECT}
    with variables_set(before), one_process():
        assert httpx2.get(address, trust_env=True).status_code == 204


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ALL_PROXY", "socks5://user:secret@host:1080", "socksio is not installed"),
        ("https_proxy", "socks5h://host:1080", "https_proxy names a SOCKS proxy"),
        ("HTTPS_PROXY", "ftp://user:secret@host", "HTTPS_PROXY begins with ftp://"),
        ("SSL_CERT_FILE", "no/such/bundle.pem", "no/such/bundle.pem, which is no file"),
    ],
)
def test_what_no_request_gets_out_with_is_said(monkeypatch, name, value, said):
    monkeypatch.setattr(way_out, "find_spec", lambda package: None)
    told = unusable_way_out({name: value})
    assert told is not None and said in told and "secret" not in told


def test_what_may_be_a_way_out_is_none_of_our_business(monkeypatch, tmp_path):
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("")
    may_do = {"http_proxy": "host:3128", "HTTPS_PROXY": NOBODY, "SSL_CERT_FILE": str(bundle)}
    assert unusable_way_out(may_do) is None
    monkeypatch.setattr(way_out, "find_spec", lambda package: importlib.util.find_spec("json"))
    assert unusable_way_out({"all_proxy": "socks5://host:1080"}) is None
