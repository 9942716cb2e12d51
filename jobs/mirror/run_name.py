"""`RunName`: where a run stands in W&B: its id, group, type, config and tags."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.mirror.outage import MirrorOutage


@dataclass(frozen=True, kw_only=True)
class RunName:
    """Where a job's run stands in W&B."""

    root_id: str
    """Identity of the output root, so that two roots never share a run."""
    key: str
    """Key of the job."""
    study: str
    """Study that asked: the run's group."""
    kind: str
    """Kind of the job: the run's job type."""
    label: str
    """How people read it: the run's name."""
    folder: str
    """Local folder for W&B's own files."""
    config: Mapping[str, Any]
    """Params of the job and where it stands in the study; never environment or addresses."""
    tags: Sequence[str] = ()
    """What a person would filter by."""
    root: str = ""
    """URL of the output root, where an outage is noted; empty for nowhere."""
    launch: str = ""
    """Id of the launch, for which an outage is noted."""
    finishes_within_s: float = 15.0
    """Seconds that the end of the run may wait for what is not sent yet."""

    @property
    def id(self) -> str:
        """Stable over attempts."""
        return run_id(self.root_id, self.key)

    @property
    def outage(self) -> MirrorOutage:
        """Whether W&B is away for this launch."""
        return MirrorOutage(self.root, self.study, self.launch)


def run_id(root: str, key: str) -> str:
    """Return the id of the run of a job, the same for all attempts at it.

    Args:
        root: identity of the output root.
        key: key of the job.
    """
    return hashlib.sha256(f"{root}/{key}".encode()).hexdigest()[:16]
