"""Machines that look for each other by TCP wait for all that are meant, wherever these are."""

import socket
import threading
import time

from cluster.fitness.looks.ports import look, look_free

HOST = "127.0.0.1"


def free_port():
    return look_free({"address": HOST})["port"]


def test_a_node_is_waited_for_though_another_of_its_address_was_heard():
    """Three nodes of one address; the third listens at once, and connects to others late."""
    ports = {"a": free_port(), "b": free_port()}
    answers = {}
    with socket.create_server((HOST, 0)) as third:
        ports["c"] = third.getsockname()[1]

        def be(name):
            others = {other: [HOST, port] for other, port in ports.items() if other != name}
            asked = {"name": name, "address": HOST, "port": ports[name], "others": others}
            answers[name] = look({**asked, "wait_s": 30.0})

        threads = [threading.Thread(target=be, args=(name,)) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        time.sleep(1.5)
        began = time.monotonic()
        for name in ("a", "b"):
            with socket.create_connection((HOST, ports[name]), timeout=5) as connection:
                connection.sendall(b"c")
        for thread in threads:
            thread.join(60)
    assert answers == {"a": {"unreached": {}}, "b": {"unreached": {}}}
    assert time.monotonic() - began < 20, "they waited for nobody"


def test_a_port_where_nobody_listens_is_told():
    asked = {"name": "a", "address": HOST, "port": free_port()}
    answer = look({**asked, "others": {"b": [HOST, free_port()]}, "wait_s": 0.5})
    assert answer == {"unreached": {"b": "Connection refused"}}
