"""What pretraining from scratch will take of a GPU; its sizes are all in its params."""

from jobs.forecast.gpu_job import GpuJob
from jobs.forecast.upstream_models import model_of_config
from jobs.kind import Forecast, Situation
from jobs.training.planning.footprint import Training, footprint
from jobs.training.planning.step_effort import step_effort
from jobs.training.pretrain_params import Params


def forecast_pretraining(params: Params, at: Situation) -> Forecast | None:
    """Forecast all steps at full length; None while the size of the vocabulary is not known."""
    config = {"vocab_size": params.vocab_size, **params.config}
    model = model_of_config(config) if config["vocab_size"] else None
    if model is None:
        return None
    layout = params.layout()
    training = Training(
        model=model,
        dtype=params.dtype,
        attention=params.attention,
        optimizer=params.optimizer,
        decays=params.weight_decay > 0,
        sequence_length=params.sequence_length,
        sequences_per_row=1,
        global_batch=params.global_batch,
    )
    taken = footprint(training, layout)
    job = GpuJob(
        num_gpus=1,
        dtype=params.dtype,
        effort=step_effort(training, layout, params.sequence_length).times(params.steps),
        loaded_bytes=0,
        memory={"weights and moments": taken.states, "a batch": taken.peak - taken.states},
        least_bytes=taken.states,
        why=f"{model.num_parameters / 1e9:.2f} B weights, {params.steps:,} steps of "
        f"{params.global_batch} rows of {params.sequence_length} tokens",
    )
    return job.on(at)
