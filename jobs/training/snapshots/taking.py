"""`SnapshotTaker`: keeps the models of one training run that its params ask for.

What is copied between two steps is written by the thread of the run's checkpoints. That thread
does one thing after another, so a checkpoint is complete only once all snapshots before it are
durable; a run that continues from it takes them over and takes none of them again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from jobs.models.opened_model import Source
from jobs.training.snapshots.kept_files import Kept, Write, take_over, write_snapshot
from jobs.training.snapshots.settings import Snapshots, step_label, threshold_label
from jobs.worker import ranks

if TYPE_CHECKING:
    from jobs.training.supervision import Supervised
    from jobs.worker.work import Work

Look = Callable[["Supervised"], Mapping[str, float]]
"""Trainer -> how far its model has moved from the start: `margin` and `kl`, as far as asked for.
The same on all ranks, which all call it."""
Copy = Callable[["Supervised | None"], Write]
"""Trainer -> what writes its model as it is now; all ranks call it, the first one's is used."""


@dataclass(kw_only=True)
class SnapshotTaker:
    """Takes the snapshots of one run; all ranks do everything together."""

    settings: Snapshots
    """Which ones."""
    work: Work
    """The attempt."""
    copy: Copy
    """Copies the model."""
    look: Look | None
    """Measures how far it has moved; None where no threshold is asked for."""
    num_steps: int
    """Optimizer steps of the whole run."""
    steps: dict[str, int] = field(default_factory=dict)
    """Label -> the step after which it was taken."""
    _furthest: dict[str, float] = field(default_factory=dict)
    """Measure -> the most that a look found."""
    _kept: dict[int, Kept] = field(default_factory=dict)
    """Step -> what is written; on the first rank, once it is."""

    def after_step(self, trainer: Supervised) -> None:
        """Take what is due after a step. Raises what a fault of the storage raises."""
        step = trainer.state.global_step
        labels = [*self._due(step), *self._reached(trainer, step)]
        if not labels:
            return
        checkpoints = trainer.continuation.checkpoints
        checkpoints.settle()  # at most one copy is in memory
        write = self.copy(trainer)
        self.steps |= dict.fromkeys(labels, step)
        if ranks.is_first():
            checkpoints.write_beside(partial(self._write, step, write))

    def keep_all_steps(self) -> None:
        """Keep a model that no step changes, under the label of every step, at step 0."""
        labels = [step_label(step) for step in self.settings.steps or ()]
        self.steps |= dict.fromkeys(labels, 0)
        if labels and ranks.is_first():
            self._write(0, self.copy(None))

    def _due(self, step: int) -> list[str]:
        """Return the label of the snapshot at this very step, where one is asked for."""
        label = step_label(step)
        wanted = step in (self.settings.steps or ()) and label not in self.steps
        return [label] if wanted else []

    def _reached(self, trainer: Supervised, step: int) -> list[str]:
        """Look how far the model has moved, where that is due; return what it has reached."""
        open_ones = self._thresholds()
        is_due = step % self.settings.every == 0 or step == self.num_steps
        if self.look is None or not open_ones or not is_due:
            return []
        moved = self.look(trainer)
        for measure, value in moved.items():
            self._furthest[measure] = max(value, self._furthest.get(measure, value))
        return [label for label, (measure, value) in open_ones.items() if moved[measure] >= value]

    def _thresholds(self) -> dict[str, tuple[str, float]]:
        """Return label -> (measure, value) of the thresholds that were not reached yet."""
        asked = {"margin": self.settings.margin or (), "kl": self.settings.kl or ()}
        labels = {
            threshold_label(measure, value): (measure, value)
            for measure, values in asked.items()
            for value in values
        }
        return {label: wanted for label, wanted in labels.items() if label not in self.steps}

    def _write(self, step: int, write: Write) -> None:
        self._kept[step] = write_snapshot(self.work.attempt, step, write)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds of it."""
        return {"steps": dict(self.steps), "furthest": dict(self._furthest)}

    def begin(self) -> None:
        """Begin from the start: other ranks may have taken in a checkpoint that was not whole."""
        self.steps, self._furthest, self._kept = {}, {}, {}

    def continue_from(self, state: Mapping[str, Any], other: str) -> bool:
        """Go on where another attempt was at a checkpoint; all ranks call it.

        Returns:
            Whether all snapshots before the checkpoint are there and whole, as far as this rank
            looks: the first one does, and takes them over.
        """
        steps: dict[str, int] = dict(state.get("steps", {}))
        if ranks.is_first():
            kept = take_over(self.work.attempt, other, sorted({*steps.values()}))
            if kept is None:
                return False
            self._kept = kept
        self.steps, self._furthest = steps, dict(state.get("furthest", {}))
        return True

    def facts(self) -> dict[str, Any]:
        """Return, on the first rank, what was kept and what training never came to."""
        return {
            "asked": self.settings.model_dump(mode="json"),
            "base": asdict(Source.of(self.work.input("model"))),
            "steps": dict(sorted(self.steps.items(), key=lambda one: (one[1], one[0]))),
            "held": {
                str(step): {**kept.held, "bytes": kept.bytes} for step, kept in self._kept.items()
            },
            "missed": self._missed(),
        }

    def _missed(self) -> dict[str, str]:
        """Return label -> why there is no such model."""
        missed = {
            step_label(step): f"training ended before step {step}"
            for step in self.settings.steps or ()
            if step_label(step) not in self.steps
        }
        for label, (measure, _) in self._thresholds().items():
            missed[label] = f"training never reached it: {self._most(measure)}"
        return missed

    def _most(self, measure: str) -> str:
        """Say how far the model came by a measure."""
        if measure in self._furthest:
            return f"the most was {self._furthest[measure]:.4g} {_UNITS[measure]}"
        if self.look is None:
            return "this objective trains nothing"
        return f"it ended before the first look, after step {self.settings.every}"


_UNITS = {"margin": "nats of margin", "kl": "nats per token"}
