"""What the doctor shows: a line for each finding at 80 columns, and the same as JSON."""

import textwrap
from collections import Counter
from collections.abc import Sequence

from orchestrator.doctor.check import Verdict
from orchestrator.doctor.examination import Finding, is_fit
from orchestrator.doctor.site import Site
from orchestrator.text import pluralize

_WIDTH = 80
_INDENT = 28
_PLURALS = {Verdict.WARNING: "warning", Verdict.BAD: "fault"}


def heading(site: Site) -> str:
    """Return what is looked at: `hpc: 3 nodes of the Ray at 10.0.0.1:6379, root /data`."""
    name = f"{site.chosen.name}: " if site.chosen is not None else ""
    text = f"{name}{_place(site)}, root {site.root.url}"
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False) + "\n"


def shown(finding: Finding) -> str:
    """Return a finding: verdict, check, what was seen; below it what to do."""
    line = finding.line
    first = f"{line.verdict.value:<12} {finding.check:<14} "
    text = _filled(line.value, first)
    if line.remedy is None:
        return text
    return f"{text}\n{_filled(line.remedy, ' ' * (_INDENT - 2) + '> ')}"


def summary(findings: Sequence[Finding]) -> str:
    """Return the last line: whether jobs can run here."""
    numbers = Counter(finding.line.verdict for finding in findings)
    parts = [
        pluralize(numbers[verdict], noun) for verdict, noun in _PLURALS.items() if numbers[verdict]
    ]
    if numbers[Verdict.UNCHECKED]:
        parts.append(f"{numbers[Verdict.UNCHECKED]} not checked")
    rest = f": {', '.join(parts)}" if parts else ""
    return f"\n{'fit' if is_fit(findings) else 'not fit'}{rest}"


def document(site: Site, findings: Sequence[Finding]) -> dict[str, object]:
    """Return all of it as JSON."""
    return {
        "profile": site.chosen.name if site.chosen is not None else None,
        "kind": site.chosen.profile.kind if site.chosen is not None else None,
        "address": site.ray,
        "root": site.root.url,
        "study": site.decided.plan.study.name if site.decided is not None else None,
        "nodes": [node.name for node in site.nodes.nodes],
        "is_fit": is_fit(findings),
        "findings": [finding.as_json() for finding in findings],
    }


def _place(site: Site) -> str:
    if site.ray is None or site.refusal is not None:
        return f"this machine ({site.nodes.nodes[0].name})"
    return f"{pluralize(len(site.nodes.nodes), 'node')} of the Ray at {site.ray}"


def _filled(text: str, first: str) -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=" " * _INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
