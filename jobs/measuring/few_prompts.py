"""Which metrics of a planned `measure` job may be refused, because its prompts are few?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from analysis.estimates.forewarning import forewarn
from jobs.forecast.upstream_models import shape_of
from jobs.kind import Upstream
from jobs.text.planned import Planned
from jobs.text.prompt_lines import PromptLine


def notes_on_few_prompts(
    metrics: Sequence[str], delta: Upstream, planned: Planned[PromptLine]
) -> Sequence[str]:
    """Return a sentence for each metric that may be refused in the residual stream.

    Args:
        metrics: names of the metrics that the job measures.
        delta: what the plan knows of the extraction.
        planned: the prompts that it will read.

    Returns:
        Nothing while the width of the model or the number of prompts is not known.
    """
    shape = shape_of(delta.inputs.get("base"))
    prompts = delta.inputs.get("prompts")
    done = None if prompts is None else prompts.facts
    num_prompts = _count(planned) if done is None else int(done["num_prompts"])
    if shape is None or not num_prompts:
        return ()
    return list(_warnings(metrics, num_prompts, shape.d_model))


def _warnings(metrics: Sequence[str], num_prompts: int, d_model: int) -> Iterator[str]:
    for metric in metrics:
        warning = forewarn(metric, num_prompts, d_model)
        if warning:
            yield warning


@lru_cache(maxsize=64)
def _count(planned: Planned[PromptLine]) -> int:
    return planned.first.count
