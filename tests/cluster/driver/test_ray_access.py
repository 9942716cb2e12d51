"""Joining a Ray that asks for a token, or for none; and one of other versions."""

import json
import platform
import secrets

import pytest

from cluster.driver.ray_access import _require_versions, is_loopback
from cluster.errors import SurroundingsError
from cluster.executor import Ending
from cluster.executors.ray import Executor
from cluster.machine.resources import Resources
from tests.real_ray import first_outcome, started_head


class Metadata:
    """The store of a cluster's head, with what it says of its versions."""

    def __init__(self, **versions):
        self.versions = versions

    def internal_kv_get(self, *words, **options):
        return json.dumps(self.versions).encode()


def test_another_ray_or_python_is_refused_with_both_versions():
    ray = pytest.importorskip("ray")
    python = platform.python_version()
    _require_versions(Metadata(ray_version=ray.__version__, python_version=python), "head:1")
    for theirs in (("2.40.0", python), (ray.__version__, "3.9.1"), ("2.40.0", "3.9.1")):
        with pytest.raises(SurroundingsError) as fault:
            _require_versions(Metadata(ray_version=theirs[0], python_version=theirs[1]), "head:1")
        for version in (*theirs, ray.__version__, python):
            assert version in fault.value.error


@pytest.mark.parametrize(
    ("address", "is_near"),
    [
        ("127.0.0.1:6379", True),
        ("127.8.0.1:6379", True),
        ("localhost:6379", True),
        ("[::1]:6379", True),
        ("10.0.0.1:6379", False),
        ("0.0.0.0:6379", False),
        ("head.example.org:6379", False),
        ("127.0.0.1.example.org:6379", False),
    ],
)
def test_only_addresses_of_this_machine_are_loopback(address, is_near):
    assert is_loopback(address) is is_near


def answer(executor):
    executor.start()
    try:
        executor.submit("a", "json:dumps", "text", Resources())
        return first_outcome(executor)
    finally:
        executor.close()


def refusal(address):
    with pytest.raises(SurroundingsError) as fault:
        Executor(address=address).start()
    return str(fault.value)


@pytest.mark.cluster
def test_a_ray_that_asks_for_a_token_is_joined_with_the_one_ray_would_take(tmp_path, monkeypatch):
    token = secrets.token_hex(32)
    for home in ("head", "user"):
        (tmp_path / home / ".ray").mkdir(parents=True)
        (tmp_path / home / ".ray" / "auth_token").write_text(token)
    with started_head(
        tmp_path, monkeypatch
    ) as port:  # it takes the file for a wish, as Ray 2.60 does
        address = f"127.0.0.1:{port}"
        assert answer(Executor(address=address)).ending is Ending.RAISED  # json has other arguments
        (tmp_path / "user" / ".ray" / "auth_token").rename(tmp_path / "elsewhere")
        assert "asks for a token (authentication)" in refusal(address)
        assert "RAY_AUTH_TOKEN_PATH" in refusal(address)
        (tmp_path / "empty").touch()
        for name in ("nowhere", "empty", "user"):  # neither is a file that holds a token
            monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / name))
            assert f"the file {tmp_path / name} holds none" in refusal(address)
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "elsewhere"))
        assert answer(Executor(address=address)).ending is Ending.RAISED
        monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        assert "does not take this token" in refusal(address)
        monkeypatch.setenv("RAY_AUTH_TOKEN", token)
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # what a launch finds does not matter
        assert answer(Executor(address=address)).ending is Ending.RAISED


@pytest.mark.cluster
def test_a_ray_that_lets_anybody_in_is_refused_beyond_this_machine(tmp_path, monkeypatch, caplog):
    with started_head(tmp_path, monkeypatch, RAY_AUTH_MODE="disabled") as port:
        import socket

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect(("192.0.2.1", 9))  # nothing is sent
            own = asking.getsockname()[0]
        if own.startswith("127."):
            pytest.skip("this machine has no address but loopback")
        text = refusal(f"{own}:{port}")
        assert "whoever reaches it can run code as you" in text
        assert "DELTASCALE_ALLOW_OPEN_RAY" in text
        assert answer(Executor(address=f"127.0.0.1:{port}")).ending is Ending.RAISED
        assert "asks nobody for a token" in caplog.text
        monkeypatch.setenv("DELTASCALE_ALLOW_OPEN_RAY", "1")
        assert answer(Executor(address=f"{own}:{port}")).ending is Ending.RAISED
