"""A storage that is there and says or takes nothing more: every request to it ends."""

import socket
import threading

import pytest
from s3fs import S3FileSystem

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.object_store import impatient_session, remote_options
from cluster.storage import Storage


@pytest.fixture
def root(monkeypatch):
    """A root on a server that takes connections and is silent, with a second for everything."""
    server = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(impatient_session, "SILENCE_S", 1)
    monkeypatch.setattr(remote_options, "_ROUNDS", 1)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    S3FileSystem.clear_instance_cache()  # they know the server of the test before
    with server:
        yield Storage("s3://results/root"), server


def assert_ends(act):
    failed = []

    def run():
        try:
            act()
        except SurroundingsError as fault:
            failed.append(fault)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    (fault,) = failed
    assert fault.fault_class is FaultClass.STORAGE_AWAY


def test_a_write_ends_that_is_never_answered(root):
    storage, _ = root
    assert_ends(lambda: storage.write("ledger/a", b"event"))


def test_a_write_ends_of_which_nothing_is_taken(root):
    storage, server = root
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
    assert_ends(lambda: storage.write("model", bytes(1 << 25)))


def test_a_read_ends_that_stops_in_the_middle(root):
    storage, server = root

    def answer():
        connection, _ = server.accept()
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        threading.Event().wait(20)

    threading.Thread(target=answer, daemon=True).start()
    assert_ends(lambda: storage.read("model"))
