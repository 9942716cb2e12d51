"""The event of the ledger that says of a fault that it was injected on purpose."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ConfigDict, with_config


@with_config(ConfigDict(allow_inf_nan=False))
@dataclass(frozen=True, kw_only=True, slots=True)
class Injected:
    """A fault was injected on purpose (`launch --chaos`): what follows from it is no real one."""

    at: float
    """Seconds since the epoch, by the clock of the process that it struck."""
    fault: str
    """The fault, as a user writes it."""
    key: str | None = None
    """Key of the job that it struck; None where it struck the launch itself."""
    attempt: str | None = None
    """Id of the attempt that it struck."""
    place: Mapping[str, object] = field(default_factory=dict)
    """What else is known of the place: `point`, `step`, `rank`, `node`, `pid`, `file`."""
