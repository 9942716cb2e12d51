import os
import socket

import pytest

from cluster.gangs.gang_network import (
    _prepare,
    interface_of,
    interface_variables,
    is_of_this_machine,
)
from cluster.gangs.gang_variables import rank_variables
from cluster.machine.resources import Resources


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


@pytest.mark.parametrize(
    ("value", "by_nccl", "by_gloo"),
    [
        *(("lo", True, True), ("lo,lo", True, True), ("lo,", True, True), ("", True, True)),
        *(("l", True, False), ("=lo", True, False), ("=lo,nope", True, False)),
        *(("l,eth77", True, False), ("nope,lo", True, False), ("^docker", True, False)),
        *(("=l", False, False), ("nope", False, False), ("=nope", False, False)),
        *(("nope,ib9", False, False), ("nope,", False, False), ("lo0", False, False)),
    ],
)
def test_an_interface_that_a_profile_of_another_machine_names_is_not_used(value, by_nccl, by_gloo):
    assert is_of_this_machine("NCCL_SOCKET_IFNAME", value) == by_nccl
    assert is_of_this_machine("GLOO_SOCKET_IFNAME", value) == by_gloo


def test_a_rank_talks_through_its_nodes_interface_where_the_variables_name_none(monkeypatch):
    monkeypatch.setattr("ray.util.get_node_ip_address", lambda: "127.0.0.1")
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        monkeypatch.setenv(name, "nope")
    _prepare(None, 2, "ticket", frozenset())
    here = interface_of("127.0.0.1")
    assert os.environ["GLOO_SOCKET_IFNAME"] == here
    assert os.environ["NCCL_SOCKET_IFNAME"] == f"={here}"


def test_a_search_for_hangs_that_a_shell_was_left_with_ends_no_rank():
    assert rank_variables(Resources(), "ticket")["TORCH_DISTRIBUTED_DEBUG"] == "OFF"
