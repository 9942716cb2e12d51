"""Runs the checks one after another; one that hangs or raises costs only its own lines."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cluster.redaction.redactor import redacted
from orchestrator.doctor.check import CHECKS, Check, Line, Verdict, bad, unchecked
from orchestrator.doctor.site import Site
from orchestrator.text import first_line


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of one check."""

    check: str
    """Name of the check."""
    line: Line
    """What it saw."""

    def as_json(self) -> dict[str, str | None]:
        """Return the fields as JSON has them."""
        return {
            "check": self.check,
            "value": self.line.value,
            "verdict": self.line.verdict.value,
            "remedy": self.line.remedy,
        }


def examine(site: Site, names: Sequence[str] | None = None) -> Iterator[Finding]:
    """Run checks and yield what they saw, each check's lines as soon as it is through.

    On a login node those of nodes are left out, in one line.

    Args:
        site: what to look at.
        names: which checks; None: all.
    """
    left_out = []
    for name in check_names() if names is None else names:
        check = CHECKS.find(name)
        if site.is_queue and check.OF_NODES:
            left_out.append(name)
            continue
        for line in _lines(check, site):
            # An address may hold a password, and a fault what a library was given.
            yield Finding(check=name, line=replace(line, value=redacted(line.value)))
    if left_out:
        why = f"{', '.join(left_out)}: only a job of the queue sees the nodes"
        yield Finding(check="nodes", line=unchecked(why, _allocation(site)))


def _allocation(site: Site) -> str:
    on = f" --on {site.chosen.name}" if site.chosen is not None else ""
    return f"in an allocation of yours: `salloc -N 2 … deltascale doctor{on}`"


def check_names() -> list[str]:
    """List all checks, in order."""
    return sorted(CHECKS.names(), key=lambda name: (CHECKS.find(name).ORDER, name))


def is_fit(findings: Sequence[Finding]) -> bool:
    """Tell whether jobs can run: nothing is bad."""
    return all(finding.line.verdict is not Verdict.BAD for finding in findings)


def _lines(check: Check, site: Site) -> list[Line]:
    """Run one check on a thread of its own: what it asks has limits, what it does itself may not.

    A thread that hangs is left behind; it ends with this process.
    """
    lines: list[Line] = []
    faults: list[str] = []

    def run() -> None:
        try:
            for line in check.lines(site):
                lines.append(line)
        except Exception as error:  # a check that fails says so, and the others go on
            why = f"{type(error).__name__}: {first_line(redacted(str(error)))}"
            faults.append(f"the check failed: {why}")

    thread = threading.Thread(target=run, name="doctor", daemon=True)
    thread.start()
    thread.join(check.LIMIT_S)
    if thread.is_alive():
        faults = [f"not finished within {check.LIMIT_S:g} s"]
    return [*lines, *(_broken(check, fault) for fault in faults)]


def _broken(check: Check, fault: str) -> Line:
    return unchecked(fault) if check.IF_BROKEN is None else bad(fault, check.IF_BROKEN)
