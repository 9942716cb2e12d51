"""Sizes that are fitted together must have been trained in the same ways: which those are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.answering.findings import STAGE, Finding
from analysis.measurement import label_of

Way = frozenset[tuple[str, str]]
"""Axis and label of everything beside the model that a study varies."""


@dataclass(frozen=True, kw_only=True)
class AlikeSizes:
    """Findings of the ways of training that every size of a family has."""

    findings: Sequence[Finding]
    """The findings; all of a family in which no way is at every size."""
    confounded: frozenset[str]
    """Such families: what changes with size may be due to the ways."""
    remarks: Sequence[str]
    """Sentences about families some of whose sizes lack a way."""


def at_every_size(findings: Sequence[Finding]) -> AlikeSizes:
    """Return findings of the ways of training that every size of their family has."""
    by_family: dict[str, list[Finding]] = {}
    for finding in findings:
        by_family.setdefault(str(finding.number.family), []).append(finding)
    kept: list[Finding] = []
    told: list[str] = []
    confounded = set[str]()
    for family, own in by_family.items():
        ways = _ways(own)
        by_size: dict[object, set[Way]] = {}
        for finding in own:
            by_size.setdefault(size_of(finding), set()).add(ways[finding])
        common = set.intersection(*by_size.values())
        others = set.union(*by_size.values()) - common
        if not others:
            kept += own
        elif common:
            kept += [finding for finding in own if ways[finding] in common]
            told.append(
                f"Of {family}, the exponent is over what every size has ({_in_words(common)}), "
                f"without {_in_words(others)}."
            )
        else:
            kept += own
            confounded.add(family)
            told.append(
                f"Of {family}, sizes were trained in different ways ({_in_words(others)}): what "
                "changes with size may be due to these."
            )
    return AlikeSizes(findings=kept, confounded=frozenset(confounded), remarks=told)


def _ways(findings: Sequence[Finding]) -> Mapping[Finding, Way]:
    """Return the way of each finding: its cell, less the axes that are the same in all of them.

    And less those that only name the sizes: each value of one size, each size of one value.
    """
    cells = {finding: _cell(finding) for finding in findings}
    values: dict[str, set[tuple[object, str]]] = {}
    for finding, cell in cells.items():
        for axis, label in cell.items():
            values.setdefault(axis, set()).add((size_of(finding), label))
    sizes = {size_of(finding) for finding in findings}

    def is_told(axis: str) -> bool:
        labels = {label for _, label in values[axis]}
        return len(labels) > 1 and not len(values[axis]) == len(labels) == len(sizes)

    told = {axis for axis in values if is_told(axis)}
    return {
        finding: frozenset((axis, label) for axis, label in cell.items() if axis in told)
        for finding, cell in cells.items()
    }


def _cell(finding: Finding) -> dict[str, str]:
    """Return labels of the axes, and of the stage where no axis tells models apart."""
    number = finding.number
    stage = {"stage": number.compared_by} if STAGE in finding.apart else {}
    return {axis: label_of(value) for axis, value in {**number.axes, **stage}.items()}


def size_of(finding: Finding) -> object:
    """Return what stands for the size of a model: its counted parameters, else its name."""
    return finding.number.num_parameters or finding.model


def _in_words(ways: set[Way]) -> str:
    return "; ".join(
        sorted(", ".join(f"{axis} {label}" for axis, label in sorted(w)) for w in ways)
    )
