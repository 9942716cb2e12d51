import socket

from cluster.gangs.gang_network import interface_of


def test_an_address_of_this_machine_belongs_to_an_interface():
    found = interface_of("127.0.0.1")
    assert found in {name for _, name in socket.if_nameindex()}


def test_an_address_of_another_machine_belongs_to_none():
    assert interface_of("192.0.2.1") is None
