"""Settings of the environment by which nobody can be asked: the user's to mend, at once."""

import pytest

from cluster.errors import UserError
from cluster.machine import way_out
from jobs.hub.client import hub_faults
from jobs.hub.standing import look
from jobs.service.json_service import JsonService


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HF_ENDPOINT", "mirror.example", "no address: https://mirror.example"),
        ("ALL_PROXY", "socks5://host:1080", "ALL_PROXY names a SOCKS proxy"),
        ("SSL_CERT_FILE", "no/such.pem", "SSL_CERT_FILE names no/such.pem"),
    ],
)
def test_the_variable_at_fault_is_named(monkeypatch, name, value, said):
    monkeypatch.setattr(way_out, "find_spec", lambda package: None)
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=said), hub_faults("hf://org/model", None):
        raise ImportError("what a library says of it")
    assert said in look({})["fault"]
    if name != "HF_ENDPOINT":
        with pytest.raises(UserError, match=said):
            JsonService(
                "http://127.0.0.1:9", headers={}, timeout_s=1, num_connections=1, where="here"
            )
