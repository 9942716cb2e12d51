"""The faults that a user can meet, and the one for a name that does not exist.

    DeltascaleError
      UserError           a mistake of the user: exit code 2
      SurroundingsError   a fault of the machine, storage or cluster: exit code 3
        OutOfMemory       too little memory for the work as it was laid out

Each holds one message string, so that it can pass between processes, and answers with a reason
code: a stable word for programs, given where it is raised, by its class, or by what is at fault.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from cluster.fault_classes import FaultClass

_NAMED = frozenset(
    {"axis", "executor", "job", "kind", "metric", "option", "profile", "stage", "study", "value"}
    | {"submission", "verb"}
)
"""What a name can be of whose fault has a code of its own: `unknown-study`; else `unknown-name`."""
_OF_STUDY = re.compile(r"\.ya?ml\b|^stage |^study |^selector ")
_OF_COMMAND_LINE = re.compile(r"^--|^deltascale\b|^STUDY$|^JOB$")
"""What the place of a mistake looks like, in a study's file and on the command line."""


class DeltascaleError(Exception):
    """A fault with one clear message: what is wrong, where, what is allowed, the nearest match."""

    exit_code = 3
    default_class = FaultClass.UNKNOWN
    """Whose fault it is, where whoever raises the error does not say."""
    default_code: str | None = None
    """Reason code, where whoever raises the error does not say; None: what is at fault names it."""

    def __init__(
        self,
        error: str,
        *,
        where: str | None = None,
        allowed: Iterable[str] | None = None,
        hint: str | None = None,
        fault_class: FaultClass | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(error)
        self.error = error
        self.fault_class = fault_class or self.default_class
        self.where = where
        self.allowed = sorted(allowed) if allowed is not None else None
        self.hint = hint
        self._code = code or self.default_code

    @property
    def code(self) -> str:
        """The reason code: words of small letters with hyphens, which never change."""
        if self._code is not None:
            return self._code
        if self.fault_class not in (FaultClass.UNKNOWN, FaultClass.MISTAKE):
            return str(self.fault_class.value)
        return self._code_of_place()

    def _code_of_place(self) -> str:
        where = self.where or ""
        if _OF_COMMAND_LINE.search(where):
            return "invalid-option"
        return "invalid-study" if _OF_STUDY.search(where) else "invalid-input"

    def __str__(self) -> str:
        lines = [self.error]
        if self.where:
            lines.append(f"  where:   {self.where}")
        if self.allowed is not None:
            lines.append(f"  allowed: {', '.join(self.allowed) or '(nothing)'}")
        if self.hint:
            lines.append(f"  hint:    {self.hint}")
        return "\n".join(lines)

    def at(self, where: str | None, *, hint: str | None = None) -> "UserError":
        """Return the same as a mistake at another place, with a better hint where there is one."""
        return UserError(
            self.error, where=where, allowed=self.allowed, hint=hint or self.hint, code=self._code
        )

    def as_json(self) -> dict[str, object]:
        """Return the fault as `{error, where, allowed, hint, code}`; what is not known is null."""
        names = ("error", "where", "allowed", "hint", "code")
        return {name: getattr(self, name) for name in names}


class UserError(DeltascaleError):
    """Something that the user wrote is wrong, or cannot be done as written."""

    exit_code = 2
    default_class = FaultClass.MISTAKE


class SurroundingsError(DeltascaleError):
    """The storage, a lock, the cluster or the network does not allow it now."""

    exit_code = 3

    def _code_of_place(self) -> str:
        return "surroundings"


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
    kind_of_name = what.partition(" ")[0]
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    return UserError(
        f"unknown {what} {name!r}",
        where=where,
        allowed=names,
        hint=f"did you mean {near[0]!r}?" if near else None,
        code=f"unknown-{kind_of_name if kind_of_name in _NAMED else 'name'}",
    )
