"""`report.json` and `toxic.json`: the dropped rows of a source and why, and its toxic words."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs.text.format import Dropped

TOXIC_WORDS = "toxic.json"


def write_report(folder: Path, dropped: Sequence[Dropped], more: Mapping[str, object]) -> None:
    """Write `report.json`: number and list of dropped rows by reason, beside `more`."""
    reasons: dict[str, list[int]] = {}
    for item in dropped:
        reasons.setdefault(item.reason, []).append(item.row)
    by_reason = {reason: {"count": len(rows), "rows": rows} for reason, rows in reasons.items()}
    _write(folder / "report.json", {"dropped": by_reason, **more})


def write_toxic_words(folder: Path, words: Sequence[str], origin: str) -> None:
    """Write `toxic.json`; origin is `known` or `log-odds`."""
    _write(folder / TOXIC_WORDS, {"words": list(words), "origin": origin})


def read_toxic_words(path: Path) -> list[str]:
    """Read the words of a `toxic.json`."""
    words: list[str] = json.loads(path.read_text("utf-8"))["words"]
    return words


def _write(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
