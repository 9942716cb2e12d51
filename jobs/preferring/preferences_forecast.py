"""What measuring preferences will take of a GPU."""

from collections.abc import Sequence
from dataclasses import replace

from jobs.forecast.effort import Effort
from jobs.forecast.gpu_job import GpuJob
from jobs.forecast.lengths import pair_lengths
from jobs.forecast.read_texts import Reading, most_tokens, resident, total
from jobs.forecast.upstream_models import model_of
from jobs.kind import Forecast, Situation
from jobs.models.model_facts import compute_dtype
from jobs.preferring.planned_pairs import share_held_out
from jobs.preferring.preferences_params import Params
from jobs.text.planned import Planned
from jobs.text.reading import Pair
from jobs.training.planning.training_fit import UNKNOWN_LENGTH


def forecast_preferences(params: Params, at: Situation, planned: Planned[Pair]) -> Forecast | None:
    """Forecast both models' passes and continuations; None while nothing says which model it is."""
    base = at.inputs.get("base")
    model = model_of(base)
    if model is None:
        return None
    most = most_tokens(params.max_length, model)
    pairs = at.inputs.get("pairs")
    lengths = pair_lengths(planned, pairs, base, most)
    if params.max_length is None:
        # As for `reference`: all positions of a model are no length of texts.
        is_sampled = lengths is not None and lengths.whence != "at most"
        sampled = lengths.longest if is_sampled and lengths is not None else 0
        most = min(most, max(UNKNOWN_LENGTH, sampled))
        lengths = lengths and lengths.cut(most)
    if lengths is not None:
        count = round(lengths.count * share_held_out(params, pairs))
        bound = count if params.max_pairs is None else 2 * params.max_pairs
        lengths = replace(lengths, count=max(2, min(count, bound)))
    reading = Reading(
        model=model,
        dtype=compute_dtype(params.dtype, model.num_parameters),
        attention=params.attention,
        lengths=lengths,
        token_budget=params.token_budget,
        most=most,
    )
    held, loaded = resident(at, reading, params.num_gpus)
    continues = {"kl_per_token", "on_policy_chosen"} & {*params.metrics}
    return GpuJob(
        num_gpus=params.num_gpus,
        dtype=reading.dtype,
        effort=total(*_efforts(params, reading)),
        loaded_bytes=loaded * reading.least_bytes,
        memory=reading.memory(
            outputs=reading.batch,
            models=held,
            new_tokens=params.new_tokens if continues else 0,
        ),
        least_bytes=reading.least_bytes,
        why=reading.why(", ".join(params.metrics)),
    ).on(at)


def _efforts(params: Params, reading: Reading) -> Sequence[Effort | None]:
    """Count passes over both sides of pairs, and over a continuation of every prompt."""
    metrics = {*params.metrics}
    efforts: list[Effort | None] = []
    if params.scores_pairs:
        efforts.append(reading.pass_over(2.0, outputs_each=None))
    elif metrics & {"base_margin", "on_policy_chosen"}:
        efforts.append(reading.pass_over(1.0, outputs_each=None))
    # A pair counts as two texts, and is continued once.
    continued = reading.continued(params.new_tokens)
    half = None if continued is None else continued.times(0.5)
    if "kl_per_token" in metrics:
        # Both models read them, and both give the logits of every output twice.
        efforts += [half, reading.pass_over(1.0, outputs_each=2.0 * params.new_tokens)]
    if "on_policy_chosen" in metrics:
        efforts += [half, reading.pass_over(0.5, outputs_each=None)]
    return efforts
