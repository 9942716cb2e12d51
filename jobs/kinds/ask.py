"""Kind `ask`: what a model says whose weights nobody has, behind an OpenAI-compatible endpoint.

Behaviour only, measured as `behave` measures it. What needs weights is missing, `no_weights`.
"""

from collections.abc import Mapping
from typing import Any, get_args

from cluster.resources import Resources
from jobs.behaviour import asked
from jobs.behaviour.ask_params import Metric, Params
from jobs.kind import Input
from jobs.worker.work import Work

VERSION = 1
INPUTS: Mapping[str, Input] = {
    "prompts": Input(kinds=frozenset({"prompts"})),
    "lexicon": Input(
        kinds=frozenset({"pairs", "generated-pairs"}), required=False, dispensable=True
    ),
}
GATHERS = False
USES_TORCH = False  # a scorer that does sets its own threads

MEASURES = get_args(Metric)


def uses(params: Params) -> frozenset[str]:
    """The lexicon only where its words matter."""
    return params.words_input | {"prompts"}


pins = asked.pins
known_name = asked.known_name
resolve = asked.resolve


def resources(params: Params) -> Resources:
    """As the params say."""
    return Resources(num_cpus=params.num_cpus, num_gpus=params.num_gpus, memory_gb=params.memory_gb)


def run(work: Work) -> dict[str, Any]:
    """Write `measurements.parquet`; no text, of prompts or answers, is kept."""
    from jobs.behaviour.endpoint_behaviour import ask

    return ask(work)
