"""Which gangs the ranks of a new one leave alone, on whatever node they meet them."""

from types import SimpleNamespace

import ray

from cluster.driver_messages import Submit
from cluster.gangs.gang import run_gang
from cluster.gangs.gang_call import GangCalls
from cluster.machine.resources import Resources


def test_gangs_that_run_or_are_held_back_are_not_left_over(monkeypatch):
    begun = []

    class Remote:
        lend = SimpleNamespace(remote=lambda secrets: None)

        def __init__(self, what):
            self._what = what

        def options(self, **options):
            return self

        def remote(self, *arguments):
            if self._what is run_gang:
                begun.append((arguments[1], arguments[7]))
            return self

    here = SimpleNamespace(get_node_id=lambda: "n1")
    monkeypatch.setattr(ray, "remote", Remote)
    monkeypatch.setattr(ray, "get_runtime_context", lambda: here)
    calls = GangCalls()
    for ticket, held in (("l-1", ()), ("l-2", ()), ("l-4", {"l-3": "a call"})):
        two = Resources(num_cpus=1, num_ranks=2)
        calls.submit(
            Submit(ticket=ticket, entry="", payload="", resources=two, secrets={}), {}, (), held
        )
        if ticket == "l-1":
            calls.end(ticket)
    assert begun == [("l-1", {"l-1"}), ("l-2", {"l-2"}), ("l-4", {"l-2", "l-3", "l-4"})]
