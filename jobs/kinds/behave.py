"""Kind `behave`: what a model says to prompts: toxic mass, toxic rate, perplexity, decode loss."""

from collections.abc import Mapping
from typing import Any, get_args

from cluster.resources import Resources
from jobs.behaviour import asked
from jobs.behaviour.behave_params import Metric, Params
from jobs.kind import Input
from jobs.worker.work import Work

VERSION = 1
_MODELS = frozenset({"pretrained", "pretrain", "align", "adapter", "export"})
INPUTS: Mapping[str, Input] = {
    "model": Input(kinds=_MODELS),
    "prompts": Input(kinds=frozenset({"prompts"})),
    "lexicon": Input(
        kinds=frozenset({"pairs", "generated-pairs"}), required=False, dispensable=True
    ),
}
GATHERS = False
USES_TORCH = True

MEASURES = (
    *get_args(Metric),
    *("token_f1_legacy", "decode_loss_shuffled", "decode_loss_gap"),
)


def uses(params: Params) -> frozenset[str]:
    """The lexicon only where its words matter."""
    return params.words_input | {"model", "prompts"}


pins = asked.pins
known_name = asked.known_name
resolve = asked.resolve


def resources(params: Params) -> Resources:
    """As the params say."""
    return Resources(num_cpus=params.num_cpus, num_gpus=params.num_gpus, memory_gb=params.memory_gb)


def run(work: Work) -> dict[str, Any]:
    """Write `measurements.parquet` and `continuations.parquet` (token ids, no text)."""
    from jobs.behaviour.rates import behave

    return behave(work)
