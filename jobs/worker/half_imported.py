"""A library that could not be imported is not tried again in the same process.

What it has told its compiled parts by then stays told: torch, imported once more, fails in another
way or ends the process, and with it a launch whose jobs run there.
"""

import os

from cluster.errors import UserError
from cluster.machine.import_faults import import_fault

_met: list[str] = []
"""What was said of the first such failure."""


def remember_half_imported(error: BaseException) -> None:
    """Take note of an error that says that variables kept a library from being imported."""
    fault = import_fault(error, os.environ)
    if fault is not None and fault.is_certain and not _met:
        _met.append(" ".join(f"{fault}: {error}".split()))


def require_whole_imports() -> None:
    """Require that nothing was imported in part. Raises UserError with why it was."""
    if _met:
        raise UserError(_met[0], where="environment of this process", hint="mend or unset it")
