"""`Case`: one attempt that is looked after, from the first doubt to its end."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from jobs.liveness.heartbeat import Heartbeat
from jobs.liveness.inspection import Finding, Suspect, describe
from jobs.liveness.stacks import stack_of
from orchestrator.text import pluralize
from orchestrator.watchdog.rules import Judgement, Verdict

_IN_COLLECTIVE = re.compile(
    r"torch/distributed/|all_reduce|all_gather|reduce_scatter|broadcast|barrier|"
    r"accelerate/utils/operations|deepspeed/comm/"
)
_STOPPED_BY = {
    True: "stopped by a signal (state T of the kernel: SIGSTOP or its like), and goes on by a "
    "SIGCONT alone",
    False: "stopped by a debugger (state t of the kernel)",
}


def suspects_by_node(heartbeats: Iterable[Heartbeat]) -> dict[str, list[Suspect]]:
    """Return the processes that gave these heartbeats, by their nodes."""
    nodes: dict[str, list[Suspect]] = {}
    for beat in heartbeats:
        suspect = Suspect(rank=beat.rank, pid=beat.pid, started=beat.started, thread=beat.thread)
        nodes.setdefault(beat.node, []).append(suspect)
    return nodes


@dataclass(kw_only=True)
class Case:
    """One look after the processes of an attempt."""

    number: int = 0
    """How many looks at this attempt there were before."""
    judgement: Judgement
    """Why it is looked after."""
    heartbeats: Mapping[int, Heartbeat] = field(default_factory=dict)
    """Rank -> its last heartbeat."""
    began_s: float = 0.0
    """When the look began, by the steady clock of the launch."""
    due_at: float | None = None
    """When the attempt reaches its limit, by the attentive clock, where the look began before: its
    findings wait until then. None: it is decided once they are there."""
    until: float
    """Until when answers of its nodes are waited for, by the attentive clock."""
    asked: dict[str, str] = field(default_factory=dict)
    """Ticket of a look that was not answered yet -> the node."""
    findings: list[Finding] = field(default_factory=list)
    """What the looks showed."""

    def by_node(self) -> dict[str, list[Suspect]]:
        """Return the processes to look at, by their nodes."""
        return suspects_by_node(beat for _, beat in sorted(self.heartbeats.items()))

    @property
    def is_root_away(self) -> bool:
        """Whether the root took no write on a node: nothing can be said of what runs there."""
        return any(one.is_root_away for one in self.findings)

    @property
    def is_stopped(self) -> bool:
        """Whether some process of it is stopped."""
        return any(one.is_stopped for one in self.findings)

    @property
    def stopped_by_signal(self) -> Sequence[int]:
        """The ranks that a signal stopped."""
        return [one.rank for one in self.findings if one.is_stopped_by_signal]

    def is_due(self, judgement: Judgement) -> bool:
        """Tell whether it may be decided by now: one that began early waits for the limit."""
        return self.due_at is None or judgement.verdict >= Verdict.SILENT

    def is_overtaken_by(self, heartbeats: Iterable[Heartbeat]) -> bool:
        """Tell whether a process has beaten since that was stopped when it was looked at."""
        stopped = {one.rank for one in self.findings if one.is_stopped}
        return any(
            beat.rank in stopped and beat.beat != self.heartbeats[beat.rank].beat
            for beat in heartbeats
        )

    @property
    def is_idle(self) -> bool:
        """Whether every process of it was seen, and none used a processor or waited for a disk."""
        seen = [one for one in self.findings if not one.is_gone]
        return bool(seen) and not any(one.computes or one.reads for one in seen)

    def files(self) -> dict[str, str]:
        """Return what is kept of the look: name in the attempt -> text."""
        return {
            f"stacks/{one.rank}-{self.number}.txt": describe(
                one, asdict(self.heartbeats[one.rank]) | {"phase": self._phase(one.rank)}
            )
            for one in self.findings
        }

    def sentence(self) -> str:
        """Return why the attempt is ended: the numbers, who is behind, and where the stacks are."""
        parts = [f"hung: {self.judgement.why}"]
        culprits = self.culprits()
        if len(self.heartbeats) > 1 and culprits:
            ranks = ", ".join(self._place(rank) for rank in culprits)
            others = len(self.heartbeats) - len(culprits)
            waiting = f"; the other {pluralize(others, 'rank')} wait for it" if others else ""
            parts.append(f"{ranks} is behind{waiting}")
        parts += [
            f"{self._place(one.rank)} is {_STOPPED_BY[one.is_stopped_by_signal]}"
            for one in self.findings
            if one.is_stopped
        ]
        names = sorted(self.files())
        if names:
            parts.append(f"see {names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}")
        return "; ".join(parts)

    def culprits(self) -> Sequence[int]:
        """Return the ranks that keep the others, as far as it can be told.

        Of those that are furthest behind: who is stopped or gone, else who is in no collective
        operation where the others are.
        """
        behind = [one for one in self.findings if one.rank in self.judgement.ranks]
        still = [one.rank for one in behind if one.is_stopped or one.is_gone]
        if still:
            return still
        outside = [one.rank for one in behind if not self._is_in_collective(one)]
        if 0 < len(outside) < len(self.findings):
            return outside
        is_part = 0 < len(self.judgement.ranks) < len(self.heartbeats)
        return list(self.judgement.ranks) if is_part else []

    def _is_in_collective(self, finding: Finding) -> bool:
        stacks = stack_of(self.heartbeats[finding.rank].thread, finding.stacks or "")
        return bool(_IN_COLLECTIVE.search(stacks))

    def _phase(self, rank: int) -> str:
        return self.heartbeats[rank].phase.value

    def _place(self, rank: int) -> str:
        beat = self.heartbeats[rank]
        return f"rank {rank} on {beat.node} (process {beat.pid})"
