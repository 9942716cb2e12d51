"""Is the hub reached from where jobs run, is its token valid, or is it left alone?"""

from collections.abc import Iterator, Mapping
from typing import Any

from cluster.fitness.looking import Answer
from jobs.hub.offline import is_hub_offline
from orchestrator.doctor.answers import alike, at, seen, silent
from orchestrator.doctor.check import Check, Line, bad, ok, warning
from orchestrator.doctor.site import Site
from orchestrator.fetching.needs import needs_of

_LOOK = "jobs.hub.standing:look"
_FETCH = (
    "on a machine with internet `deltascale fetch STUDY` takes all of it into the root; or mend "
    "the way out (HTTPS_PROXY, HF_ENDPOINT names a mirror)"
)
_LOGIN = "log in anew where jobs run: `hf auth login`, or export HF_TOKEN"


class Hub(Check):
    """Models and data of `hf://…` come from there, unless `fetch` was here before."""

    ORDER = 70
    OF_NODES = False

    def lines(self, site: Site) -> Iterator[Line]:
        """Ask all nodes, unless jobs leave the hub alone."""
        if is_hub_offline(site.root):
            yield ok("left alone: `fetch` filled the root, and jobs read from there")
            return
        needs = needs_of(site.root, site.decided.plan.jobs) if site.decided else None
        if needs is not None and not needs:
            yield ok("the study needs nothing of it")
            return
        yield from judge(site.nodes.ask(_LOOK, {}, 25), is_needed=bool(needs))


def judge(answers: Mapping[str, Answer], *, is_needed: bool) -> Iterator[Line]:
    """Say from where the hub is not reached, and what it says of the token.

    Args:
        answers: what each node was answered.
        is_needed: whether the study that is to run needs the hub.
    """
    there = seen(answers)
    yield from silent(answers)
    fails = bad if is_needed else warning
    texts: dict[str, Mapping[str, Any]] = {name: value for name, value in there.items()}
    phrases = {name: _phrase(value) for name, value in texts.items()}
    for (kind, text), names in alike(phrases).items():
        shown = f"{at(names, len(there))}{text}"
        if kind == "ok":
            yield ok(shown)
        else:
            yield fails(shown, _LOGIN if kind == "token" else _FETCH)


def _phrase(value: Mapping[str, Any]) -> tuple[str, str]:
    endpoint = value["endpoint"]
    if value["offline"]:
        return "away", f"{endpoint} is not asked: {value['offline']} is set"
    if value["fault"]:
        return "away", f"{endpoint} is not reached: {value['fault']}"
    if value["token"] == "refused":
        return "token", f"{endpoint} answers, but takes its token for none of its own"
    login = {"valid": "the token is valid", "none": "no token: public models alone"}
    return "ok", f"{endpoint} answers; {login.get(value['token'], 'the token was not looked at')}"
