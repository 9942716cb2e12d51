"""`Continuation`: how a run that was killed goes on as if it had not been.

It brings back weights, moments, schedule, the log and all random number generators; the place in
the data follows from the step. What the record says of it is here too.
"""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from jobs.training.layout import Layout
from jobs.training.resume.adoption import adopt_newest
from jobs.training.resume.best import BestWeights
from jobs.training.resume.checkpointing import Checkpointing
from jobs.training.resume.checkpoints import Files
from jobs.training.resume.random_state import generators, restore_generators
from jobs.training.resume.shards import Sharded
from jobs.training.resume.snapshot import Replicated
from jobs.training.resume.tensor_shards import Divided, is_divided
from jobs.worker import ranks
from jobs.worker.work import AttemptFolder

_STATE = "trainer_state.json"
"""The Trainer's own: steps done and the log so far. It looks for it under this name."""


class Continuation:
    """The checkpoints of one run, taken and taken up."""

    def __init__(self, attempt: AttemptFolder, layout: Layout, keep: int) -> None:
        self.checkpointing = Checkpointing(attempt, layout, keep)
        self.best = BestWeights()
        self._adopted = adopt_newest(attempt, layout)
        self._held: Replicated | Sharded | Divided | None = None
        found = self._adopted.checkpoint
        if found is not None:
            self._layout_changed = found.marker.layout != layout
            self.checkpointing.exact = found.marker.exact and not self._layout_changed

    @property
    def folder(self) -> Path | None:
        """The checkpoint that it goes on from; None from the beginning."""
        found = self._adopted.checkpoint
        return None if found is None else found.path

    @property
    def step(self) -> int:
        """The step that it goes on after."""
        found = self._adopted.checkpoint
        return 0 if found is None else found.marker.step

    def facts(self) -> dict[str, Any]:
        """For the record: where it went on from, and whether that leaves every bit as it was."""
        found = self._adopted.checkpoint
        refused = self._adopted.refused
        return {
            "resumed_from": None if found is None else self.step,
            "exact": self.checkpointing.exact,
            "layout_changed": found is not None and self._layout_changed,
            **({"restarted_because": refused} if refused and found is None else {}),
        }

    def save(self, trainer: Any) -> None:
        """Take a checkpoint of what is, now; it is written while training goes on."""
        # The copy stands in the memory of the one before.
        self.checkpointing.settle()
        files = {**self._state_of(trainer).take(trainer), **self._described(trainer)}
        if self.best.step != trainer.state.global_step:
            files |= self.best.files()
        self.checkpointing.save(trainer.state.global_step, files)

    def restore(self, trainer: Any) -> None:
        """Put everything but the generators back into a trainer that is ready to train."""
        folder = self.folder
        assert folder is not None
        self._state_of(trainer).restore(trainer, folder)
        described = _read_description(folder)
        trainer.lr_scheduler.load_state_dict(described["scheduler"])
        rates = trainer.lr_scheduler.get_last_lr()
        for group, rate in zip(trainer.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        best_step = described["best_step"]
        if best_step == self.step:
            self.best.keep(trainer, best_step)
        elif best_step is not None:
            self.best.load(trainer, folder, best_step)

    def restore_generators(self) -> None:
        """Put the random number generators back; the first batch has been fetched by then."""
        assert self.folder is not None
        restore_generators(_read_description(self.folder)["generators"])

    def _state_of(self, trainer: Any) -> Replicated | Sharded | Divided:
        if self._held is None:
            if trainer.is_deepspeed_enabled:
                self._held = Sharded()
            else:
                self._held = Divided() if is_divided(trainer) else Replicated()
        return self._held

    def _described(self, trainer: Any) -> Files:
        description = {
            "best_step": self.best.step,
            "scheduler": trainer.lr_scheduler.state_dict(),
            "generators": generators(),
        }
        files = {_description(ranks.rank(), ranks.num_ranks()): _writer(description)}
        if ranks.is_first():
            files[_STATE] = _writer(asdict(trainer.state))
        return files


def _description(rank: int, num_ranks: int) -> str:
    return f"rank-{rank}-of-{num_ranks}.json"


def _read_description(folder: Path) -> dict[str, Any]:
    """What this rank wrote; what the first did, where there were fewer then."""
    for rank in (ranks.rank(), 0):
        for path in folder.glob(f"rank-{rank}-of-*.json"):
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return found
    raise AssertionError(f"{folder} says nothing of any rank")


def _writer(value: Any) -> Any:
    """What writes it, as it is now, to a file."""
    return partial(_write_text, json.dumps(value))


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")
