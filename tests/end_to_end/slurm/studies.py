"""Studies that take as long as a test needs, with numbers that do not depend on it."""

from pathlib import Path

NUMBERS = Path(__file__).with_name("numbers.yaml")


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
