"""A study on one screen: stages as bars, running jobs, failures, what waits; as many lines as fit.

Drawn from the document of `status --json`, by `status --watch` and by a launch on a terminal.
States are told by signs as well as by colours.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from jobs.artifacts.job import label_of_cell
from orchestrator.text import duration, pluralize
from orchestrator.views.running_rows import running_rows

_Status = Mapping[str, Any]

_SILENT_S = 45.0
"""A coordinator that was silent for longer is told of first."""
_NARROWEST_BAR, _WIDEST_BAR = 10, 40
_SIGNS = {"done": ("█", "#"), "running": ("▓", ">"), "failed": ("x", "x"), "rest": ("·", ".")}
_STYLES = {"done": "green", "running": "cyan", "failed": "red", "rest": "dim"}


@dataclass(frozen=True, kw_only=True)
class Room:
    """How much there is to draw on."""

    width: int
    """Columns."""
    height: int
    """Rows."""
    is_ascii: bool = False
    """True where the terminal shows nothing else."""


def screen_lines(status: _Status, room: Room, now: float | None = None) -> list[Text]:
    """Return the lines of a study's screen: at most as many as there are rows, none too wide.

    Args:
        status: what `status --json` prints of the study.
        room: the terminal.
        now: seconds since the epoch; None for this moment.
    """
    now = time.time() if now is None else now
    head = [*_headline(status, now), *_alarms(status)]
    sections: list[tuple[int, Callable[[int], list[Text]]]] = [
        (len(status["stages"]), lambda most: _stages(status["stages"], room, most)),
        (
            len(_in_state(status, "running")),
            lambda most: running_rows(_in_state(status, "running"), room.width, most, now),
        ),
        (2 * len(status["failures"]), lambda most: _failures(status["failures"], most, now)),
        (len(status["waiting"]), lambda most: _groups(status["waiting"], most)),
    ]
    lines = head[: room.height]
    for most, (_, draw) in zip(
        _shared(room.height - len(lines), [wanted for wanted, _ in sections]), sections, strict=True
    ):
        lines += draw(most) if most else []
    for line in lines:
        line.truncate(room.width, overflow="ellipsis")
        if room.is_ascii:
            line.plain = line.plain.encode("ascii", "replace").decode()
    return lines[: room.height]


def _shared(free: int, wanted: Sequence[int]) -> list[int]:
    """Share lines among sections: in turn, until all have what they want or none is left."""
    given = [0] * len(wanted)
    while free > 0 and any(has < wants for has, wants in zip(given, wanted, strict=True)):
        for at, wants in enumerate(wanted):
            if given[at] < wants and free > 0:
                given[at] += 1
                free -= 1
    return given


def _in_state(status: _Status, state: str) -> list[_Status]:
    return [job for job in status["unfinished"] if job["state"] == state]


def counts_text(jobs: Mapping[str, int]) -> str:
    """Return `12 of 40 done, 2 running, 26 waiting`; states of no job are left out."""
    others = [f"{count} {state}" for state, count in jobs.items() if count and state != "done"]
    return ", ".join([f"{jobs['done']} of {sum(jobs.values())} done", *others])


def _headline(status: _Status, now: float) -> list[Text]:
    launch = status["launch"]
    lines = [
        Text.assemble(
            (status["study"], "bold"), f": {status['state']}; ", counts_text(status["jobs"])
        )
    ]
    about = []
    if launch and launch["held_by"]:
        about.append(f"for {duration(max(0.0, now - launch['started']))}")
    if status["eta"] and status["state"] == "running":
        about.append(status["eta"]["line"])
    if status["budget"]:
        about.append(status["budget"]["line"])
    return [*lines, Text("  " + "; ".join(about), style="dim")] if about else lines


def _alarms(status: _Status) -> list[Text]:
    """Say what keeps the whole study: a silent coordinator, a wait, a queue."""
    launch, lines = status["launch"], []
    if launch and (launch["silent_seconds"] or 0.0) > _SILENT_S:
        lines.append(Text(f"  coordinator: {launch['held_by']}", style="bold red"))
    if status["waits_for"]:
        lines.append(Text(f"  {status['waits_for']['line']}", style="yellow"))
    if status.get("queue"):
        lines.append(Text(f"  {status['queue']['line']}", style="yellow"))
    return lines


def _stages(stages: Sequence[_Status], room: Room, most: int) -> list[Text]:
    """Draw a bar for each stage; of many, those in one piece are one line for each state."""
    listed: Sequence[_Status] = stages
    done: list[_Status] = []
    ahead: list[_Status] = []
    if len(stages) > most:
        done = [stage for stage in stages if stage["done"] == stage["jobs"]]
        ahead = [one for one in stages if one["waiting"] + one["blocked"] == one["jobs"]]
        listed = [one for one in stages if one not in done and one not in ahead]
    places = max(0, most - bool(done) - bool(ahead))
    cut = listed[: places if len(listed) <= places else max(0, places - 1)]
    name_width = min(max((len(stage["stage"]) for stage in cut), default=0), room.width // 4)
    shares = [f"{stage['done']}/{stage['jobs']}" for stage in cut]
    share_width = max(map(len, shares), default=0)
    lines = [_together("done", done)] if done else []
    for stage, share in zip(cut, shares, strict=True):
        others = [
            f"{stage[state]} {state}" for state in ("running", "failed", "blocked") if stage[state]
        ]
        name = Text(stage["stage"])
        name.truncate(name_width, overflow="ellipsis", pad=True)
        bar_width = max(_NARROWEST_BAR, min(_WIDEST_BAR, (room.width - name_width) // 3))
        bar = _bar(stage, bar_width, is_ascii=room.is_ascii)
        text = Text.assemble("  ", name, " ", bar, f" {share:>{share_width}}  {', '.join(others)}")
        text.rstrip()
        lines.append(text)
    if len(cut) < len(listed):
        lines.append(Text(f"  and {len(listed) - len(cut)} more stages under way", style="dim"))
    return [*lines, _together("not begun", ahead)] if ahead else lines


def _together(what: str, stages: Sequence[_Status]) -> Text:
    jobs = sum(stage["jobs"] for stage in stages)
    names = ", ".join(stage["stage"] for stage in stages)
    number = pluralize(len(stages), "stage")
    return Text(f"  {number} {what} ({pluralize(jobs, 'job')}): {names}", style="dim")


def _bar(stage: _Status, width: int, *, is_ascii: bool) -> Text:
    """Draw how many jobs of a stage are in which state; a state of any job has a sign at least."""
    total, bar = stage["jobs"], Text()
    cells = {
        state: max(1, int(width * stage[state] / total)) if stage[state] else 0
        for state in ("running", "failed")
    }
    others = sum(cells.values())
    cells["done"] = min(int(width * stage["done"] / total), max(0, width - others))
    cells["rest"] = max(0, width - others - cells["done"])
    if stage["done"] == total:
        cells = {"done": width, "running": 0, "failed": 0, "rest": 0}
    for state in ("done", "running", "failed", "rest"):
        bar.append(_SIGNS[state][is_ascii] * cells[state], style=_STYLES[state])
    return bar


def _failures(failures: Sequence[_Status], most: int, now: float) -> list[Text]:
    """Say of each failure what it was and what followed, and what to do, the newest first."""
    lines: list[Text] = []
    for failure in failures:
        what = f" {label_of(failure)}, {duration(max(0.0, now - failure['at']))} ago: "
        style = "red" if failure["state"] == "failed" else "yellow"
        word = "failed" if failure["state"] == "failed" else "tried"
        named = f"{failure['signature']}: " if failure["signature"] else ""
        own = [Text.assemble((f"  {word}", style), what, named, failure["message"])]
        advice = failure["remedy"] or failure["decided_by"]
        if advice and failure["state"] != "done":
            own.append(Text(f"      {advice}", style="dim"))
        if len(lines) + len(own) > most:
            own = own[: most - len(lines)]
        lines += own
    return lines


def _groups(groups: Sequence[_Status], most: int) -> list[Text]:
    """Say what the jobs that wait or are blocked wait for, the largest group first."""
    lines = []
    cut = groups[: most if len(groups) <= most else most - 1]
    for group in cut:
        stages = list(group["stages"])
        of = stages[0] if len(stages) == 1 else f"{len(stages)} stages"
        colon = "" if group["why"].startswith(("wait", "are ")) else ":"
        lines.append(Text(f"  {pluralize(group['jobs'], 'job')} of {of}{colon} {group['why']}"))
    if len(cut) < len(groups):
        left = sum(group["jobs"] for group in groups[len(cut) :])
        lines.append(Text(f"  and {pluralize(left, 'job')} for other reasons", style="dim"))
    return lines


def label_of(job: _Status) -> str:
    """Return `stage[axis=value,…]` of a job in a status document."""
    return label_of_cell(str(job["stage"]), job["cell"])
