"""What the run of a kind returns and leaves, held against what its record and readers take."""

import json
from dataclasses import asdict, is_dataclass
from pathlib import Path

from cluster.errors import UserError
from jobs.worker.measured_rows import FILE


def checked_facts(name: str, facts: object, folder: Path, *, measures: bool) -> dict[str, object]:
    """Return the facts of a job that has run.

    Args:
        name: of the kind.
        facts: what its `run` returned.
        folder: of the attempt.
        measures: whether the kind leaves measurements.

    Raises:
        UserError: `record.json` cannot hold them, or a kind that measures left no measurements.
    """
    if not isinstance(facts, dict):
        problem = f"returns {type(facts).__name__}, not a dict of facts"
    elif measures and not (folder / FILE).exists():
        problem = f"leaves no {FILE}, and the kind says that it MEASURES"
    else:
        try:
            json.dumps(facts, default=_plain)
            return facts
        except (TypeError, ValueError) as error:
            problem = f"returns facts that JSON cannot hold: {error}"
    raise UserError(f"`run` of kind {name!r} {problem}", where=f"kind {name}")


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{value!r:.60} is {type(value).__module__}.{type(value).__name__}")
