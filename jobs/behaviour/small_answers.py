"""Params of a rehearsal for the kinds that measure what a model answers."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from jobs.behaviour.scored_params import WINDOW_PERPLEXITY
from jobs.behaviour.scorer import SCORERS
from jobs.rehearsal import StandIns, lowered
from jobs.shared_params import begun_in_small

_TOKENS = 4
_WHOLE_TEXT = 512


def small_answers(
    declared: type[BaseModel], written: Mapping[str, Any], stand_ins: StandIns
) -> dict[str, Any]:
    """Return the params with which answers are few tokens long and a tiny model judges them.

    Args:
        declared: the class of the params.
        written: params as the study writes them.
        stand_ins: what stands in for the model of a scorer.
    """
    small = lowered(declared, written, new_tokens=_TOKENS, token_budget=1024)
    metrics = written.get("metrics")
    if isinstance(metrics, (list, tuple)) and WINDOW_PERPLEXITY in metrics:
        small["answer_tokens"] = min(written.get("answer_tokens") or _WHOLE_TEXT, _WHOLE_TEXT)
    scorer = written.get("scorer")
    if isinstance(scorer, Mapping) and scorer.get("name") in SCORERS.names():
        chosen = SCORERS.find(scorer["name"])
        small["scorer"] = chosen.in_small(scorer, stand_ins)
    return {**small, **begun_in_small(written)}
