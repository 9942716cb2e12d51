"""Has the queue what the profile asks it for: partition, nodes, limits, account?"""

from collections.abc import Iterator

from orchestrator.doctor.check import Check, Line, bad, ok, unchecked
from orchestrator.doctor.site import Site

_MEND = "mend the profile; `sinfo` and `sacctmgr show assoc user=$USER` list what there is"


class Queue(Check):
    """A queue refuses at once what it cannot give, or keeps it waiting for ever."""

    ORDER = 8
    OF_NODES = False

    def lines(self, site: Site) -> Iterator[Line]:
        """Ask the profile's kind to look; nothing is submitted."""
        findings = site.chosen.kind.check(site.chosen.profile) if site.chosen is not None else []
        for finding in findings:
            if not finding.is_looked_at:
                yield unchecked(finding.text)
            else:
                yield ok(finding.text) if finding.is_good else bad(finding.text, _MEND)
        if not findings:
            yield ok("there is none: a launch begins at once")
