"""The faults that a user can meet, and the one for a name that does not exist.

    DeltascaleError
      UserError           a mistake of the user: exit code 2
      SurroundingsError   a fault of the machine, storage or cluster: exit code 3
        OutOfMemory       too little memory for the work as it was laid out

Each holds one message string, so that it can pass between processes.
"""

from collections.abc import Iterable
from difflib import get_close_matches

from cluster.fault_classes import FaultClass


class DeltascaleError(Exception):
    """A fault with one clear message: what is wrong, where, what is allowed, the nearest match."""

    exit_code = 3
    default_class = FaultClass.UNKNOWN
    """Whose fault it is, where whoever raises the error does not say."""

    def __init__(
        self,
        error: str,
        *,
        where: str | None = None,
        allowed: Iterable[str] | None = None,
        hint: str | None = None,
        fault_class: FaultClass | None = None,
    ) -> None:
        super().__init__(error)
        self.error = error
        self.fault_class = fault_class or self.default_class
        self.where = where
        self.allowed = sorted(allowed) if allowed is not None else None
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.error]
        if self.where:
            lines.append(f"  where:   {self.where}")
        if self.allowed is not None:
            lines.append(f"  allowed: {', '.join(self.allowed) or '(nothing)'}")
        if self.hint:
            lines.append(f"  hint:    {self.hint}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        """Return the fault as `{error, where, allowed, hint}`; what is not known is null."""
        return {name: getattr(self, name) for name in ("error", "where", "allowed", "hint")}


class UserError(DeltascaleError):
    """Something that the user wrote is wrong, or cannot be done as written."""

    exit_code = 2
    default_class = FaultClass.MISTAKE


class SurroundingsError(DeltascaleError):
    """The storage, a lock, the cluster or the network does not allow it now."""

    exit_code = 3


class OutOfMemory(SurroundingsError):
    """An accelerator or a process ran out of memory; in another layout the same work may fit."""

    default_class = FaultClass.OUT_OF_MEMORY
    needed_bytes = 0.0
    """What the work is known to take of the device; 0 where nobody knows."""


def unknown_name(
    what: str, name: str, allowed: Iterable[str], *, where: str | None = None
) -> UserError:
    """Make the fault for a name that does not exist: where, what is allowed, the nearest match."""
    names = sorted(allowed)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    return UserError(
        f"unknown {what} {name!r}",
        where=where,
        allowed=names,
        hint=f"did you mean {near[0]!r}?" if near else None,
    )
