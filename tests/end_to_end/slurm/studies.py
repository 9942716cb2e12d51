"""Studies that take as long as a test needs, with numbers that do not depend on it."""

from pathlib import Path

NUMBERS = Path(__file__).with_name("numbers.yaml")
_TWO_STAGES = """\
study: mixed
axes: {index: [0, 1]}
stages:
  light: {kind: probe, over: [index], params: {index: "${index}", seconds: 1}}
  heavy:
    kind: probe
    inputs: {after: light}
    params: {index: "${index}", waits: true, num_gpus: 1}
"""
LIGHT_AND_HEAVY = (
    "{count: 1, cpus: 2, memory: 2GB}\n{count: 1, cpus: 1, memory: 2GB, gpus: 1, gpu: A100-80GB}"
)
"""Nodes of a profile for which `two_stages` is cut into two allocations."""


def numbers(folder: Path, *, pauses: int, seconds: float) -> Path:
    """Write a study with a table, beside which so many probes wait so long."""
    indexes = ", ".join(map(str, range(pauses)))
    text = NUMBERS.read_text().replace("[INDEXES]", f"[{indexes}]")
    path = folder / f"numbers-{seconds:g}.yaml"
    path.write_text(text.replace("seconds: SECONDS", f"seconds: {seconds}"))
    return path


def probes(folder: Path, name: str, *, count: int, seconds: float, more: str = "") -> Path:
    """Write a study of probes alone; `more` are further params of theirs."""
    indexes = ", ".join(map(str, range(count)))
    path = folder / f"{name}.yaml"
    path.write_text(
        f"study: {name}\n"
        f"axes: {{index: [{indexes}]}}\n"
        "stages:\n"
        f'  wait: {{kind: probe, over: [index], params: {{index: "${{index}}", '
        f"seconds: {seconds}{more}}}}}\n"
    )
    return path


def two_stages(folder: Path) -> Path:
    """Write the study `mixed`: stage `light` without GPUs, then `heavy` with one."""
    path = folder / "mixed.yaml"
    path.write_text(_TWO_STAGES)
    return path
