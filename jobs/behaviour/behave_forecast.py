"""What measuring a model's behaviour will take of a GPU."""

from jobs.behaviour.behave_params import OF_CONTINUATIONS, BehaveParams
from jobs.behaviour.planned_words import extra_tokens
from jobs.behaviour.scored_params import WINDOW, WINDOW_PERPLEXITY, LocalModelParams
from jobs.behaviour.served_params import Served
from jobs.forecast.effort import Effort
from jobs.forecast.gpu_job import GpuJob
from jobs.forecast.read_texts import Reading, reading_of_prompts, total
from jobs.kind import Forecast, Situation, Upstream
from jobs.text.planned import Planned
from jobs.text.prompt_lines import PromptLine


def reading_of(
    params: LocalModelParams, at: Situation, planned: Planned[PromptLine], model_input: str
) -> Reading | None:
    """Return how prompts are read; None while nothing says which model reads them."""
    windows = WINDOW_PERPLEXITY in params.metrics
    most = (params.max_length or WINDOW) if windows else None
    return reading_of_prompts(params, at, planned, model_input, most)


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
    served = served_of(params)
    if served is not None and served.probes:
        efforts.append(reading.pass_over(_share_probed(reading, served.probes, params.new_tokens)))
    elif served is None and OF_CONTINUATIONS & set(params.metrics):
        efforts.append(reading.continued(params.new_tokens))
    return total(*efforts)


def _share_probed(reading: Reading, probes: int, new_tokens: int) -> float:
    """Return the share of the texts whose continuations are read again, in tokens."""
    if reading.texts is None:
        return 0.0
    longer = 1 + new_tokens / reading.texts.mean
    return longer * min(1.0, probes / reading.texts.count)


def forecast_behaviour(
    params: LocalModelParams, at: Situation, planned: Planned[PromptLine]
) -> Forecast | None:
    """Forecast one measurement of one model; None while nothing says which model it is."""
    reading = reading_of(params, at, planned, "model")
    if reading is None:
        return None
    loaded = reading.least_bytes if loads_weights(params) else 0.0
    doing = ", ".join(params.metrics)
    if served_of(params) is not None:
        doing += " (continued by a server, whose time is not counted)"
    return GpuJob(
        num_gpus=params.num_gpus,
        dtype=reading.dtype,
        effort=behaviour(params, reading, at.inputs.get(params.toxic_words)),
        loaded_bytes=loaded,
        memory=memory_of(params, reading),
        least_bytes=loaded,
        why=reading.why(doing),
    ).on(at)


def memory_of(params: LocalModelParams, reading: Reading) -> dict[str, float]:
    """Return the bytes of a batch by part: its logits where they are read, caches where decoded."""
    if not loads_weights(params):
        return {}
    if set(params.metrics) - OF_CONTINUATIONS:
        outputs = reading.batch
    elif served_of(params) is None:  # the newest token of each row
        outputs = reading.batch / (reading.texts.mean if reading.texts else reading.longest)
    else:  # one prompt at a time
        outputs = params.new_tokens + 1.0
    decodes = OF_CONTINUATIONS & set(params.metrics) and served_of(params) is None
    keeps = decodes or "toxic_mass" in params.metrics  # whose words are followed behind the prompts
    return reading.memory(outputs=outputs, new_tokens=params.new_tokens if keeps else 0)


def served_of(params: LocalModelParams) -> Served | None:
    """Return the server that continues the prompts, where one does."""
    return params.served if isinstance(params, BehaveParams) else None


def loads_weights(params: LocalModelParams) -> bool:
    """Tell whether weights are loaded here: not where a server does all, and is not checked."""
    served = served_of(params)
    reads = not OF_CONTINUATIONS.issuperset(params.metrics)
    return reads or served is None or served.probes > 0
