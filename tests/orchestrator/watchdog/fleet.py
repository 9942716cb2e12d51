"""A fleet for tests of the watchdog: one process, and a clock that only waiting moves.

It stands for machines: its process writes heartbeats as a test has it, and looks at it find what a
test has them find. What follows is the launch's own doing, on a real root.
"""

import json
import math
from dataclasses import asdict, dataclass, field, replace

from cluster.executor import Ending, Outcome, Surroundings, call_entry
from cluster.fault_classes import FaultClass
from cluster.machine.resources import Resources
from jobs.artifacts.artifact import Artifact
from jobs.liveness.heartbeat import Heartbeat, Phase, heartbeat_name
from jobs.liveness.inspection import END, GLANCE, INSPECT, Finding

STEPPING = Heartbeat(
    rank=0, beat=0, node="n1", pid=77, phase=Phase.STEPPING,
    step=9, unit="step", longest_s=2.0, median_s=1.0,
)  # fmt: skip
WORKING = replace(STEPPING, phase=Phase.WORKING, step=None, longest_s=None, median_s=None)
MOVES = {"places": ["a", "b"], "cpu_share": 0.9}
HANGS = Finding(rank=0, node="n1", pid=77, state="S", cpu_share=0.0, places=["a"], stacks="where")


@dataclass
class Fleet:
    """One process whose first attempt writes `heartbeat`, and beats while `beats(now)` is true."""

    heartbeat: Heartbeat
    finding: object
    """Returned by a look: a Finding, or a function from the number of the look; None: no answer."""
    beats: object = lambda now: True
    recovers_at: float = math.inf
    dies_of_kill: bool = True
    now: float = 1000.0
    done: list = field(default_factory=list)
    calls: list = field(default_factory=list)
    texts: list = field(default_factory=list)
    running: dict = field(default_factory=dict)
    num_looks: int = 0
    looked_at: list = field(default_factory=list)
    takes_s: float = 0.0
    """How long the nodes take to answer a look."""
    is_stopped: object = lambda now: False
    """Whether its process is found stopped by a signal, by the seconds since the beginning."""
    answers: list = field(default_factory=list)
    expected: list = field(default_factory=list)
    """Tickets whose next try was to be prepared for, and when."""

    def start(self):
        pass

    close = start

    def capacity(self):
        return Resources(num_cpus=1)

    def nodes(self):
        return [Resources(num_cpus=math.inf, num_gpus=math.inf, memory_gb=math.inf)]

    free = nodes

    def rooms(self):
        return ()

    def most_ranks(self):
        return 1

    def avoid(self, nodes):
        pass

    def submit(self, ticket, entry, payload, resources, *, avoided=frozenset()):
        self.running[ticket] = (entry, payload, self.now)

    def submit_beside(self, ticket, node, entry, payload):
        self.calls.append(entry)
        if entry == END and self.dies_of_kill:
            self._die()
        answer, at = None, self.now - 1000.0
        if entry == INSPECT:
            self.num_looks += 1
            self.looked_at.append(at)
            found = self.finding(self.num_looks) if callable(self.finding) else self.finding
            if found and self.is_stopped(at):
                found = replace(found, state="T")
            answer = found and json.dumps([asdict(found)])
        elif entry == GLANCE:
            answer = json.dumps([asdict(replace(HANGS, state="ST"[self.is_stopped(at)]))])
        ending = Ending.RETURNED if answer else Ending.LOST
        outcome = Outcome(ticket=ticket, ending=ending, answer=answer)
        self.answers.append((self.now + self.takes_s, outcome))

    def cancel(self, ticket, *, within_s=None):
        self.calls.append("cancel")
        self._die()

    def expect_again(self, ticket):
        self.expected.append((ticket, self.now - 1000.0))

    def _die(self):
        for ticket in list(self.running):
            del self.running[ticket]
            fault_class = FaultClass.LOST_PROCESS
            lost = Outcome(ticket=ticket, ending=Ending.LOST, error="it died", node="n1")
            self.done.append(replace(lost, fault_class=fault_class))

    def wait(self, timeout_s):
        self.now += max(timeout_s, 2.0)
        assert self.now < 20_000.0, "the launch does not end"
        for ticket, (entry, payload, since) in list(self.running.items()):
            if not ticket.endswith("-000001") or self.now >= self.recovers_at:
                del self.running[ticket]
                self.done.append(call_entry(ticket, entry, payload, Surroundings(node="n1")))
            elif self.beats(self.now - 1000.0):
                self._beat(json.loads(payload), since)
        self.done += [outcome for at, outcome in self.answers if at <= self.now]
        self.answers = [(at, outcome) for at, outcome in self.answers if at > self.now]
        done, self.done = self.done, []
        return done

    def _beat(self, assignment, since):
        artifact = Artifact(self.root, assignment["kind"], assignment["key"])
        folder = artifact.attempt_folder(assignment["attempt"])
        self.root.make_folder(f"{folder}/alive")
        beat = replace(self.heartbeat, beat=int(self.now), idle_s=self.now - since)
        self.root.path(heartbeat_name(folder, 0)).write_text(beat.to_json())
