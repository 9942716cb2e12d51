"""What comparing two models' predictions will take of a GPU."""

from jobs.forecast.effort import Effort
from jobs.forecast.gpu_job import GpuJob, nodes_with, smallest_gpu_gb
from jobs.forecast.lengths import prompt_lengths
from jobs.forecast.passes import weight_bytes
from jobs.forecast.read_texts import Reading, most_tokens, resident, total
from jobs.forecast.upstream_models import model_of
from jobs.kind import Forecast, Situation
from jobs.models.model_facts import compute_dtype
from jobs.predicting.predictions_params import Params
from jobs.text.planned import Planned
from jobs.text.prompt_lines import PromptLine


def forecast_predictions(
    params: Params, at: Situation, planned: Planned[PromptLine]
) -> Forecast | None:
    """Forecast the lens and the divergences; None while nothing says which model it is."""
    model = model_of(at.inputs.get("base"))
    if model is None:
        return None
    dtype, shape = compute_dtype(params.dtype, model.num_parameters), model.shape
    most = most_tokens(params.max_length, model)
    reading = Reading(
        model=model,
        dtype=dtype,
        attention=params.attention,
        lengths=prompt_lengths(planned, at.inputs.get("prompts"), at.inputs.get("base"), most),
        token_budget=params.token_budget,
        most=most,
    )
    held, loaded = resident(
        at.inputs,
        model,
        dtype,
        smallest_gpu_gb(nodes_with(at.machines, params.num_gpus)),
        params.num_gpus,
    )
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
        dtype=dtype,
        effort=total(*efforts),
        loaded_bytes=loaded * weight_bytes(model, dtype),
        memory=reading.memory(outputs=2 * outputs, models=held),
        least_bytes=reading.least_bytes,
        why=reading.why(", ".join(params.metrics)),
    ).on(at)
