"""`report.json` and `toxic.json`: the dropped rows of a source and why, and its toxic words."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs.text.reading import Dropped, Reading, by_reason
from jobs.text.rows.fault import storable

TOXIC_WORDS = "toxic.json"


def write_report(folder: Path, dropped: Sequence[Dropped], more: Mapping[str, object]) -> None:
    """Write `report.json`: number and list of dropped rows by reason, beside `more`."""
    reasons = {
        reason: {"count": len(rows), "rows": rows} for reason, rows in by_reason(dropped).items()
    }
    _write(folder / "report.json", {"dropped": reasons, **more})


def about_source(reading: Reading[Any]) -> dict[str, object]:
    """Return what a report says of a source's files: columns that nothing reads, and notes."""
    about = {"unused_columns": reading.unused_columns, "notes": reading.notes}
    return {name: [storable(text) for text in texts] for name, texts in about.items() if texts}


def write_toxic_words(folder: Path, words: Sequence[str], origin: str) -> None:
    """Write `toxic.json`; origin is `known` or `log-odds`."""
    _write(folder / TOXIC_WORDS, {"words": list(words), "origin": origin})


def read_toxic_words(path: Path) -> list[str]:
    """Read the words of a `toxic.json`."""
    words: list[str] = json.loads(path.read_text("utf-8"))["words"]
    return words


def _write(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
