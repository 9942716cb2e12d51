"""Kind `behave`: behaviour of one model on one set of prompts, as measurements; no text is kept."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.measurement import Measurement
from jobs.behaviour.behave_params import BehaveParams
from jobs.behaviour.continuations import write_continuations
from jobs.behaviour.decode_loss import measure_decode_loss
from jobs.behaviour.measured_behaviours import measure_behaviours
from jobs.behaviour.prompted_model import PromptedModel, load_prompted_model
from jobs.behaviour.scorer import Judge, chosen_scorer
from jobs.behaviour.served_continuations import ServedModel
from jobs.behaviour.toxic_words import ToxicWords
from jobs.worker.measured_rows import log_curves, write_measurements
from jobs.worker.work import Work


def behave(work: Work[BehaveParams]) -> dict[str, object]:
    """Measure the metrics of the params and write them; return the record's facts."""
    work.progress(None, "loading the model")
    prompted = load_prompted_model(work)
    server = ServedModel(work, prompted) if work.params.served else None
    toxic = ToxicWords(
        prompted.toxic_words,
        prompted.tokenizer,
        prompted.transform,
        must_end=work.params.word_ends == "required",
    )
    measurements = list(_measure(work, prompted, toxic, server))
    log_curves(work.tracker, measurements, lambda m: ("behave/step", 0, f"{m.metric}/{m.position}"))
    return {
        "rows": write_measurements(work.folder, measurements, prompted.about),
        "num_prompts": len(prompted.plan.prompts),
        **prompted.left_out.facts(),
        "num_toxic_words": toxic.num_words,
        "num_toxic_words_covered": toxic.num_covered,
        **({"server": server.facts} if server else {}),
    }


def _measure(
    work: Work[BehaveParams],
    prompted: PromptedModel,
    toxic: ToxicWords,
    server: ServedModel | None,
) -> Iterator[Measurement]:
    params = work.params

    def show(done: int, doing: str) -> None:
        work.progress(done / len(prompted.plan.prompts), doing)

    def open_judge() -> Judge:
        work.progress(None, "judging continuations")
        return chosen_scorer(params.scorer).open(work, prompted.toxic_words)

    for values in measure_behaviours(
        prompted,
        toxic,
        params,
        open_judge=open_judge,
        show=show,
        continue_by=server.continue_prompts if server else None,
        keep_continuations=lambda kept: write_continuations(work.folder, prompted, kept),
    ):
        yield values.measured()
    if "decode_loss" in params.metrics:
        yield from measure_decode_loss(
            prompted,
            params.token_budget,
            lambda done: show(done, "reading prompts in and out of order"),
        )
