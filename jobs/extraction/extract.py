"""One paired extraction from its inputs to its store: plan, check, floor, then unit after unit."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from cluster.errors import UserError
from jobs.extraction.activation_store import INDEX, PLAN
from jobs.extraction.activation_units import FOLDER, adopt_units, write_unit
from jobs.extraction.noise_floor import noise_floor
from jobs.extraction.pair import Inputs, offsets
from jobs.extraction.planning import Extraction, decide
from jobs.extraction.selftest import check_residual_stream
from jobs.extraction.unit_rows import UnitRows
from jobs.models.loading import load_model, pick_device
from jobs.tokens.batches import Unit, cut, padded, units
from jobs.tokens.positions import positions
from jobs.work import Stopped, Work

if TYPE_CHECKING:
    import numpy as np

    from jobs.kinds.extract import Params
    from jobs.tokens.plan import TokenPlan

_SELFTEST_PROMPTS = 4
_PUBLISH_EVERY_S = 2.0
_TRACK_EVERY_S = 10.0


def extract(work: Work) -> dict[str, Any]:
    """Write the store of one pair of models; return its facts.

    Raises:
        UserError: the models do not fit together, the sites do not add up, or rows are not finite.
        Stopped: asked to; finished units are kept for the next attempt.
    """
    extraction = decide(work)
    plan, params = extraction.plan, extraction.params
    planned = units(plan, params.unit_tokens)
    done = adopt_units(work.folder / FOLDER, work.attempt.earlier(FOLDER), planned, plan.hash)
    work.progress(None, "loading base and aligned")
    base, aligned = _models(work, extraction.dtype)
    floor: Mapping[str, Any] = {}
    if extraction.places:
        _check_sites(extraction, base, aligned)
        floor = noise_floor(
            base,
            plan,
            extraction.positions,
            extraction.places,
            params.noise_floor_prompts,
        )
    _run_units(work, extraction, (base, aligned), planned, done)
    index = _index(extraction, planned, floor)
    _write_index(work, index, plan)
    return {"model": dict(extraction.model), "store": index | {"floor": len(floor)}}


def _models(work: Work, dtype: Literal["float32", "bfloat16"]) -> tuple[Any, Any]:
    import torch

    # A warm worker may come from a training job; TF32 has 10 bits where δ needs 23.
    torch.set_float32_matmul_precision("highest")
    params: Params = work.params
    device = pick_device(params.num_gpus)
    base, aligned = (
        load_model(
            work.input(name).directory("model"),
            dtype=dtype,
            device=device,
            attention=params.attention,
        )
        for name in ("base", "aligned")
    )
    return base, aligned


def _check_sites(extraction: Extraction, base: Any, aligned: Any) -> None:
    first = extraction.plan.lengths.argsort(kind="stable")[:_SELFTEST_PROMPTS]
    every = positions(extraction.plan, ["all"], 0)
    inputs = Inputs(padded(extraction.plan, first, every), base.device)
    for name, model in (("base", base), ("aligned", aligned)):
        check_residual_stream(name, model, inputs, max(extraction.layers))


def _run_units(
    work: Work,
    extraction: Extraction,
    models: tuple[Any, Any],
    planned: Sequence[Unit],
    done: set[int],
) -> None:
    """Every unit that is not done: compute, write, and every few seconds publish."""
    to_do = [unit for unit in planned if unit.number not in done]
    total = sum(unit.num_tokens for unit in planned)
    finished = total - sum(unit.num_tokens for unit in to_do)
    waiting: list[Unit] = []
    started = published = tracked = time.monotonic()
    computed = 0
    for unit in to_do:
        if work.stop_requested:
            _publish(work, waiting)
            raise Stopped
        arrays, facts = _unit(extraction, models, unit)
        write_unit(
            work.folder / FOLDER,
            unit,
            extraction.plan.hash,
            arrays,
            facts,
            extraction.params.rows,
        )
        waiting.append(unit)
        computed += unit.num_tokens
        now = time.monotonic()
        # A sync costs 9 ms, a small unit 20: a kill leaves whole units behind without it too.
        if now - published >= _PUBLISH_EVERY_S:
            _publish(work, waiting)
            waiting, published = [], now
        share = (finished + computed) / total
        work.progress(share, f"unit {unit.number + 1} of {len(planned)}")
        if now - tracked >= _TRACK_EVERY_S or unit is to_do[-1]:
            speed = {"extract/tokens_per_s": computed / (now - started)}
            work.tracker.log(speed, axis="extract/tokens", step=finished + computed)
            tracked = now


def _publish(work: Work, finished: Sequence[Unit]) -> None:
    for unit in finished:
        work.attempt.publish(f"{FOLDER}/{unit.name}")


def _unit(
    extraction: Extraction, models: tuple[Any, Any], unit: Unit
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and facts of one unit, both models at a smaller budget where memory runs out.

    Raises UserError, naming the unit, when a row is not finite.
    """
    import torch

    budget = extraction.params.token_budget
    while True:
        try:
            rows = _forwarded(extraction, models, unit, budget)
            break
        except torch.OutOfMemoryError:
            if budget <= int(extraction.plan.lengths[unit.members].max()):
                raise
            budget //= 2
    arrays = rows.finish()
    for place, count in rows.num_nonfinite().items():
        raise UserError(
            f"{count} rows at {place} hold NaN or infinity",
            where=f"unit {unit.number} (group {unit.group}, {len(unit.members)} prompts)",
            hint="the aligned model may have diverged: look at its training_log.jsonl",
        )
    return arrays, {"token_budget": budget, "rows": rows.num_rows()}


def _forwarded(
    extraction: Extraction, models: tuple[Any, Any], unit: Unit, budget: int
) -> UnitRows:
    rows = UnitRows(extraction.plan, extraction.positions, extraction.with_moments)
    if not extraction.places:
        return rows
    for members in cut(extraction.plan, unit.members, budget):
        batch = padded(extraction.plan, members, extraction.positions)
        if len(batch.gathered):
            inputs = Inputs(batch, models[0].device)
            rows.add(batch, offsets(*models, inputs, extraction.places))
    return rows


def _index(
    extraction: Extraction, planned: Sequence[Unit], floor: Mapping[str, Any]
) -> dict[str, Any]:
    present = {position.policy for position in extraction.positions}
    return {
        "sites": list(dict.fromkeys(extraction.params.sites)),
        "layers": list(extraction.layers),
        "positions": [position.label for position in extraction.positions],
        "absent_positions": [each for each in extraction.policies if each not in present],
        "missing": dict(extraction.missing),
        "dtype": extraction.dtype,
        "token_plan": extraction.plan.hash,
        "num_prompts": len(extraction.plan.prompts),
        "num_tokens": len(extraction.plan.token_ids),
        "too_long": list(extraction.too_long),
        "num_units": len(planned),
        "floor": dict(floor),
    }


def _write_index(work: Work, index: Mapping[str, Any], plan: TokenPlan) -> None:
    from safetensors.numpy import save_file

    save_file(plan.to_arrays(), work.folder / PLAN)
    text = json.dumps(index, indent=1, sort_keys=True) + "\n"
    (work.folder / INDEX).write_text(text, encoding="utf-8")
