"""The running jobs of a screen: what each is doing, how far it is, how fast, and what it holds."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from jobs.artifacts.job import label_of_cell
from orchestrator.text import duration

_COLUMNS = ("label", "phase", "progress", "left", "gpu", "rate", "gpu_memory", "memory", "node")
"""The columns in order; where they do not fit, the last go."""
_GAP = 2


def running_rows(
    jobs: Sequence[Mapping[str, Any]], width: int, most: int, now: float
) -> list[Text]:
    """Draw a line for each running job, those that are not well first, up to a number of lines.

    Args:
        jobs: what the status says of each.
        width: columns.
        most: lines.
        now: seconds since the epoch.
    """
    by_health = sorted(jobs, key=lambda job: _health(job) == "well")
    cut = by_health[: most if len(jobs) <= most else most - 1]
    rows = [_row(job, now) for job in cut]
    names = _that_fit(rows, width - _GAP)
    widths = {name: max(len(row[name]) for row in rows) for name in names}
    widths["label"] = min(widths.get("label", 0), max(16, width // 3))
    lines = []
    for job, row in zip(cut, rows, strict=True):
        line = Text(" " * _GAP)
        for name in names:
            text = Text(row[name], style=_style(name, job))
            text.truncate(widths[name], overflow="ellipsis", pad=name != names[-1])
            line.append_text(text)
            line.append(" " * _GAP)
        line.rstrip()
        lines.append(line)
    if len(cut) < len(jobs):
        lines.append(Text(f"  and {len(jobs) - len(cut)} more running", style="dim"))
    return lines


def _that_fit(rows: Sequence[Mapping[str, str]], width: int) -> list[str]:
    """Return the columns that any row fills, as many as fit beside a label of a third."""
    filled = [name for name in _COLUMNS if any(row[name] for row in rows)]
    names: list[str] = []
    used = 0
    for name in filled:
        longest = max(len(row[name]) for row in rows)
        used += (min(longest, max(16, width // 3)) if name == "label" else longest) + _GAP
        if names and used - _GAP > width:
            break
        names.append(name)
    return names


def _health(job: Mapping[str, Any]) -> str:
    return str((job["activity"] or {}).get("health", "well"))


def _style(name: str, job: Mapping[str, Any]) -> str:
    health = _health(job)
    if name == "phase" and health != "well":
        return "bold red" if health == "hung" else "yellow"
    return "" if name in ("label", "progress") else "dim"


def _row(job: Mapping[str, Any], now: float) -> dict[str, str]:
    activity = job["activity"] or {}
    use, held = activity.get("gpu_use"), activity.get("gpu_memory_gb")
    ranks, workers = len(activity.get("ranks") or ()), job["workers"]
    label = label_of_cell(job["stage"], job["cell"])
    label += f" x{ranks} ranks" if ranks > 1 else f" x{workers} workers" if workers > 1 else ""
    return {
        "label": label,
        "phase": _phase(activity, now),
        "progress": _progress(job, activity),
        "left": f"{duration(activity['eta_seconds'])} left"
        if activity.get("eta_seconds") is not None
        else "",
        "gpu": f"GPU {100 * use:.0f}%" if use is not None else "",
        "rate": _rate(activity),
        "gpu_memory": f"GPU {held:.1f} GB" if held else "",
        "memory": f"{activity['memory_gb']:.1f} GB"
        if activity.get("memory_gb") is not None
        else "",
        "node": activity.get("node") or "",
    }


def _phase(activity: Mapping[str, Any], now: float) -> str:
    phase, since = activity.get("phase"), activity.get("since")
    if phase is None:
        return ""
    health = activity.get("health", "well")
    if health != "well":
        return f"{phase}, {health}"
    # How long it is stepping its steps say better.
    if since is None or phase == "stepping":
        return str(phase)
    return f"{phase} {duration(max(0.0, now - since))}"


def _progress(job: Mapping[str, Any], activity: Mapping[str, Any]) -> str:
    step, steps, unit = activity.get("step"), activity.get("steps"), activity.get("unit") or "step"
    if step is not None and steps:
        return f"{unit} {step}/{steps}"
    if job["fraction"] is not None:
        return f"{100 * job['fraction']:.0f}% {job['doing'] or ''}".strip()
    return job["doing"] or ""


def _rate(activity: Mapping[str, Any]) -> str:
    rate = activity.get("rate")
    if not rate:
        return ""
    return f"{rate:.3g}/s" if rate >= 1 else f"{1 / rate:.3g} s each"
