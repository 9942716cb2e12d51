"""What comparing two models' predictions will take of a GPU."""

from jobs.forecast.effort import Effort
from jobs.forecast.gpu_job import GpuJob
from jobs.forecast.read_texts import reading_of_prompts, resident, total
from jobs.kind import Forecast, Situation
from jobs.predicting.predictions_params import Params
from jobs.text.planned import Planned
from jobs.text.prompt_lines import PromptLine


def forecast_predictions(
    params: Params, at: Situation, planned: Planned[PromptLine]
) -> Forecast | None:
    """Forecast the lens and the divergences; None while nothing says which model it is."""
    reading = reading_of_prompts(params, at, planned, "base")
    if reading is None:
        return None
    held, loaded = resident(at, reading, params.num_gpus)
    shape = reading.model.shape
    efforts: list[Effort | None] = []
    layers = shape.num_layers if params.layers == "all" else len(params.layers)
    if "logit_lens" in params.metrics:
        shown = layers * len(params.sites)
        efforts.append(reading.pass_over(2.0))
        head = 2.0 * shape.vocab_size * shape.d_model
        texts = None if reading.texts is None else reading.texts.count
        efforts.append(None if texts is None else Effort(flops=2 * texts * shown * head))
    if "token_kl" in params.metrics:
        efforts.append(reading.pass_over(2.0, outputs_each=float(params.num_positions)))
        efforts.append(reading.continued(params.num_positions))
    a_text = reading.texts.mean if reading.texts else 1.0
    outputs = min(reading.batch, params.num_positions * reading.batch / a_text)
    return GpuJob(
        num_gpus=params.num_gpus,
        dtype=reading.dtype,
        effort=total(*efforts),
        loaded_bytes=loaded * reading.least_bytes,
        memory=reading.memory(outputs=2 * outputs, models=held),
        least_bytes=reading.least_bytes,
        why=reading.why(", ".join(params.metrics)),
    ).on(at)
