"""`Continuation`: how a run that was killed goes on as if it had not been.

Weights, moments, schedule, the log and all random number generators come back; the place in the
data follows from the step. The facts that the record holds of it are made here too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NotRequired, Protocol, TypedDict

from transformers import Trainer

from jobs.training.layout import Layout
from jobs.training.resume.best_weights import BestWeights
from jobs.training.resume.checkpoint_files import Files
from jobs.training.resume.checkpoint_writer import CheckpointWriter
from jobs.training.resume.deepspeed_state import DeepSpeedState
from jobs.training.resume.fsdp_state import FsdpState, is_divided
from jobs.training.resume.newest_checkpoint import TrainingCheckpoint, adopt_newest
from jobs.training.resume.random_state import GeneratorStates, read_generators, restore_generators
from jobs.training.resume.replicated_state import ReplicatedState
from jobs.training.trained_weights import rank_file
from jobs.worker import ranks
from jobs.worker.attempt_folder import AttemptFolder

_STATE = "trainer_state.json"
"""The Trainer's own: steps done and the log so far. The Trainer reads it under this name."""


class Description(TypedDict):
    """What one rank writes into a checkpoint beside weights and moments."""

    best_step: int | None
    """Step of the best weights so far; None where none are kept."""
    scheduler: dict[str, object]
    """State of the schedule."""
    generators: GeneratorStates
    """State of the random number generators."""
    beside: NotRequired[dict[str, Any]]
    """State of what is kept beside checkpoints."""


class KeptBeside(Protocol):
    """Something that a run keeps beside its checkpoints, and that goes on with them."""

    def after_step(self, trainer: Any) -> None:
        """Keep what is due after a step."""

    def state(self) -> dict[str, Any]:
        """Return small JSON that says what was kept so far."""

    def begin(self) -> None:
        """Begin a run from its start, whatever a checkpoint that was not whole said."""

    def continue_from(self, state: Mapping[str, Any], other: str) -> bool:
        """Go on from such a state of another attempt; False where what it names is not whole."""


class Continuation:
    """The checkpoints of one run, written and continued from."""

    def __init__(
        self,
        attempt: AttemptFolder,
        layout: Layout,
        keep: int,
        *,
        repeats: bool,
        beside: KeptBeside | None = None,
    ) -> None:
        """Look for the newest checkpoint.

        Args:
            attempt: whose checkpoints they are.
            layout: of the run.
            keep: newest checkpoints that are kept.
            repeats: whether the same steps give the same bits here.
            beside: what is kept beside the checkpoints; None: nothing.
        """
        self._beside = beside
        self.checkpoints = CheckpointWriter(attempt, layout, keep)
        self.best = BestWeights()
        self._checkpoint, self._refused = adopt_newest(attempt, layout, self._goes_along)
        if self._checkpoint is None and beside is not None:
            beside.begin()
        self._layout_changed = False
        self._state: ReplicatedState | DeepSpeedState | FsdpState | None = None
        if self._checkpoint is not None:
            self._layout_changed = self._checkpoint.marker.layout != layout
            self.checkpoints.exact = (
                self._checkpoint.marker.exact and not self._layout_changed and repeats
            )

    def _goes_along(self, checkpoint: TrainingCheckpoint) -> bool:
        """Take over what was kept beside a checkpoint; False where it is not whole."""
        if self._beside is None:
            return True
        state = _read_description(checkpoint.path).get("beside", {})
        return self._beside.continue_from(state, checkpoint.attempt)

    @property
    def folder(self) -> Path | None:
        """The checkpoint that the run continues from; None from the beginning."""
        return None if self._checkpoint is None else self._checkpoint.path

    @property
    def step(self) -> int:
        """The step after which the run goes on."""
        return 0 if self._checkpoint is None else self._checkpoint.marker.step

    def facts(self) -> dict[str, object]:
        """Return where the run went on from, and whether that leaves every bit as it was."""
        from_start = self._checkpoint is None
        return {
            "resumed_from": None if from_start else self.step,
            "exact": self.checkpoints.exact,
            "layout_changed": self._layout_changed,
            **({"restarted_because": self._refused} if self._refused and from_start else {}),
        }

    def save(self, trainer: Trainer) -> None:
        """Take a checkpoint of the present state; it is written while training goes on."""
        # The copy reuses the memory of the one before.
        self.checkpoints.settle()
        files = {**self._state_of(trainer).take(trainer), **self._description_files(trainer)}
        if self.best.step != trainer.state.global_step:
            files |= self.best.files()
        self.checkpoints.save(trainer.state.global_step, files)

    def restore(self, trainer: Trainer) -> None:
        """Put everything but the generators back into a trainer that is ready to train."""
        folder = self.folder
        assert folder is not None
        self._state_of(trainer).restore(trainer, folder)
        description = _read_description(folder)
        trainer.lr_scheduler.load_state_dict(description["scheduler"])
        rates = trainer.lr_scheduler.get_last_lr()
        for group, rate in zip(trainer.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        best_step = description["best_step"]
        if best_step == self.step:
            self.best.keep(trainer, best_step)
        elif best_step is not None:
            self.best.load(trainer, folder, best_step)

    def restore_generators(self) -> None:
        """Put the random number generators back; the first batch has been fetched by then."""
        assert self.folder is not None
        restore_generators(_read_description(self.folder)["generators"])

    def _state_of(self, trainer: Trainer) -> ReplicatedState | DeepSpeedState | FsdpState:
        if self._state is None:
            if trainer.is_deepspeed_enabled:
                self._state = DeepSpeedState()
            else:
                self._state = FsdpState() if is_divided(trainer) else ReplicatedState()
        return self._state

    def _description_files(self, trainer: Trainer) -> Files:
        description: Description = {
            "best_step": self.best.step,
            "scheduler": trainer.lr_scheduler.state_dict(),
            "generators": read_generators(),
        }
        if self._beside is not None:
            description["beside"] = self._beside.state()
        files = {rank_file(".json"): partial(_write_text, json.dumps(description))}
        if ranks.is_first():
            files[_STATE] = partial(_write_text, json.dumps(asdict(trainer.state)))
        return files


def _read_description(folder: Path) -> Description:
    """Read what this rank wrote; what the first rank wrote, where there were fewer ranks then."""
    for rank in (ranks.rank(), 0):
        for path in folder.glob(f"rank-{rank}-of-*.json"):
            description: Description = json.loads(path.read_text(encoding="utf-8"))
            return description
    raise AssertionError(f"{folder} describes no rank")


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")
