"""A job's story as sentences with times, nodes, numbers and files."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import Any

from cluster.fault_classes import FaultClass
from orchestrator.diagnosis.sentences import WORDS, at_step
from orchestrator.text import duration, first_line, gigabytes, pluralize
from orchestrator.views.text_output import layout_text

_MOST_READERS = 5
_ENDINGS = {
    "done": "done",
    "reused": "another attempt had done it",
    "busy": "somebody else was at it",
}

_MEMORY_MAY_TELL = frozenset(
    fault_class.value
    for fault_class in (
        FaultClass.OUT_OF_MEMORY,
        FaultClass.HOST_MEMORY,
        FaultClass.LOST_PROCESS,
        FaultClass.LOST_NODE,
        FaultClass.UNKNOWN,
    )
)
"""Classes of faults that who else held memory may explain: deaths, memory, and what is unknown."""


def sentences(story: dict[str, Any], words: str) -> Iterator[str]:
    """Yield the story of a job, a line at a time.

    Args:
        story: from `tell`.
        words: the study, as a command line names it.
    """
    yield f"{story['job']} ({story['key'][:16]}, {story['kind']}): {story['state']}"
    attempts = [
        event for event in story["history"] if event["event"] == "attempt" and not _is_busy(event)
    ]
    if not story["history"]:
        yield f"  no launch of {story['study']} has tried it"
    for is_busy, events in groupby(story["history"], _is_busy):
        if is_busy:
            yield _looks(list(events))
            continue
        yield from _told(events, attempts, story)
    if story["result"] is not None:
        yield from _result(story)
    else:
        yield from _what_next(story, words)


def _is_busy(event: dict[str, Any]) -> bool:
    """Tell whether an attempt was a look only: somebody else was at the job."""
    is_attempt = event["event"] == "attempt"
    return is_attempt and event.get("result") == "busy" and not event["injected"]


def _looks(events: list[dict[str, Any]]) -> str:
    line = f"  {_at(events[0]['submitted'])} somebody else was at it"
    if len(events) == 1:
        return line
    return f"{line}, at {len(events)} looks until {_at(events[-1]['ended'])}"


def _told(
    events: Iterable[dict[str, Any]], attempts: list[dict[str, Any]], story: dict[str, Any]
) -> Iterator[str]:
    for event in events:
        if event["event"] == "refused":
            yield f"  {_at(event['at'])} refused: {first_line(event['message'])}"
        elif event["event"] == "injected":
            yield f"  {_at(event['at'])} {_injected(event)}"
        else:
            yield from _attempt(event, story, attempts.index(event) + 1, len(attempts))


def _attempt(
    event: dict[str, Any], story: dict[str, Any], number: int, total: int
) -> Iterator[str]:
    launch = f" of launch {event['launch_number']}" if event["launch_number"] else ""
    where = f" on {event['node']}" if event.get("node") else ""
    if event["ended"] is None:
        how = _without_end(event, story)
        yield f"  {_at(event['submitted'])} attempt {number} of {total}{launch}{where}: {how}"
    else:
        took = f" after {duration(event['seconds'])}"
        yield (
            f"  {_at(event['submitted'])} attempt {number} of {total}{launch}{where}: "
            f"{_ending(event)}{took}"
        )
        yield from _details(event)
    for fault in event["injected"]:
        yield f"      {_at(fault['at'])} {_injected(fault)}"
    if event["execution"]:
        text = layout_text(event["execution"], event["peak_memory_gb"])
        yield f"      laid out: {text}" + (f" ({event['fitted_by']})" if event["fitted_by"] else "")
    if event["log"]:
        yield f"      log: {event['log']}"


def _injected(fault: dict[str, Any]) -> str:
    place = fault["place"]
    known = [f"{name} {place[name]}" for name in ("rank", "step", "node", "file") if name in place]
    where = f" ({', '.join(known)})" if known else ""
    return f"injected on purpose by --chaos: {fault['fault']}{where}"


def _without_end(event: dict[str, Any], story: dict[str, Any]) -> str:
    """Say of an attempt whose end is not in the ledger what else tells of it."""
    if "launch_ended" in event:
        return f"its launch ended first ({event['launch_ended']})"
    if story["result"] is not None and story["result"]["attempt"] == event["attempt"]:
        return "done; its launch has not written that down"
    if story["state"] == "running":
        return "it runs, or its launch was killed"
    return "no end of it is known: its launch was killed"


def _ending(event: dict[str, Any]) -> str:
    if event["fault_class"] is None:
        return _ENDINGS.get(event["result"], str(event["result"]))
    what = WORDS[FaultClass(event["fault_class"])]
    parts = [what + (f" ({event['signature']})" if event["signature"] else "")]
    if event["rank"] is not None:
        parts.append(f"rank {event['rank']}")
    if event["step"] is not None:
        parts.append(at_step(event["step"], event.get("steps"), event.get("unit")))
    elif event["fraction"]:
        parts.append(f"at {event['fraction']:.0%}")
    if event["signal"]:
        parts.append(f"by {event['signal']}")
    return " ".join(parts)


def _details(event: dict[str, Any]) -> Iterator[str]:
    if event["message"] and event["fault_class"]:
        yield f"      it said: {first_line(event['message'])}"
    if event.get("collateral"):
        ranks = ", ".join(map(str, event["collateral"]))
        yield f"      ranks that fell because of it: {ranks}"
    for witness in event.get("witnesses", ()):
        yield f"      witness: {witness}"
    if memory := event.get("memory"):
        others = _others(event["others"]) if event["fault_class"] in _MEMORY_MAY_TELL else ""
        yield f"      memory: {_memory(memory)}{others}"
    for name in event.get("overdue", ()):
        yield f"      the signature {name} took too long on this log and was passed over"
    if event.get("remedy"):
        yield f"      what to do: {event['remedy']}"
    if event["decided_by"]:
        yield f"      decided: {event['decided_by']}"
    if event.get("evidence"):
        yield f"      evidence: {event['evidence']}"
    for name in event.get("stacks", ()):
        yield f"      stacks: {name}"


def _memory(memory: dict[str, float]) -> str:
    parts = []
    if "process_gb" in memory:
        parts.append(f"the process held {memory['process_gb']:.1f} GB")
    if "host_gb" in memory:
        used = memory.get("host_used_gb", 0.0)
        parts.append(f"{used:.1f} of {memory['host_gb']:.1f} GB of the host were in use")
    return ", ".join(parts)


def _others(others: list[dict[str, Any]]) -> str:
    if not others:
        return ""
    named = ", ".join(f"{one['name']} (pid {one['pid']}) {one['gb']:.1f} GB" for one in others)
    return f"; the largest others: {named}"


def _result(story: dict[str, Any]) -> Iterator[str]:
    result = story["result"]
    by = "" if result["made_by"] in (None, story["study"]) else f" by study {result['made_by']}"
    size = f"{pluralize(result['files'], 'file')}, {gigabytes(result['bytes'])}"
    yield f"  done{by} in {duration(result['seconds'])}: {result['folder']} ({size})"
    others = [one for one in story["readers"] if one["study"] != story["study"]]
    own = [one for one in story["readers"] if one["study"] == story["study"]]
    for what, readers in (("read by", own), ("reused by other studies", others)):
        if readers:
            named = [
                one["job"] if what == "read by" else f"{one['study']}: {one['job']}"
                for one in readers[:_MOST_READERS]
            ]
            more = len(readers) - len(named)
            yield f"  {what}: {', '.join(named)}" + (f" and {more} more" if more else "")


def _what_next(story: dict[str, Any], words: str) -> Iterator[str]:
    if story["why"]:
        yield f"  now: {first_line(story['why'])}"
    if killed := story["killed_by"]:
        yield f"  its launch was killed ({killed['signature']}): {killed['line']}"
        yield f"      what to do: {killed['remedy']}"
        yield f"      log of the batch job: {killed['log']}"
    if story["queue"]:
        yield f"  {story['queue']['line']}"
    cause = story["root_cause"]
    if cause is not None:
        yield f"  kept by {cause['job']}, which is {cause['state']}: {first_line(cause['why'])}"
    if story["waits_for"]:
        yield f"  its launch: {story['waits_for']['line']}"
    if story["state"] == "failed":
        yield f"  next: mend the cause, then `deltascale resume {words}`"
    elif cause is not None:
        yield f"  next: `deltascale why {words} {cause['key'][:16]}`, and mend that"
    elif not story["is_running"]:
        yield f"  next: `deltascale launch {words}`"


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")
