"""What the GPU check found: one JSON and one table for a product and a day; what plans take of it.

A part that is run again the same day takes the place of what it found before, unless it is skipped
or does not come to its end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from cluster.machine.accelerators import find_accelerator
from jobs.worker.versions import code_commit

RESULTS = Path(__file__).parents[1] / "results"
"""Where results are kept."""
PREFIX = "gpu-check-"
MEASURED, SKIPPED, FAILED, UNFINISHED = "measured", "skipped", "failed", "unfinished"
"""States of a part; unfinished: it was running when this was written, or was interrupted."""
Document = dict[str, Any]
"""The JSON: `machine`, `commit`, `date`, and `parts` by name."""


def new_document(machine: Mapping[str, Any], commit: str | None = None) -> Document:
    """Return the document of today for a machine, as `describe` gives it, without parts.

    `commit` is that of the code, where it is no checkout.
    """
    return {
        "machine": dict(machine),
        "commit": commit or code_commit() or "unknown",
        "date": date.today().isoformat(),
        "parts": {},
    }


def product_of(gpu: str, memory_gb: float = 0.0) -> str:
    """Return what files name a GPU by: its product where that is known, else its whole name."""
    known = find_accelerator(gpu, memory_gb)
    name = gpu.removeprefix("NVIDIA ") if known is None else known.name
    return re.sub(r"[^0-9A-Za-z]+", "-", name).strip("-")


def _product(document: Document) -> str:
    return product_of(document["machine"]["gpu"], document["machine"]["memory_gb"])


def path_of(document: Document, folder: Path) -> Path:
    """Return where a document's JSON stands; its table stands beside it."""
    return folder / f"{PREFIX}{_product(document)}-{document['date']}.json"


def save(document: Document, folder: Path) -> Path:
    """Write JSON, table and calibration, with what other parts found the same day; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = path_of(document, folder)
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))["parts"]
        new = {
            name: found
            for name, found in document["parts"].items()
            if found["state"] in (MEASURED, FAILED)
            or before.get(name, found)["state"] in (SKIPPED, UNFINISHED)
        }
        document = {**document, "parts": {**before, **new}}
    write_whole(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    write_whole(path.with_suffix(".md"), "\n".join(table(document)) + "\n")
    if found := calibration(document):
        name = f"calibration-{_product(document)}.json"
        write_whole(folder / name, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return path


def calibration(document: Document) -> Document | None:
    """Return what plans for this product may be calibrated with; None where nothing is.

    `rates` has measured peaks by the names of `Accelerator`'s fields, per second; `training` the
    facts `memory` of short training runs, each with its `shape` and `step_s`. The plan reads them
    in `orchestrator.plan.calibrations`.
    """
    rates = {name: rate for found in _facts(document, "peaks") for name, rate in found.items()}
    training = _facts(document, "memory")
    if not rates and not training:
        return None
    head = {name: document[name] for name in ("machine", "commit", "date")}
    return {**head, "rates": rates, "training": training}


def _facts(document: Document, part: str) -> list[dict[str, Any]]:
    rows = document["parts"].get(part, {}).get("rows", [])
    return [row["facts"] for row in rows if row["facts"]]


def table(document: Document, *, level: int = 2) -> Iterator[str]:
    """Yield the lines of the table: every part that there is, also one that was not run."""
    from benchmarks.gpu.part import find_part, in_order

    yield from _heading(document)
    for name in in_order():
        part = find_part(name)
        yield f"\n{'#' * level} {part.QUESTION}\n"
        yield from part_table(document["parts"].get(name), part.AIMS)


def _heading(document: Document) -> Iterator[str]:
    machine = document["machine"]
    versions = ", ".join(f"{name} {found}" for name, found in machine["versions"].items() if found)
    yield (
        f"{machine['gpu']}, {machine['memory_gb']:g} GB, driver {machine['driver']}, CUDA "
        f"{machine['cuda']}, Python {machine['python']}; {versions}. Commit {document['commit']}, "
        f"{document['date']}."
    )


def part_table(found: Mapping[str, Any] | None, aims: Mapping[str, object]) -> Iterator[str]:
    """Yield the table of one part; its aims as `not measured` where it did not run.

    Args:
        found: the part's entry in a document, or None.
        aims: what the part holds to something -> what to.
    """
    if found is None or found["state"] == SKIPPED:
        why = f" ({found['reason']})" if found else ""
        if not aims:
            yield f"Not measured{why}."
            return
        yield "| what | aim | measured |\n|---|---|---|"
        for name, aim in aims.items():
            yield f"| {_cell(name)} | {aim} | not measured{_cell(why)} |"
        return
    if found["state"] in (FAILED, UNFINISHED):
        yield f"**{found['state'].capitalize()}**: {found['reason']}\n"
    yield "| what | aim | measured | |\n|---|---|---|---|"
    for row in found["rows"]:
        yield (
            f"| {_cell(row['what'])} | {_cell(row['aim'])} | {_cell(_measured(row))} "
            f"| {_cell(row['note'])} |"
        )


def _measured(row: Mapping[str, Any]) -> str:
    value, unit = row["value"], row["unit"]
    if value is None:
        said = "failed" if row["holds"] is False else "not measured"
    elif isinstance(value, bool):
        said = "yes" if value else "no"
    elif isinstance(value, float):
        said = f"{value:.4g} {unit}".strip()
    else:
        said = f"{value} {unit}".strip()
    return f"**{said}: missed**" if row["holds"] is False else said


def newest(folder: Path = RESULTS) -> list[Document]:
    """Return the newest document of each product, the newest first."""
    by_product: dict[str, Document] = {}
    for path in sorted(folder.glob(f"{PREFIX}*.json"), key=lambda path: path.stem[-10:]):
        document = json.loads(path.read_text(encoding="utf-8"))
        by_product[_product(document)] = document
    return sorted(by_product.values(), key=lambda document: document["date"], reverse=True)


def page(folder: Path = RESULTS) -> Iterator[str]:
    """Yield the lines of the documentation's page: the newest results, or `not measured`."""
    from benchmarks.gpu.part import find_part, in_order

    documents = newest(folder)
    for document in documents:
        yield f"## {document['machine']['gpu']}, {document['date']}\n"
        yield from table(document, level=3)
        yield ""
    if documents:
        return
    yield "**Not measured**: no GPU was at hand yet. What each part would show:\n"
    for name in in_order():
        part = find_part(name)
        yield f"\n## {part.QUESTION}\n"
        yield f"`{name}`\n"
        yield from part_table(None, part.AIMS)


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f"{path.name}.unfinished")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
