"""What fitting a probe will take of a GPU: one pass over the texts; the rest is small."""

from dataclasses import replace

from jobs.forecast.effort import Effort
from jobs.forecast.gpu_job import GpuJob
from jobs.forecast.lengths import Lengths, pair_lengths
from jobs.forecast.read_texts import Reading, most_tokens, total
from jobs.forecast.upstream_models import model_of
from jobs.kind import Forecast, Situation
from jobs.models.model_facts import compute_dtype
from jobs.probing.probe_direction_params import Params
from jobs.text.planned import Planned
from jobs.text.reading import Pair


def forecast_probe(params: Params, at: Situation, planned: Planned[Pair]) -> Forecast | None:
    """Forecast the pass and the search among value vectors; None while the model is not known."""
    upstream = at.inputs.get("model")
    model = model_of(upstream)
    if model is None:
        return None
    shape, dtype = model.shape, compute_dtype(params.dtype, model.num_parameters)
    most = most_tokens(params.max_length, model)
    if params.learned_from == "pairs":
        lengths = pair_lengths(planned, at.inputs.get("pairs"), upstream, most)
    else:
        lengths = _of_labelled(params, at, most)
    if lengths is not None and params.max_texts is not None:
        lengths = replace(lengths, count=min(lengths.count, params.max_texts))
    reading = Reading(
        model=model,
        dtype=dtype,
        attention=params.attention,
        lengths=lengths,
        token_budget=params.token_budget,
        most=most,
    )
    neurons = shape.num_layers * shape.d_mlp * shape.d_model
    return GpuJob(
        num_gpus=params.num_gpus,
        dtype=dtype,
        effort=total(reading.pass_over(), Effort(single_flops=2.0 * neurons)),
        loaded_bytes=reading.least_bytes,
        memory=reading.memory(outputs=0),
        least_bytes=reading.least_bytes,
        why=reading.why("one pass"),
    ).on(at)


def _of_labelled(params: Params, at: Situation, most: int) -> Lengths | None:
    """Return a bound for labelled texts, which a plan does not read."""
    texts = at.inputs.get("texts")
    facts, given = (texts.facts or {}, texts.params) if texts else ({}, {})
    count = facts.get("num_texts") or given.get("max_texts") or params.max_texts
    return Lengths(count=int(count), sample=(most,), whence="at most") if count else None
