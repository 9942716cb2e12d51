"""`report.json` and `toxic.json`: what was left out of a source and why, and its toxic words."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs.text.format import Dropped

TOXIC_WORDS = "toxic.json"


def write_report(folder: Path, dropped: Sequence[Dropped], more: Mapping[str, Any]) -> None:
    """Write `report.json`: by reason, how many rows were dropped and which, beside `more`."""
    reasons: dict[str, list[int]] = {}
    for each in dropped:
        reasons.setdefault(each.reason, []).append(each.row)
    listed = {reason: {"count": len(rows), "rows": rows} for reason, rows in reasons.items()}
    _write(folder / "report.json", {"dropped": listed, **more})


def write_toxic_words(folder: Path, words: Sequence[str], origin: str) -> None:
    """Write `toxic.json`; origin is `known` or `log-odds`."""
    _write(folder / TOXIC_WORDS, {"words": list(words), "origin": origin})


def read_toxic_words(path: Path) -> list[str]:
    """The words of a `toxic.json`."""
    words: list[str] = json.loads(path.read_text("utf-8"))["words"]
    return words


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
