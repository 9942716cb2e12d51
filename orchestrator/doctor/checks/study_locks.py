"""Are locks of studies held by launches that show no sign of life?"""

from collections.abc import Iterator

from cluster.errors import DeltascaleError
from orchestrator.doctor.check import Check, Line, ok, unchecked, warning
from orchestrator.doctor.site import Site
from orchestrator.records.lock import current_holder

_SILENT_S = 60.0
"""A living holder shows itself every 10 s, on an object storage every 30 s."""


class StudyLocks(Check):
    """A launch that is stopped keeps its lock, and nobody else may go on with its study."""

    ORDER = 82
    OF_NODES = False

    def lines(self, site: Site) -> Iterator[Line]:
        """Look at the lock of every study of the root; nothing is taken."""
        studies = site.root.list("studies")
        held = silent = 0
        for study in studies:
            try:
                holder = current_holder(site.root, study)
            except DeltascaleError as fault:
                yield unchecked(f"{study}: {fault.error}")
                continue
            if holder is None:
                continue
            held += 1
            if holder.silent_s > _SILENT_S or holder.is_stopped:
                silent += 1
                yield warning(
                    f"{study}: {holder}",
                    "end that process if it hangs; on an object storage `launch --takeover` takes "
                    "the lease of one that is gone",
                )
        if not silent:
            yield ok(_shown(len(studies), held))


def _shown(number: int, held: int) -> str:
    if not number:
        return "no study on this root yet"
    studies = "1 study" if number == 1 else f"{number} studies"
    return f"{studies}, {held} with a launch that lives" if held else f"{studies}, none is held"
