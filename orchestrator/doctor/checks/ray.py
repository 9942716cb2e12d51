"""Can the Ray be joined, does it ask for a token, and who reaches its dashboard?"""

import os
import urllib.error
import urllib.request
from collections.abc import Iterator

from cluster.driver.ray_access import AUTH_MODE, OPEN_ALLOWED, is_loopback
from orchestrator.doctor.check import Check, Line, bad, ok, unchecked, warning
from orchestrator.doctor.site import Site

_ANSWERS_WITHIN_S = 5.0
_TOKEN = (
    f"make a token (`ray get-auth-token --generate`) and start every node with {AUTH_MODE}=token"
)
_DASHBOARD = "start the head with --dashboard-host 127.0.0.1 (or --include-dashboard false)"


class Ray(Check):
    """Whoever reaches a Ray without a token runs code as you."""

    ORDER = 4
    OF_NODES = False

    def lines(self, site: Site) -> Iterator[Line]:
        """Say how it was joined, and ask its dashboard without a token."""
        if site.refusal is not None and site.ray is None:
            yield bad(site.refusal.error, site.refusal.hint or "see SLURM's own messages")
            return
        if site.ray is None:
            yield ok("a launch starts its own, on loopback alone, with a token of its own")
            return
        if site.refusal is not None:
            yield bad(f"{site.ray}: {site.refusal.error}", site.refusal.hint or "start it")
            return
        if site.warning is None:
            yield ok(f"{site.ray} can be joined, and asks for a token")
        elif is_loopback(site.ray):
            yield ok(f"{site.ray} can be joined; it asks for no token, but listens here alone")
        else:
            yield self._open(site.warning)
        yield from _judge_dashboard(site.dashboard)

    def _open(self, text: str) -> Line:
        return warning(f"joined, because {OPEN_ALLOWED} is set: {text}", _TOKEN)


def _judge_dashboard(place: str | None) -> Iterator[Line]:
    if place is None:
        return
    if is_loopback(place):
        yield ok(f"its dashboard listens at {place}: on its own machine alone")
        return
    status = _status(f"http://{place}/api/version")
    if status is None:
        yield unchecked(f"its dashboard at {place} does not answer from here")
    elif status in (401, 403):
        yield ok(f"its dashboard at {place} asks for a token")
    else:
        judge = warning if os.environ.get(OPEN_ALLOWED, "") not in ("", "0") else bad
        yield judge(
            f"its dashboard at {place} takes jobs from anybody who reaches it",
            f"{_TOKEN}, or {_DASHBOARD}",
        )


def _status(url: str) -> int | None:
    try:
        # The proxies of the way out know no dashboard.
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(url, timeout=_ANSWERS_WITHIN_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as fault:
        return fault.code
    except OSError:
        return None
