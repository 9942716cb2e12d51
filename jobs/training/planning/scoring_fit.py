"""On how many GPUs pairs are to be scored, and how many rows at a time, on the machines at hand."""

import math
from collections.abc import Sequence
from dataclasses import replace

from cluster.machine.resources import Resources
from jobs.forecast.effort import Effort
from jobs.forecast.gpu_job import CONTEXT_GB, USABLE, GpuJob
from jobs.forecast.lengths import Lengths
from jobs.forecast.passes import forward, uses_math_kernel, vector_bytes
from jobs.forecast.upstream_models import config_of
from jobs.kind import Fit, Situation
from jobs.models.sizes import ModelSizes
from jobs.text.planned import Planned
from jobs.text.reading import Pair
from jobs.training.layout import Layout
from jobs.training.planning.correction import GB, ON_PROCESSOR_GB
from jobs.training.planning.footprint import HALF, SINGLE
from jobs.training.planning.placement import (
    described,
    gpu_of,
    have_gpus,
    lacking,
    of_most,
    usable_gb,
)
from jobs.training.planning.training_fit import UNKNOWN_LENGTH, sequence_lengths
from jobs.training.reference_params import Params

_ROWS = (16, 8, 4, 2, 1)
"""Sequences of a forward pass; more would be no faster."""


def fit_scoring(params: Params, at: Situation, planned: Planned[Pair] | None = None) -> Fit:
    """Choose the fewest GPUs of one node, and on them the most rows, that are expected to fit.

    A run halves its rows by itself, so a job that ran out of memory is tried again on more GPUs.
    Hours are those of the sequences of `planned`, where a source of data has them.
    """
    inputs, machines = at.inputs, at.machines
    config = config_of(inputs.get("model"))
    model = None if config is None else ModelSizes.of(config)
    longest, lengths = sequence_lengths(
        params, at, planned, UNKNOWN_LENGTH if model is None else model.shape.max_positions
    )
    after = max((int(layout.get("num_gpus") or 0) for layout in at.tried), default=-1)
    for gpus in _counts(params.num_gpus, machines):
        for rows in [params.micro_batch] if params.micro_batch else _ROWS:
            place = Layout(engine="one model", num_gpus=gpus, micro_batch=rows)
            peak_gb = None if model is None else _peak_gb(params, longest, model, place)
            most = usable_gb(place, machines)
            held = not machines or not gpus or have_gpus(place, machines)
            if gpus > after and held and (peak_gb is None or most is None or peak_gb <= most):
                fit = _fit(params, place, peak_gb, of_most(place, machines))
                if model is None:
                    return fit
                why = f"{model.num_parameters / 1e9:.2f} B weights as {fit.why}"
                return _timed(replace(fit, why=why), params, at, model, place, lengths)
    exhausted = "every layout was tried and ran out of memory"
    last = replace(_fit(params, place, peak_gb, ""), execution={})
    return replace(last, refusal=exhausted if at.tried else lacking(place, machines, peak_gb))


def _timed(
    fit: Fit,
    params: Params,
    at: Situation,
    model: ModelSizes,
    place: Layout,
    lengths: Lengths | None,
) -> Fit:
    """Add the hours of a pass over all sequences, on GPUs of a known speed."""
    gpu = gpu_of(place, at.machines)
    if gpu is None or lengths is None:
        return fit
    rows = place.micro_batch
    tokens = lengths.count * lengths.padded(rows)
    scored = forward(
        model,
        dtype=params.dtype,
        tokens=tokens,
        length=lengths.padded(rows),
        passes=math.ceil(lengths.count / rows),
        outputs=tokens,
        math_attention=uses_math_kernel(model, params.dtype, params.attention),
    )
    # Weights are held in float32: every pass casts them.
    cast = 0 if params.dtype == "float32" else (SINGLE + HALF) * model.num_inside
    scored += Effort(moved_bytes=cast * lengths.count / rows)
    job = GpuJob(
        num_gpus=place.num_gpus,
        dtype=params.dtype,
        effort=scored,
        loaded_bytes=SINGLE * model.num_parameters,
        memory={},
        least_bytes=0,
        why="",
    )
    hours = job.on(at).hours
    texts = f"{lengths.count:,} sequences of {lengths.mean:.0f} tokens ({lengths.whence})"
    return replace(
        fit,
        hours=hours,
        why=f"{fit.why}, {texts}",
    )


def _fit(params: Params, place: Layout, peak_gb: float | None, of_gpu: str) -> Fit:
    size = "its size is not known yet" if peak_gb is None else f"{peak_gb:.3g} GB{of_gpu}"
    num_gpus = place.num_gpus if params.num_gpus is None else params.num_gpus
    return Fit(
        resources=_resources(params, num_gpus, peak_gb),
        execution={"num_gpus": num_gpus, "micro_batch": place.micro_batch},
        peak_memory_gb=peak_gb,
        why=f"{described(place)}: {size}",
    )


def _counts(given: float | None, machines: Sequence[Resources]) -> list[int]:
    """Return numbers of GPUs to try, fewest first; a part of one GPU counts as one."""
    if given is not None:
        return [math.ceil(given)]
    most = int(max((node.num_gpus for node in machines), default=0))
    return list(range(1, most + 1)) or [0]


def _peak_gb(params: Params, length: int, model: ModelSizes, place: Layout) -> float:
    """Return memory of the fullest GPU: blocks in fp32, 16-bit copies, a pass, all its logits."""
    shape, parts = model.shape, max(1, place.num_gpus)
    tokens = place.micro_batch * length
    wide = SINGLE if params.dtype == "float32" else HALF
    share = math.ceil(shape.num_layers / parts) / shape.num_layers
    held = (SINGLE + (0 if wide == SINGLE else HALF)) * model.num_inside * share
    held += SINGLE * (model.num_parameters - model.num_inside)
    scores = SINGLE * tokens * shape.num_heads * length * 2 if params.attention == "eager" else 0
    working = vector_bytes(model, tokens=tokens, wide=SINGLE) + scores
    logits = (wide * tokens + 2 * SINGLE * length) * shape.vocab_size
    base_gb = 0.0 if place.num_gpus else ON_PROCESSOR_GB
    return round((held + working + logits) / GB + base_gb, 3)


def _resources(params: Params, num_gpus: float, peak_gb: float | None) -> Resources:
    given = Resources(num_cpus=params.num_cpus, memory_gb=params.memory_gb, num_gpus=num_gpus)
    if peak_gb is None:
        return given
    if num_gpus:
        return replace(given, gpu_memory_gb=round(peak_gb / USABLE + CONTEXT_GB, 1))
    return replace(given, memory_gb=max(params.memory_gb, round(peak_gb, 1)))
