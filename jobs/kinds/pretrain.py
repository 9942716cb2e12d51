"""Kind `pretrain`: a small model and its tokenizer, trained from scratch on documents."""

from collections.abc import Mapping
from typing import Any

from cluster.resources import Resources
from jobs.kind import Input
from jobs.training.pretrain_params import Params
from jobs.worker.work import Work

VERSION = 1
INPUTS: Mapping[str, Input] = {}
GATHERS = False
USES_TORCH = True


def uses(params: Params) -> frozenset[str]:
    """It has no inputs."""
    return frozenset()


def pins(params: Params, known: Mapping[str, str]) -> Mapping[str, str]:
    """The source is digested as a data path; nothing else is outside."""
    return {}


def resources(params: Params) -> Resources:
    """As the params say."""
    return params.resources()


def run(work: Work) -> dict[str, Any]:
    """Train, write `model/` and `training_log.jsonl`."""
    from jobs.training.pretraining import pretrain

    return pretrain(work)
