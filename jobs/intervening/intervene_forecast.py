"""What an intervention will take of a GPU: a measurement for every dose and control."""

from jobs.behaviour.behave_forecast import behaviour, memory_of, reading_of
from jobs.forecast.gpu_job import GpuJob
from jobs.intervening.intervene_params import InterveneParams
from jobs.kind import Forecast, Situation
from jobs.text.planned import Planned
from jobs.text.prompt_lines import PromptLine


def forecast_intervention(
    params: InterveneParams, at: Situation, planned: Planned[PromptLine]
) -> Forecast | None:
    """Forecast both models unchanged, and the subject at every dose beside its controls."""
    reading = reading_of(params, at, planned, params.subject or "aligned")
    if reading is None:
        return None
    times = params.num_passes
    once = behaviour(params, reading, at.inputs.get(params.toxic_words))
    return GpuJob(
        num_gpus=params.num_gpus,
        dtype=reading.dtype,
        effort=None if once is None else once.times(times),
        loaded_bytes=2 * reading.least_bytes,
        memory=memory_of(params, reading),
        least_bytes=reading.least_bytes,
        why=f"{reading.why(', '.join(params.metrics))}, {times} times",
    ).on(at)
