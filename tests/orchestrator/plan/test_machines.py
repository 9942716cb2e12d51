import math

import pytest

from cluster.errors import UserError
from cluster.machine.resources import Resources
from orchestrator.plan.machines import (
    can_hold,
    notes_on_machines,
    notes_on_neighbours,
    parse_machines,
    refusal,
)
from tests.cluster.machine.test_visible_gpus import put_program


def gang(num_gpus_each, num_ranks, num_nodes=1):
    return Resources(
        num_cpus=1, num_gpus=num_gpus_each, gpu_memory_gb=80, num_ranks=num_ranks,
        num_nodes=num_nodes,
    )  # fmt: skip


def nodes(*gpus):
    return [Resources(num_cpus=64, num_gpus=each, gpu_memory_gb=80) for each in gpus]


def test_a_gang_of_one_node_is_not_held_by_two_halves():
    assert can_hold(nodes(8, 4), gang(1, 8))
    assert not can_hold(nodes(4, 4), gang(1, 8))
    assert can_hold(nodes(4, 4), gang(1, 8, num_nodes=2))
    assert not can_hold(nodes(4, 4), gang(1, 8, num_nodes=3))


def test_a_refusal_says_what_one_node_needs_and_what_the_largest_has():
    said = refusal(nodes(4, 2), gang(1, 8))
    assert "needs 8 x 80 GB on one node; the largest node has 4" in said
    assert "1 of the 2 nodes" in refusal(nodes(8, 2), gang(1, 16, num_nodes=2))


def test_gpus_that_are_too_small_do_not_hold_a_job():
    small = [Resources(num_cpus=64, num_gpus=8, gpu_memory_gb=40)]
    assert not can_hold(small, gang(1, 8))
    assert "of 80 GB" in refusal(small, gang(1, 8)) and "of 40 GB" in refusal(small, gang(1, 8))


def test_machines_are_named_by_nodes_gpus_and_type():
    found = parse_machines("2x8xH100-80GB, 1x4xA100,1x0")
    assert [(node.num_gpus, node.gpu_memory_gb) for node in found] == [
        (8, 80), (8, 80), (4, 40), (0, 0),
    ]  # fmt: skip
    assert all(math.isinf(node.num_cpus) for node in found)


@pytest.mark.parametrize("text", ["", "8xH100", "0x8xH100", "2x8", "2x8xH100,", "2*8*H100"])
def test_what_names_no_machines_is_refused_with_the_grammar(text):
    with pytest.raises(UserError) as caught:
        parse_machines(text)
    assert caught.value.where == "--machines" and "NODESxGPUSxTYPE" in caught.value.hint


def test_a_type_of_unknown_memory_is_refused_with_the_known_ones():
    with pytest.raises(UserError) as caught:
        parse_machines("1x8xFX9")
    assert "H100" in caught.value.allowed and "1x8xFX9-80GB" in caught.value.hint
    assert parse_machines("1x8xFX9-80GB")[0].gpu_memory_gb == 80


@pytest.mark.parametrize(
    "text", ["1x999999999xH100", "10001x8xH100", "10000x8xH100,1x0", "1x" + "9" * 5000 + "xH100"]
)
def test_more_machines_than_there_are_cost_nothing_and_are_refused(text):
    with pytest.raises(UserError, match="more than") as caught:
        parse_machines(text)
    assert len(str(caught.value)) < 300


def test_a_product_that_is_not_known_is_told_with_what_it_is_planned_as():
    known, unknown = parse_machines("2x8xH100-80GB"), parse_machines("2x8xH10-80GB,1x0")
    assert notes_on_machines(known) == []
    (size,) = notes_on_machines(parse_machines("2x8xA100,1x8xA100-40GB,1x8xH100"))
    assert "A100 is sold with 40 or 80 GB, and planned with 40: write A100-80GB" in size
    (note,) = notes_on_machines(unknown)
    assert "'H10-80GB' is not known" in note and "did you mean 'H100'?" in note
    assert "the slowest GPU of 80 GB that is known" in note
    nameless = Resources(num_cpus=1, num_gpus=1)
    assert "no hours are expected" in notes_on_machines([nameless])[0]


def test_a_product_without_a_memory_that_is_not_known_is_refused_with_the_nearest_match():
    with pytest.raises(UserError) as caught:
        parse_machines("1x8xH10")
    assert "did you mean 'H100'?" in caught.value.hint and "A100" in caught.value.allowed


def test_products_of_one_memory_are_told_apart():
    (a100,), (h100,) = parse_machines("1x8xA100-80GB"), parse_machines("1x8xH100-80GB")
    assert a100.gpu_memory_gb == h100.gpu_memory_gb and a100 != h100


def test_who_is_on_the_gpus_of_this_machine_is_named(tmp_path, monkeypatch):
    lines = "".join(f"echo 'GPU-1, {pid}, /bin/train, 1024'\n" for pid in range(1, 11))
    put_program(tmp_path, monkeypatch, f"#!/bin/sh\n{lines}", None)
    (note,) = notes_on_neighbours()
    assert "train (pid 1) 1.1 GB" in note and "and 2 more" in note
    monkeypatch.setenv("PATH", "/nowhere")
    assert notes_on_neighbours() == []
