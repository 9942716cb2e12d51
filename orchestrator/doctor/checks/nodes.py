"""Are the nodes that the profile promises there?"""

from collections.abc import Iterator

from orchestrator.doctor.answers import alike, listed
from orchestrator.doctor.check import Check, Line, bad, ok, unchecked
from orchestrator.doctor.site import Site
from orchestrator.profiles.node_check import describe, missing_nodes
from orchestrator.text import pluralize

_LOOK = "cluster.fitness.looks.machine:look"
_REMEDY = "see its log (`ray status` on the head); drain it, or start its Ray anew"


class Nodes(Check):
    """Plans and prices are made for the nodes of the profile."""

    ORDER = 6
    LIMIT_S = 240.0
    OF_NODES = False

    def lines(self, site: Site) -> Iterator[Line]:
        """Hold the nodes of the profile against those that there are."""
        if site.chosen is not None:
            yield from _promised(site)
        if site.is_queue:
            return
        if site.refusal is not None:
            yield unchecked("they could not be asked; what follows is of this machine")
            return
        answers = site.nodes.ask(_LOOK, {}, 20)
        faults = {name: answer.fault for name, answer in answers.items() if answer.fault}
        for fault, names in alike(faults).items():
            yield bad(f"{listed(names)}: {fault}", _REMEDY)
        there = [node.offers for node in site.nodes.nodes if node.name not in faults]
        shown = "; ".join(sorted({describe(node) for node in there}))
        if there:
            yield ok(f"{pluralize(len(there), 'node')} there: {shown}")
        for text in missing_nodes(site.wanted, there):
            yield bad(f"{text}: not there now", "start it, or mend `nodes` of the profile")


def _promised(site: Site) -> Iterator[Line]:
    assert site.chosen is not None
    profile = site.chosen.profile
    if not profile.nodes:
        yield ok("the profile sets none; there is no price to plan with")
    for shape in profile.nodes:
        price = "no price" if shape.price is None else f"{shape.price:g} {profile.currency} an hour"
        yield ok(f"promised: {pluralize(shape.count, 'node')} of {describe(shape.node)}, {price}")
