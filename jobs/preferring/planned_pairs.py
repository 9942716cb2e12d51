"""Which pairs will count, known before a job runs: from the plan's jobs behind both models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from cluster.errors import UserError
from jobs.kind import KINDS, Upstream
from jobs.preferring.preferences_params import Params
from jobs.provenance import Model
from jobs.text.planned import Planned
from jobs.text.reading import Pair
from jobs.text.split import Split, SplitParams
from jobs.training.objective import OBJECTIVES

_AS_TRAINED = ("template", "end_of_text", "max_length")
"""Params that make other tokens of a pair than training saw, where they differ."""


def notes_on_held_out(
    params: Params, inputs: Mapping[str, Upstream], planned: Planned[Pair]
) -> Sequence[str]:
    """Say where pairs are read as other tokens than training saw.

    Raises:
        UserError: none of the study's own pairs is held out.
    """
    pairs, notes = inputs.get("pairs"), []
    runs = [run for name in ("aligned", "base") for run in _runs(inputs.get(name))]
    own = [run for run in runs if pairs is not None and _is_same(run.inputs.get("pairs"), pairs)]
    if pairs is not None and own:
        used = {Split.TRAIN.value}
        if any(run.params.get("early_stopping") for run in own):
            used.add(Split.VALIDATION.value)
        counted = _counted(planned, pairs)
        offered = sum(counted.get(split, 0) for split in params.splits)
        left = sum(counted.get(split, 0) for split in {*params.splits} - used)
        if counted and not left:
            raise none_held_out(sum(counted.values()), offered, params.splits, where="pairs")
    for run in own[:1]:
        written = params.model_dump()
        for name in _AS_TRAINED:
            there = run.params.get(name, False if name == "end_of_text" else None)
            if there != written[name]:
                notes.append(
                    f"{name} is {written[name]!r} here and was {there!r} in training: pairs are "
                    "read as other tokens than the model was trained on"
                )
    return notes


def none_held_out(
    num_pairs: int, num_offered: int, splits: Sequence[str], *, where: str
) -> UserError:
    """Return the fault that no pair may count."""
    wanted = " or ".join(splits)
    if not num_offered:
        return UserError(
            f"none of the {num_pairs} pairs is of the split {wanted}",
            where=where,
            hint="give the stage of the pairs a validation_fraction or a test_fraction; of a set "
            "that no model was trained on, `splits: [train, validation, test]` takes all",
        )
    return UserError(
        f"all {num_offered} pairs of the split {wanted} went into one of the models: it was "
        "trained on them, or early stopping chose its weights by them",
        where=where,
        hint="give the stage of the pairs a test_fraction, or measure on another set",
    )


def share_held_out(params: Params, pairs: Upstream | None) -> float:
    """Return the share of a set that the splits of a job are, as far as its params say."""
    given = {} if pairs is None else pairs.params
    validation, test = (
        float(given.get(name, 0.0)) for name in ("validation_fraction", "test_fraction")
    )
    shares = {"validation": validation, "test": test, "train": 1.0 - validation - test}
    return sum(shares[split] for split in {*params.splits})


def _runs(model: Upstream | None) -> Iterator[Upstream]:
    """Yield the jobs behind a model that trained it on pairs, the last first."""
    if model is None:
        return
    objective = OBJECTIVES.get(str(model.params.get("objective")))
    if "pairs" in model.inputs and (objective is None or objective.TRAINS):
        yield model
    for upstream in model.inputs.values():
        kind = KINDS.get(upstream.kind)
        if kind is not None and isinstance(kind.LEAVES, Model):
            yield from _runs(upstream)


def _is_same(pairs: Upstream | None, others: Upstream) -> bool:
    return pairs is not None and (pairs.kind, pairs.params) == (others.kind, others.params)


def _counted(planned: Planned[Pair], pairs: Upstream) -> Mapping[str, int]:
    """Return split -> number of pairs; empty where they are not known yet."""
    names = SplitParams.model_fields
    given = {name: value for name, value in pairs.params.items() if name in names}
    return _counted_by(planned, SplitParams(**given))


@lru_cache(maxsize=64)
def _counted_by(planned: Planned[Pair], splits: SplitParams) -> Mapping[str, int]:
    counted: dict[str, int] = {}
    for pair in planned.read():
        split = splits.split_of(pair.prompt).value
        counted[split] = counted.get(split, 0) + 1
    return counted
