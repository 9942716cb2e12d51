"""`Health`: the faults that end a training run that is beyond hope, and the evidence they leave.

Diverged, GradientExploded, NothingLearned, EmptyLoader   UserError: a run repeats itself, to
                                                          the bit or to rounding, so trying again
                                                          cannot help
SilentLoader                                              SurroundingsError: trying again may help
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterable, Mapping
from statistics import median

import torch
from transformers import PreTrainedModel

from cluster.errors import DeltascaleError, SurroundingsError, UserError
from cluster.fault_classes import FaultClass
from jobs.training.trained_weights import local_part
from jobs.training.training_log import LOG
from jobs.worker import ranks
from jobs.worker.attempt_folder import AttemptFolder

EVIDENCE = "health.json"
"""What a fault leaves in the folder of the attempt."""

STUCK_AFTER_STEPS = 10
"""Steps in a row without a margin, or without a gradient, after which nothing is being learned."""
EXPLODED_FACTOR = 20.0
"""Norm of a gradient over its earlier level, from which it has exploded. Measured on models of 10^4
parameters: at most 8.4 in runs whose loss fell, at a rate 50 times too high; at least 22 in runs
whose loss rose without end."""
EXPLODED_STEPS = 3
"""Steps in a row with an exploded gradient; single batches have one in runs that recover."""
_WINDOW = 100
"""Steps over which the running median is taken."""
_NUM_KEPT = 20
"""Number of last rows that are kept as evidence."""
_FLOAT32_ROUNDING = 2.0**-23


class Diverged(UserError):
    """A loss, a gradient or a weight is NaN or infinite."""

    default_class = FaultClass.DIVERGED


class GradientExploded(UserError):
    """Gradients are far longer than they were, and the loss is above where it began."""

    default_class = FaultClass.DIVERGED


class NothingLearned(UserError):
    """The policy stays the reference, or no gradient reaches a weight."""

    default_class = FaultClass.DIVERGED


class EmptyLoader(UserError):
    """The data ended before the steps did."""


class SilentLoader(SurroundingsError):
    """The data gave nothing within the time it has."""

    default_class = FaultClass.HUNG


class Health:
    """The health of one run; every check raises the fault that it detects."""

    def __init__(self, attempt: AttemptFolder, *, beta: float | None = None) -> None:
        """Begin without a step.

        Args:
            attempt: where evidence is written.
            beta: factor between log-ratios and the margins in the log; None where the loss has no
                margins.
        """
        self._attempt = attempt
        self._beta = beta
        self._first: Mapping[str, float] | None = None
        self._last: deque[Mapping[str, float]] = deque(maxlen=_NUM_KEPT)
        self._calm: deque[float] = deque(maxlen=_WINDOW)
        self._num_stuck = 0
        self._num_exploded = 0

    def remember(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Take over the log of the run that is continued, unjudged."""
        for row in rows:
            self._take(row)

    def check(self, row: Mapping[str, float]) -> None:
        """Judge the row of a step.

        Raises:
            Diverged: a metric is NaN or infinite.
            GradientExploded: gradients have been far too long for several steps.
            NothingLearned: no margin, or no gradient, for several steps.
        """
        before = self._last[-1] if self._last else None
        level = self._level()
        self._take(row)
        step = int(row["step"])
        for name in ("loss", "grad_norm", "validation/loss"):
            if not math.isfinite(row.get(name, 0.0)):
                raise self._fault(
                    Diverged,
                    f"training diverged: {name} is {row[name]} at step {step}{_after(before)}",
                    "lower learning_rate or max_grad_norm, or add warmup_steps",
                )
        if self._num_exploded >= EXPLODED_STEPS:
            raise self._fault(
                GradientExploded,
                f"gradients exploded: norm {row['grad_norm']:.4g} at step {step}, more than "
                f"{EXPLODED_FACTOR:g} times the {level:.4g} before, for {EXPLODED_STEPS} steps, "
                f"and the loss went from {self._first_loss():.4g} to {row['loss']:.4g}",
                "lower learning_rate, or add warmup_steps",
            )
        if self._num_stuck >= STUCK_AFTER_STEPS:
            raise self._fault(
                NothingLearned,
                f"nothing is being learned: margin or gradient 0 in each of the "
                f"{STUCK_AFTER_STEPS} steps up to step {step}, where the loss is {row['loss']:.4g}",
                "are the chosen and rejected completions equal, is learning_rate too low to move "
                "a weight, or is the reference the policy itself?",
            )

    def check_batches(self, num_given: int, num_needed: int, step: int) -> None:
        """Require that a step has all its batches. Raises EmptyLoader."""
        if num_given < num_needed:
            raise self._fault(
                EmptyLoader,
                f"the data ended early: step {step} got {num_given} of its {num_needed} batches",
                "is anything left of the data after filtering?",
            )

    def silent(self, limit_s: float, step: int) -> DeltascaleError:
        """Return the fault of a loader that gave nothing for `limit_s`; the caller raises it."""
        return self._fault(
            SilentLoader,
            f"the data gave no batch for step {step} within {limit_s:g} s",
            "is the file system that holds it answering?",
            alone=True,
        )

    def check_weights(self, model: PreTrainedModel) -> None:
        """Require finite weights after the last step, which shows in no loss. All ranks call it.

        Raises:
            Diverged: on all ranks, whichever of them holds the weight.
        """
        mine = (
            name
            for name, weight in model.named_parameters()
            if not torch.isfinite(local_part(weight)).all()
        )
        names = [name for name in ranks.gathered(next(mine, None)) if name is not None]
        if names:
            raise self._fault(
                Diverged,
                f"training diverged: {names[0]} holds NaN or infinity after the last step",
                "lower learning_rate or max_grad_norm, or add warmup_steps",
            )

    def _take(self, row: Mapping[str, float]) -> None:
        self._first = self._first or row
        self._last.append(row)
        self._num_stuck = self._num_stuck + 1 if self._is_stuck(row) else 0
        norm = row.get("grad_norm")
        if norm is None or not math.isfinite(norm):
            return
        level = self._level()
        exploded = 0 < level * EXPLODED_FACTOR < norm and row["loss"] > self._first_loss()
        self._num_exploded = self._num_exploded + 1 if exploded else 0
        if not exploded:
            self._calm.append(norm)

    def _is_stuck(self, row: Mapping[str, float]) -> bool:
        """Return whether there is no margin beyond the rounding of its sums, or no gradient.

        Policy and reference were summed in other batches, so the margin of an unmoved policy is
        0 to rounding only (measured: 7e-8 at beta 0.1 and sums of 12 nats). A gradient of 0 with
        a loss of 0 is that of a hinge: all is learned.
        """
        if row.get("grad_norm") == 0.0 and row["loss"] != 0.0:
            return True
        if self._beta is None or "rewards/margins" not in row:
            return False
        sums = abs(row.get("logps/chosen", 0.0)) + abs(row.get("logps/rejected", 0.0))
        return abs(row["rewards/margins"]) <= self._beta * _FLOAT32_ROUNDING * sums

    def _level(self) -> float:
        """Return the level of the gradient's norm: at first, or lately, whichever is more.

        The first step counts because gradients vanish once all is learned, and one hard pair then
        stands out by any factor.
        """
        if self._first is None or not self._calm:
            return 0.0
        return max(self._first.get("grad_norm", 0.0), median(self._calm))

    def _first_loss(self) -> float:
        assert self._first is not None
        return self._first["loss"]

    def _fault(
        self, kind: type[DeltascaleError], error: str, hint: str, *, alone: bool = False
    ) -> DeltascaleError:
        """Write the evidence of a fault where it survives the attempt; return the fault.

        Args:
            kind: class of the fault.
            error: what is wrong.
            hint: what to do.
            alone: True for a fault of this rank only, which then writes; of a fault that every
                rank detects the first writes.
        """
        evidence = {
            "fault": kind.__name__,
            "error": error,
            "log": LOG,
            "last": [{name: _as_json(value) for name, value in row.items()} for row in self._last],
        }
        if alone or ranks.is_first():
            path = self._attempt.path / EVIDENCE
            path.write_text(json.dumps(evidence, indent=1) + "\n", encoding="utf-8")
            for name in (EVIDENCE, LOG):
                if (self._attempt.path / name).exists():
                    self._attempt.publish(name)
        return kind(error, where=f"{self._attempt.name}/{EVIDENCE}, {LOG} beside it", hint=hint)


def _after(row: Mapping[str, float] | None) -> str:
    if row is None:
        return ""
    return f", after loss {row['loss']:.4g} at step {int(row['step'])}"


def _as_json(value: float) -> float | str:
    """Return a finite value, or text for NaN and infinity, which JSON lacks."""
    return value if math.isfinite(value) else repr(value)
