"""Ids of launches: unique, and sorting in the order in which launches of a study began.

The ledger is read in their order, and an attempt's id begins with its launch's.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from cluster.storage import Storage
from orchestrator.records.detached import detached_folder
from orchestrator.records.ledger import ledger_folder
from orchestrator.records.submissions import submissions_folder

_SECOND = "%Y%m%dT%H%M%S"


def new_launch_id(root: Storage | None = None, study: str = "") -> str:
    """Make an id for a launch of a study on a root; for no study, one that nobody sorts.

    A clock that was put back, or that of another machine, would sort a launch before those that it
    follows, and what they left would count as the latest: their moments count, too.
    """
    known = _moments(root, study) if root else ()
    now = max((datetime.now(UTC), *known))
    return f"{now:{_SECOND}}-{now.microsecond:05x}{uuid4().hex[:3]}"


def _moments(root: Storage, study: str) -> Iterator[datetime]:
    """Yield moments that are later than the latest launches of a study."""
    for folder in (ledger_folder(study), detached_folder(study), submissions_folder(study)):
        for name in reversed(root.list(folder)):  # they sort by time
            with suppress(ValueError, OverflowError):
                second = datetime.strptime(name[:15], _SECOND).replace(tzinfo=UTC)
                yield second + timedelta(microseconds=int(name[16:21], 16) + 1)
                break  # what sorted behind it is no launch
