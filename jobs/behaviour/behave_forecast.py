"""What measuring a model's behaviour will take of a GPU."""

from jobs.behaviour.planned_words import extra_tokens
from jobs.behaviour.scored_params import JUDGED, WINDOW, WINDOW_PERPLEXITY, LocalModelParams
from jobs.forecast.effort import Effort
from jobs.forecast.gpu_job import GpuJob
from jobs.forecast.lengths import prompt_lengths
from jobs.forecast.read_texts import Reading, most_tokens, total
from jobs.forecast.upstream_models import model_of
from jobs.kind import Forecast, Situation, Upstream
from jobs.models.model_facts import compute_dtype
from jobs.text.planned import Planned
from jobs.text.prompt_lines import PromptLine

_CONTINUED = frozenset({*JUDGED, "token_f1", "word_f1"})
"""Metrics of continuations, which are decoded once for all of them."""


def reading_of(
    params: LocalModelParams, at: Situation, planned: Planned[PromptLine], model_input: str
) -> Reading | None:
    """Return how prompts are read; None while nothing says which model reads them."""
    upstream = at.inputs.get(model_input)
    model = model_of(upstream)
    if model is None:
        return None
    most = most_tokens(params.max_length, model)
    if WINDOW_PERPLEXITY in params.metrics:
        most = min(most, params.max_length or WINDOW)
    lengths = prompt_lengths(planned, at.inputs.get("prompts"), upstream, most)
    return Reading(
        model=model,
        dtype=compute_dtype(params.dtype, model.num_parameters),
        attention=params.attention,
        lengths=lengths,
        token_budget=params.token_budget,
        most=most,
    )


def behaviour(params: LocalModelParams, reading: Reading, words: Upstream | None) -> Effort | None:
    """Count the passes of one measurement of all metrics; `words` is where the words come from."""
    efforts: list[Effort | None] = []
    for metric in params.metrics:
        if metric == "toxic_mass" and reading.texts is not None:
            extra = extra_tokens(params, words)
            followed = 1 + extra / reading.texts.mean
            efforts.append(reading.pass_over(followed, outputs_each=(1 + extra) / followed))
        elif metric in ("toxic_mass", "perplexity", WINDOW_PERPLEXITY):
            efforts.append(reading.pass_over(outputs_each=None))
        elif metric == "decode_loss":
            efforts.append(reading.pass_over(3.0, outputs_each=None))
    if _CONTINUED & set(params.metrics):
        efforts.append(reading.continued(params.new_tokens))
    return total(*efforts)


def forecast_behaviour(
    params: LocalModelParams, at: Situation, planned: Planned[PromptLine]
) -> Forecast | None:
    """Forecast one measurement of one model; None while nothing says which model it is."""
    reading = reading_of(params, at, planned, "model")
    if reading is None:
        return None
    return GpuJob(
        num_gpus=params.num_gpus,
        dtype=reading.dtype,
        effort=behaviour(params, reading, at.inputs.get(params.toxic_words)),
        loaded_bytes=reading.least_bytes,
        memory=memory_of(params, reading),
        least_bytes=reading.least_bytes,
        why=reading.why(", ".join(params.metrics)),
    ).on(at)


def memory_of(params: LocalModelParams, reading: Reading) -> dict[str, float]:
    """Return the bytes of a batch by part: its logits where they are read, caches where decoded."""
    decoded = params.new_tokens if _CONTINUED & set(params.metrics) else 0
    reads_all = set(params.metrics) - _CONTINUED
    return reading.memory(outputs=reading.batch if reads_all else 1.0, new_tokens=decoded)
