"""What an extraction will take of a GPU."""

import math

from analysis.measurement import NUM_GROUPS
from jobs.extraction.extract_params import Params
from jobs.extraction.extraction_plan import choose_layers
from jobs.forecast.effort import Effort
from jobs.forecast.gpu_job import GpuJob
from jobs.forecast.passes import forward
from jobs.forecast.read_texts import Reading, reading_of_prompts, resident, total
from jobs.kind import Forecast, Situation
from jobs.models.family import NEURON_SITES
from jobs.text.planned import Planned
from jobs.text.prompt_lines import PromptLine
from jobs.tokens.position_policy import DEFAULT, expanded, has_one_row

_PRODUCTS = 1.2
"""Operations of a row's outer product per number of d x d: the upper blocks alone."""
_MOMENT = 8
"""Bytes of a number of the moments."""
_COPIES, _MIRRORED = 2, 3
"""Times that moments are held: those of a unit leave for the host while the next one's are summed;
and matrices beside them while one is mirrored."""


def forecast_extraction(
    params: Params, at: Situation, planned: Planned[PromptLine]
) -> Forecast | None:
    """Forecast passes of both models, the moments, and what is written; None without a model."""
    reading = reading_of_prompts(params, at, planned, "base")
    if reading is None:
        return None
    held, loaded = resident(at, reading, params.num_gpus)
    if params.pairing == "sequential":
        held = 1
    summaries, parts = _summaries(params, at, reading)
    return GpuJob(
        num_gpus=params.num_gpus,
        dtype=reading.dtype,
        effort=total(reading.pass_over(2.0), _noise_floor(params, reading), summaries),
        loaded_bytes=loaded * reading.least_bytes,
        memory={**reading.memory(outputs=0, models=held), **parts},
        least_bytes=reading.least_bytes,
        why=reading.why("both models" if held == 2 else "one model at a time"),
    ).on(at)


def _noise_floor(params: Params, reading: Reading) -> Effort:
    """Count the base's passes over a few prompts, in other batches."""
    length = float(reading.longest) if reading.texts is None else reading.texts.mean
    tokens = params.noise_floor_prompts * length
    return forward(reading.model, dtype=reading.dtype, tokens=tokens, length=length, passes=2)


def _summaries(
    params: Params, at: Situation, reading: Reading
) -> tuple[Effort | None, dict[str, float]]:
    """Return (effort of rows and moments, their bytes by part)."""
    shape, size = reading.model.shape, 4
    layers = choose_layers(params.layers, params.depths, shape.num_layers)
    neurons = sum(site in NEURON_SITES for site in params.sites)
    streams = len(params.sites) - neurons
    widths = len(layers) * (streams * shape.d_model + neurons * shape.d_mlp)
    prompts = at.inputs.get("prompts")
    given = (prompts.facts or prompts.params).get("positions") if prompts else None
    policies = expanded(params.positions or given or DEFAULT)
    lengths = reading.texts
    a_prompt = lengths.mean if lengths else float(reading.longest)
    rows_held = sum(
        reading.batch / (a_prompt if has_one_row(policy) else 1.0) for policy in policies
    )
    parts = {"rows": 3 * size * rows_held * widths}
    if lengths is None:
        return None, {} if reading.most > reading.token_budget else parts
    square = len(layers) * streams * shape.d_model**2
    effort = Effort()
    for policy in policies:
        rows = lengths.count if has_one_row(policy) else lengths.total
        effort += Effort(moved_bytes=4 * size * rows * widths)
        if policy in expanded(params.moments_positions) and rows >= NUM_GROUPS * shape.d_model:
            units = max(NUM_GROUPS, math.ceil(lengths.total / params.unit_tokens))
            effort += Effort(
                single_flops=_PRODUCTS * rows * square,
                moved_bytes=2 * _MOMENT * units * square,
                stored_bytes=_MOMENT * units * square,
            )
            parts["moments"] = parts.get("moments", 0.0) + _COPIES * _MOMENT * square
    if "moments" in parts:
        parts["moments"] += _MIRRORED * _MOMENT * shape.d_model**2
    return effort, parts
