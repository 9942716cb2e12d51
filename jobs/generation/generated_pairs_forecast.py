"""What writing pairs will take of a GPU: the direction, and both continuations of every prompt."""

from jobs.forecast.gpu_job import GpuJob
from jobs.forecast.passes import forward
from jobs.forecast.read_texts import reading_of_prompts, total
from jobs.generation.generated_pairs_params import GeneratedPairsParams
from jobs.kind import Forecast, Situation
from jobs.text.planned import Planned
from jobs.text.prompt_lines import PromptLine


def forecast_writing(
    params: GeneratedPairsParams, at: Situation, planned: Planned[PromptLine]
) -> Forecast | None:
    """Forecast one direction and two continuations a prompt; None while the model is not known."""
    reading = reading_of_prompts(params, at, planned, "model")
    if reading is None:
        return None
    length = float(reading.longest) if reading.texts is None else reading.texts.mean
    tokens = 2 * params.num_examples * length
    passes = max(1.0, tokens / params.token_budget)
    examples = forward(
        reading.model, dtype=reading.dtype, tokens=tokens, length=length, passes=passes
    )
    sides = [reading.continued(params.new_tokens)] * 2
    return GpuJob(
        num_gpus=params.num_gpus,
        dtype=reading.dtype,
        effort=total(examples, *sides),
        loaded_bytes=reading.least_bytes,
        memory=reading.memory(outputs=reading.batch / length, new_tokens=params.new_tokens),
        least_bytes=reading.least_bytes,
        why=reading.why(f"two continuations of {params.new_tokens} tokens"),
    ).on(at)
