"""What the page's script reads: tables cell by cell and every artifact once, as compact JSON."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from analysis.measurement import CONTROLS
from analysis.status import MEANINGS, Status
from analysis.tables.table import IN_TABLES
from jobs.artifacts.identity import KEY_LENGTH
from jobs.comparing.reporting.contents import Contents

if TYPE_CHECKING:
    from analysis.tables.table import Cell, Table
    from jobs.comparing.tracing import Trace


def embedded(contents: Contents) -> dict[str, object]:
    """Return the whole document: tables by section, traces by key, and what statuses mean."""
    tables = [
        {"section": index, **_table(table)}
        for index, section in enumerate(contents.sections)
        for table in section.tables
    ]
    return {
        "root": contents.root,
        "tables": tables,
        "controls": CONTROLS,
        "meanings": {status.value: text for status, text in MEANINGS.items()},
        **_artifacts(contents.traces),
    }


def _table(table: "Table") -> dict[str, object]:
    return {
        "title": table.title,
        "row_levels": table.row_levels,
        "rows": table.rows,
        "column_levels": table.column_levels,
        "columns": table.columns,
        "cells": [[_cell(cell) for cell in line] for line in table.cells],
    }


def _cell(cell: "Cell") -> dict[str, object]:
    """Return what the script reads of a cell by name; what is missing, or plainly ok, is left out.

    Text and mark stand in the table itself. Ten thousand cells are loaded at once.
    """
    number = cell.number
    fields = {name: getattr(number, name) for name in IN_TABLES} | {
        "num_seeds": number.num_seeds or None,
        "keys": [key[:KEY_LENGTH] for key in number.keys] or None,
        "status": None if number.status is Status.OK else number.status.value,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _artifacts(traces: "Sequence[Trace]") -> dict[str, object]:
    """Artifacts by short key, each naming its inputs; versions apart, because most share them."""
    artifacts: dict[str, object] = {}
    versions: dict[str, int] = {}
    distinct: list[dict[str, str]] = []
    for trace in _each(traces, set()):
        versions_text = repr(sorted(trace.versions.items()))
        if versions_text not in versions:
            versions[versions_text] = len(distinct)
            distinct.append(dict(trace.versions))
        artifacts[trace.key[:KEY_LENGTH]] = {
            "kind": trace.kind,
            "label": trace.label,
            "folder": trace.folder,
            "params": dict(trace.params),
            "files": [list(file) for file in trace.files],
            "versions": versions[versions_text],
            "commit": trace.commit,
            "missing": trace.missing,
            "inputs": [[found.role, found.key[:KEY_LENGTH]] for found in trace.inputs],
        }
    return {"artifacts": artifacts, "versions": distinct}


def _each(traces: "Sequence[Trace]", seen: set[str]) -> "Iterator[Trace]":
    for trace in traces:
        if trace.key not in seen:
            seen.add(trace.key)
            yield trace
            yield from _each(trace.inputs, seen)
