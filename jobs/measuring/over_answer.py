"""Metrics over an answer: the param that names them, and the profiles of what a store keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import field_validator

from analysis.estimates.answer_metric import ANSWER_METRICS, Point, measure_profile, profile_of
from analysis.estimates.evaluation import missing
from analysis.measurement import Measurement
from analysis.status import Status
from cluster.errors import unknown_name
from jobs.params import Names, Params, added


class OverAnswerParams(Params):
    """Params of a kind that measures along answers."""

    over_answer: tuple[Annotated[str, Names(ANSWER_METRICS)], ...] = added(
        (),
        "Metrics over an answer, of what is measured from token to token of it: `half_depth`, the "
        "token at which half of what there was at the first is left.",
    )

    @field_validator("over_answer")
    @classmethod
    def _check_over_answer(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        stems = [name.replace("-", "_") for name in names]
        for name in stems:
            if name not in ANSWER_METRICS.names():
                raise unknown_name(
                    ANSWER_METRICS.what, name, ANSWER_METRICS.names(), where="over_answer"
                )
        return tuple(dict.fromkeys(stems))


Depths = Mapping[int, tuple[Measurement, Measurement]]
"""Depth -> a number there, and at the first token of the answers that reach it."""


def measure_over_answer(
    names: Sequence[str], quantity: str, depths: Depths, rows: Mapping[int, int]
) -> Iterator[Measurement]:
    """Yield the metrics over an answer of one quantity at one site and layer.

    Args:
        names: of the metrics.
        quantity: name of the number.
        depths: its measurements, with what each group leaves.
        rows: prompt group -> rows at the first token.
    """
    usable = {
        depth: (_point(here), _point(first))
        for depth, (here, first) in depths.items()
        if here.value is not None and first.value is not None
    }
    start = depths.get(0, (None, None))[0]
    for name in names:
        if start is None or 0 not in usable or start.below_floor:
            reason = "there are no rows at response-0" if start is None else str(start.reason)
            status = Status.NOT_RUN if start is None else start.status
            definition = ANSWER_METRICS.find(name).DEFINITION.format(quantity=quantity)
            yield missing(
                Measurement(metric=f"{name}_{quantity}", definition=definition), reason, status
            )
            continue
        counts = {depth: depths[depth][0].num_rows or 0 for depth in usable}
        profile = profile_of(quantity, usable, rows, counts)
        yield measure_profile(name, profile, Measurement(metric=quantity, definition=""))


def _point(measured: Measurement) -> Point:
    """Return the number, and what it is without each group; empty where there is no interval."""
    assert measured.value is not None
    left_out = measured.left_out or ()
    return measured.value, {n: value for n, value in enumerate(left_out) if value is not None}
