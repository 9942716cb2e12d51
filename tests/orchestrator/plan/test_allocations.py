"""The cut of a study into allocations: what needs no GPU holds none, in as few as can be."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.machine.resources import Resources
from orchestrator.plan.allocations import Allocation, NodeOffer, StageNeed, cut

GPU_NODE = NodeOffer(
    node=Resources(num_cpus=64, num_gpus=8, memory_gb=500, gpu_memory_gb=80), count=4
)
CPU_NODE = NodeOffer(node=Resources(num_cpus=32, memory_gb=100), count=2)
ON_CPU = Resources(num_cpus=2)
ON_GPU = Resources(num_cpus=8, num_gpus=1, gpu_memory_gb=80)


def need(stage: str, *after: str, on: Resources = ON_CPU, jobs: int = 1) -> StageNeed:
    return StageNeed(stage=stage, after=frozenset(after), jobs=(on,) * jobs)


def shown(allocations: list[Allocation]) -> list[tuple[str, int]]:
    return [(" ".join(one.stages), one.shape) for one in allocations]


CHAIN = [
    need("pairs"),
    need("base"),
    need("reference", "pairs", "base", on=ON_GPU),
    need("texts"),
    need("aligned", "pairs", "base", "reference", on=ON_GPU),
    need("delta", "pairs", "base", "reference", "aligned", "texts", on=ON_GPU),
    need("geometry", "pairs", "base", "reference", "aligned", "texts", "delta"),
    need("table", "pairs", "base", "reference", "aligned", "texts", "delta", "geometry"),
]


def test_stages_without_gpus_come_before_and_after_on_nodes_without_any() -> None:
    assert shown(cut(CHAIN, [GPU_NODE, CPU_NODE])) == [
        ("pairs base texts", 1),
        ("reference aligned delta", 0),
        ("geometry table", 1),
    ]


def test_where_all_nodes_have_gpus_there_is_one_allocation() -> None:
    assert shown(cut(CHAIN, [GPU_NODE])) == [(" ".join(one.stage for one in CHAIN), 0)]


def test_a_study_without_gpus_asks_for_none() -> None:
    assert shown(cut([need("pairs"), need("table", "pairs")], [GPU_NODE, CPU_NODE])) == [
        ("pairs table", 1)
    ]


def test_branches_that_do_not_need_each_other_share_allocations() -> None:
    needs = [
        need("a", on=ON_GPU),
        need("b", "a"),
        need("c"),
        need("d", "c", on=ON_GPU),
        need("e", "c", "d"),
    ]
    # c first, then both stages of GPUs, then what follows them: beginning with a would take four.
    assert shown(cut(needs, [GPU_NODE, CPU_NODE])) == [("c", 1), ("a d", 0), ("b e", 1)]


def test_a_stage_goes_to_nodes_that_hold_it_though_others_are_cheaper() -> None:
    large = Resources(num_cpus=48, memory_gb=400)
    cheap = NodeOffer(node=CPU_NODE.node, count=2, price=1.0)
    dear = NodeOffer(node=GPU_NODE.node, count=4, price=30.0)
    assert shown(cut([need("large", on=large)], [cheap, dear])) == [("large", 1)]
    assert shown(cut([need("small")], [dear, cheap])) == [("small", 1)]


def test_nodes_are_as_many_as_the_widest_stage_uses_and_no_more_than_there_are() -> None:
    def nodes(*needs: StageNeed) -> int:
        return cut(list(needs), [GPU_NODE])[0].num_nodes

    assert nodes(need("one", on=ON_GPU)) == 1
    assert nodes(need("nine", on=ON_GPU, jobs=9)) == 2
    assert nodes(need("many", on=ON_GPU, jobs=500)) == 4
    gang = Resources(num_cpus=8, num_gpus=1, num_ranks=24, num_nodes=3)
    assert nodes(need("gang", on=gang)) == 3


def test_what_no_nodes_hold_is_left_to_its_launch_to_refuse() -> None:
    assert shown(cut([need("huge", on=Resources(num_cpus=1000))], [CPU_NODE])) == [("huge", 0)]


def test_nothing_to_run_takes_no_allocation() -> None:
    assert cut([], [CPU_NODE]) == []


@st.composite
def graphs(draw: st.DrawFn) -> list[StageNeed]:
    reads: dict[str, frozenset[str]] = {}
    needs = []
    for index in range(draw(st.integers(1, 9))):
        direct = draw(st.sets(st.sampled_from(sorted(reads)), max_size=3)) if reads else set()
        reads[f"s{index}"] = frozenset(direct).union(*(reads[name] for name in direct))
        on = draw(st.sampled_from([ON_CPU, ON_GPU]))
        needs.append(need(f"s{index}", *reads[f"s{index}"], on=on))
    return needs


@given(graphs())
def test_every_stage_runs_once_after_what_it_reads_and_holds_no_gpu_in_vain(needs) -> None:
    allocations = cut(needs, [GPU_NODE, CPU_NODE])
    order = [stage for one in allocations for stage in one.stages]
    assert sorted(order) == sorted(one.stage for one in needs)
    after: Mapping[str, frozenset[str]] = {one.stage: one.after for one in needs}
    for place, stage in enumerate(order):
        assert after[stage] <= set(order[:place])
    shapes = {stage: one.shape for one in allocations for stage in one.stages}
    assert all(shapes[one.stage] == (0 if one.jobs[0].num_gpus else 1) for one in needs)
    assert all(a.shape != b.shape for a, b in zip(allocations, allocations[1:], strict=False))
    assert len(allocations) <= fewest(shapes, after)


def fewest(shapes: Mapping[str, int], after: Mapping[str, frozenset[str]]) -> int:
    """Count the groups of the better of both beginnings, by trying them one by one."""

    def groups(shape: int) -> int:
        done: set[str] = set()
        number = 0
        while len(done) < len(shapes):
            grown = True
            while grown:
                ready = {
                    one for one in shapes
                    if one not in done and shapes[one] == shape and after[one] <= done
                }  # fmt: skip
                grown = bool(ready)
                done |= ready
            number += 1
            shape = 1 - shape
        return number

    return min(groups(shape) for shape in set(shapes.values()))


@pytest.mark.parametrize("order", [[GPU_NODE, CPU_NODE], [CPU_NODE, GPU_NODE]])
def test_the_order_of_shapes_does_not_change_what_holds_gpus(order) -> None:
    parts = cut(CHAIN, order)
    assert [bool(order[one.shape].node.num_gpus) for one in parts] == [False, True, False]
