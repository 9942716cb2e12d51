import socket

from cluster.gangs.gang_network import interface_of, interface_variables


def test_an_address_of_this_machine_belongs_to_an_interface():
    found = interface_of("127.0.0.1")
    assert found in {name for _, name in socket.if_nameindex()}


def test_an_address_of_another_machine_belongs_to_none():
    assert interface_of("192.0.2.1") is None


def test_ranks_of_several_nodes_reach_each_other_through_one_interface_by_gloo_and_nccl():
    assert interface_variables("eth1", 1) == {"GLOO_SOCKET_IFNAME": "eth1"}
    assert interface_variables("eth1", 2) == {
        "GLOO_SOCKET_IFNAME": "eth1",
        "NCCL_SOCKET_IFNAME": "=eth1",  # without the sign, eth10 too
    }
