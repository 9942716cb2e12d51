"""Are the GPUs seen, healthy, free and of one kind, and can this torch compute on them?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cluster.fitness.looking import Answer
from orchestrator.doctor.answers import alike, at, listed, seen, silent
from orchestrator.doctor.check import Check, Line, bad, ok, warning
from orchestrator.doctor.site import Site
from orchestrator.text import pluralize

_LOOK = "cluster.fitness.looks.gpus:look"
_LOOK_TORCH = "cluster.fitness.looks.gpus:look_torch"
_HELD_SHARE = 0.05
"""Share of a GPU's memory that others may hold: contexts and display servers do."""
_Gpu = Mapping[str, str]
_RESET = (
    "drain the node, then `nvidia-smi --gpu-reset -i N` or reboot; have it replaced if it recurs"
)
_COOL = "look to cooling and power of the node: jobs run, but slowly"
_DRIVER = "load one driver: reboot after an update; in a container mount the host's (--gpus all)"
_CUDA = "install the CUDA build of torch that constraints.txt pins, for a driver as old as this"


class Gpus(Check):
    """A sick, taken or missing GPU fails jobs that would have run elsewhere."""

    ORDER = 50
    LIMIT_S = 240.0

    def lines(self, site: Site) -> Iterator[Line]:
        """Ask the driver of every node, then have torch compute where there are GPUs."""
        answers = site.nodes.ask(_LOOK, {}, 60)
        promised = {node.name: int(node.offers.num_gpus) for node in site.nodes.nodes}
        yield from judge(answers, promised)
        with_gpus = [name for name, value in seen(answers).items() if value["gpus"]]
        if with_gpus:
            torch = site.nodes.ask(_LOOK_TORCH, {}, 90)
            yield from judge_torch({name: torch[name] for name in with_gpus}, promised)


def judge(answers: Mapping[str, Answer], promised: Mapping[str, int]) -> Iterator[Line]:
    """Say what the drivers complain of, who holds GPUs, and whether all are alike.

    Args:
        answers: what the driver of each node says.
        promised: node -> number of GPUs that jobs are offered there.
    """
    yield from silent(answers)
    there: dict[str, Mapping[str, Any]] = dict(seen(answers))
    for name, value in there.items():
        if value["fault"]:
            yield bad(f"{name}: {value['fault']}", _DRIVER)
        if len(value["visible"]) < promised[name]:
            text = f"{promised[name]} GPUs are offered, {len(value['visible'])} are seen"
            yield bad(f"{name}: {text}", "see CUDA_VISIBLE_DEVICES and `nvidia-smi -L` there")
        for gpu in value["gpus"]:
            yield from _health(name, gpu)
        yield from _holders(name, value)
    if not any(value["gpus"] or value["visible"] or value["fault"] for value in there.values()):
        yield ok("there are none: jobs compute on processors")
        return
    yield from _kinds(there)


def _kinds(there: Mapping[str, Mapping[str, Any]]) -> Iterator[Line]:
    kinds = alike({f"{n}/{i}": g for n, v in there.items() for i, g in enumerate(v["visible"])})
    if len(kinds) > 1:
        each = "; ".join(
            f"{len(names)} {kind or 'of unknown kind'}" for kind, names in kinds.items()
        )
        yield warning(
            f"unlike GPUs: {each}",
            "plans count the slowest of a node; give each kind a Ray or partition of its own",
        )
    elif kinds:
        ((kind, gpus),) = kinds.items()
        yield ok(f"{pluralize(len(gpus), 'GPU')}: {kind or 'of unknown kind'}")
    drivers = alike({name: v["gpus"][0]["driver"] for name, v in there.items() if v["gpus"]})
    if len(drivers) > 1:
        each = "; ".join(f"{listed(names)}: {driver}" for driver, names in drivers.items())
        yield warning(f"unlike drivers: {each}", "update the nodes to one driver")


def _health(name: str, gpu: _Gpu) -> Iterator[Line]:
    at = f"{name}, GPU {gpu['index']}"
    if _number(gpu.get("ecc_errors")) > 0:
        yield bad(f"{at}: {gpu['ecc_errors']} memory errors (ECC) that were not corrected", _RESET)
    pending = {gpu.get("retired_pending", ""), gpu.get("remap_pending", "")}
    if pending & {"Yes", "1"}:
        yield bad(f"{at}: memory is to be remapped at the next reset", _RESET)
    if gpu.get("remap_failure") in ("Yes", "1"):
        yield bad(f"{at}: its spare memory is used up", "have it replaced")
    if gpu.get("hot_slowdown") == "Active":
        yield warning(f"{at}: slowed down by heat, {gpu.get('temperature', '?')} °C", _COOL)
    if gpu.get("power_slowdown") == "Active":
        yield warning(f"{at}: slowed down by its power supply", _COOL)
    if gpu.get("compute_mode") == "Prohibited":
        yield bad(f"{at}: compute mode Prohibited", "`nvidia-smi -c DEFAULT`, as root")
    elif gpu.get("compute_mode") == "Exclusive_Process":
        yield warning(
            f"{at}: compute mode Exclusive_Process: jobs that share a GPU fail",
            "`nvidia-smi -c DEFAULT`, as root; or let no jobs share (num_gpus: 1)",
        )
    if gpu.get("persistence") == "Disabled":
        yield warning(
            f"{at}: persistence mode is off: each first call waits for the driver",
            "`nvidia-smi -pm 1`, as root, or nvidia-persistenced",
        )


def _holders(name: str, value: Mapping[str, Any]) -> Iterator[Line]:
    for gpu in value["gpus"]:
        used, total = _number(gpu.get("used_mib")), _number(gpu.get("total_mib"))
        if gpu.get("mig") == "Enabled" or total <= 0 or used <= _HELD_SHARE * total:
            continue
        by = [text for uuid, text, _ in value["processes"] if uuid == gpu["uuid"]]
        who = listed(by) if by else "processes that the driver does not name here"
        yield warning(
            f"{name}, GPU {gpu['index']}: {used / total:.0%} of its memory is held by {who}",
            "a launch waits for it; end what should not be there",
        )


def judge_torch(answers: Mapping[str, Answer], promised: Mapping[str, int]) -> Iterator[Line]:
    """Say where torch cannot compute on the GPUs that the driver shows."""
    for fault, names in alike({n: a.fault for n, a in answers.items() if a.fault}).items():
        yield bad(f"{at(names, len(answers))}torch cannot use the GPUs: {fault}", _CUDA)
    there: dict[str, Mapping[str, Any]] = dict(seen(answers))
    good: list[str] = []
    for name, value in there.items():
        faults: Sequence[str] = [f"GPU {n}: {fault}" for n, fault in value["faults"].items()]
        if value["cuda"] is None:
            yield bad(f"{name}: this torch is a build for processors", _CUDA)
        elif value["num_gpus"] < promised[name]:
            yield bad(f"{name}: torch sees {value['num_gpus']} of {promised[name]} GPUs", _CUDA)
        elif faults:
            yield bad(f"{name}: {'; '.join(faults)}", "see the lines above, and `dmesg` for Xid")
        else:
            good.append(name)
    for cuda, names in alike({name: there[name]["cuda"] for name in good}).items():
        yield ok(f"{at(names, len(answers))}torch (CUDA {cuda}) computes on all of them")


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:  # `[N/A]`
        return 0.0
