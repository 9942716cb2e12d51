"""What writing pairs will take of a GPU: the direction, and both continuations of every prompt."""

from jobs.forecast.gpu_job import GpuJob
from jobs.forecast.lengths import prompt_lengths
from jobs.forecast.passes import forward
from jobs.forecast.read_texts import Reading, most_tokens, total
from jobs.forecast.upstream_models import model_of
from jobs.generation.generated_pairs_params import GeneratedPairsParams
from jobs.kind import Forecast, Situation
from jobs.models.model_facts import compute_dtype
from jobs.text.planned import Planned
from jobs.text.prompt_lines import PromptLine


def forecast_writing(
    params: GeneratedPairsParams, at: Situation, planned: Planned[PromptLine]
) -> Forecast | None:
    """Forecast one direction and two continuations a prompt; None while the model is not known."""
    upstream = at.inputs.get("model")
    model = model_of(upstream)
    if model is None:
        return None
    dtype = compute_dtype(params.dtype, model.num_parameters)
    most = most_tokens(params.max_length, model)
    reading = Reading(
        model=model,
        dtype=dtype,
        attention=params.attention,
        lengths=prompt_lengths(planned, at.inputs.get("prompts"), upstream, most),
        token_budget=params.token_budget,
        most=most,
    )
    length = float(reading.longest) if reading.texts is None else reading.texts.mean
    tokens = 2 * params.num_examples * length
    passes = max(1.0, tokens / params.token_budget)
    examples = forward(model, dtype=dtype, tokens=tokens, length=length, passes=passes)
    sides = [reading.continued(params.new_tokens)] * 2
    return GpuJob(
        num_gpus=params.num_gpus,
        dtype=dtype,
        effort=total(examples, *sides),
        loaded_bytes=reading.least_bytes,
        memory=reading.memory(outputs=reading.batch / length, new_tokens=params.new_tokens),
        least_bytes=reading.least_bytes,
        why=reading.why(f"two continuations of {params.new_tokens} tokens"),
    ).on(at)
