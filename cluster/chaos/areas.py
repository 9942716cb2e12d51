"""Areas of a root that a fault may strike in, by the names of the files."""

import re

AREAS = {
    "ledger": r"studies/[^/]+/ledger/.*",
    "record": r"artifacts/[^/]+/[^/]+/record\.json",
    "checkpoint": r"artifacts/[^/]+/[^/]+/attempts/[^/]+/checkpoints/.*",
    "units": r"artifacts/[^/]+/[^/]+/attempts/[^/]+/(units|shards|scratch)/.*",
    "log": r"artifacts/[^/]+/[^/]+/attempts/[^/]+/log[^/]*\.txt",
    "progress": r"artifacts/[^/]+/[^/]+/attempts/[^/]+/progress\.json",
    "request": r"artifacts/[^/]+/[^/]+/job\.json",
    "artifact": r"artifacts/.*",
    "study": r"studies/.*",
}
"""Name of an area -> pattern of the names of its files. The rest is `artifact` or `study`."""

_PATTERNS = {name: re.compile(pattern) for name, pattern in AREAS.items()}


def is_in_area(file: str, area: str) -> bool:
    """Tell whether a file of a root, by its name relative to it, lies in an area."""
    return _PATTERNS[area].fullmatch(file) is not None
