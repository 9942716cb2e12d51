"""The proxy that slows and breaks connections does what it is told, and passes all else on."""

import contextlib
import socket
import subprocess
import sys
import threading
import time

import pytest

from tests.hosts.ray_over_hosts import BadLine
from tests.real_ray import free_port


@pytest.fixture
def line():
    """A line to a server that says everything back."""
    server = socket.create_server(("127.0.0.1", 0))

    def echo(connection):
        with connection, contextlib.suppress(ConnectionError):
            while data := connection.recv(1 << 16):
                connection.sendall(data)

    def serve():
        while True:
            threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    port = free_port()
    words = [sys.executable, *BadLine.words(port, *server.getsockname())]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield BadLine(process, port)
        process.kill()


def connect(line, timeout_s=20.0):
    return socket.create_connection(("127.0.0.1", line.port), timeout_s)


def answer(connection, data=b"hello"):
    connection.sendall(data)
    back = b""
    while len(back) < len(data):
        piece = connection.recv(1 << 16)
        assert piece, "closed"
        back += piece
    return back


def test_it_passes_all_on_and_ends_with_either_end(line):
    data = bytes(range(256)) * 2000
    with connect(line) as connection:
        assert answer(connection, data) == data
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert line.tell("delay 0") == 1


def test_it_is_slow_when_told_so(line):
    line.tell("delay 0.3")
    with connect(line) as connection:
        began = time.monotonic()
        assert answer(connection) == b"hello"
        assert time.monotonic() - began >= 0.6
        line.tell("delay 0"), line.tell("rate 100000")
        began = time.monotonic()
        answer(connection, bytes(20_000))
        assert time.monotonic() - began >= 0.2


def test_it_resets_what_is_open_and_every_so_manyth(line):
    with connect(line) as connection:
        answer(connection)
        line.tell("reset")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    line.tell("every 2")
    with connect(line) as second, pytest.raises(ConnectionResetError):
        answer(second), answer(second)
    with connect(line) as third:
        assert answer(third) == b"hello"


def test_a_dead_line_says_nothing_for_good_and_new_ones_go_on_once_it_is_alive(line):
    with connect(line, 0.5) as before, connect(line, 0.5) as meanwhile:
        answer(before)
        line.tell("dead")
        for connection in (before, meanwhile):
            connection.sendall(b"hello")
            with pytest.raises(TimeoutError):
                connection.recv(1)
        line.tell("alive")
        with pytest.raises(TimeoutError):
            before.recv(1)
        with connect(line) as after:
            assert answer(after) == b"hello"
