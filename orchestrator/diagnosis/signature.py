"""Contract: a signature tells a known failure by its words.

Signatures live in `signatures/`, one per file; people bring their own in a file of YAML
(`own_signatures.py`).
"""

from dataclasses import dataclass
from typing import Protocol

from cluster.fault_classes import FaultClass
from jobs.door import Door


class Signature(Protocol):
    """The names a module in `signatures/` defines."""

    PATTERN: str
    """A regular expression, searched for in each line of what a failure left: its message, how its
    process ended (`ended by SIGBUS`), the end of its log. Case counts; `(?i)` in front says no."""
    FAULT_CLASS: FaultClass
    """Whose fault it is. A cause goes before what says that something else went away: COLLATERAL,
    and LOST_PROCESS."""
    REMEDY: str
    """What to do, in a sentence, with a command where one helps."""


SIGNATURES: Door[Signature] = Door(
    "failure signature", "orchestrator.diagnosis.signatures", contract=Signature
)


@dataclass(frozen=True, kw_only=True)
class KnownFailure:
    """One signature, shipped or somebody's own, as it is searched for."""

    name: str
    """Its name, as ledgers keep it."""
    pattern: str
    """Regular expression."""
    fault_class: FaultClass
    """Whose fault it is."""
    remedy: str
    """What to do."""
    origin: str | None = None
    """File that it was read from; None for one that is shipped."""


def shipped() -> list[KnownFailure]:
    """Return the signatures of the package, by name."""
    return [
        KnownFailure(
            name=name,
            pattern=signature.PATTERN,
            fault_class=signature.FAULT_CLASS,
            remedy=signature.REMEDY,
        )
        for name in SIGNATURES.package_names()
        for signature in [SIGNATURES.find(name)]
    ]
