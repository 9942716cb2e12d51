"""Kind `predictions`: what base and aligned predict next, by layer and by output.

The logit lens of toxic words and of the answer's first token at every layer; and how far apart the
two models' own predictions are at each output: is alignment only a few tokens deep?
"""

from collections.abc import Mapping
from typing import Any

from cluster.resources import Resources
from jobs.kind import Input
from jobs.predicting.predictions_params import Params
from jobs.worker.work import Work

VERSION = 1
INPUTS: Mapping[str, Input] = {
    "base": Input(kinds=frozenset({"pretrained", "pretrain"})),
    "aligned": Input(kinds=frozenset({"align", "adapter", "export", "pretrained", "pretrain"})),
    "prompts": Input(kinds=frozenset({"prompts"})),
    "lexicon": Input(
        kinds=frozenset({"pairs", "generated-pairs"}), required=False, dispensable=True
    ),
}
GATHERS = False
USES_TORCH = True
MEASURES = (
    *("logit_lens_base", "logit_lens_aligned", "logit_lens_drop"),
    *("logit_lens_answer_base", "logit_lens_answer_aligned", "logit_lens_answer_drop"),
    *("token_kl", "token_kl_mean"),
)


def uses(params: Params) -> frozenset[str]:
    """The lexicon only where its words matter."""
    needs_lexicon = params.counts_words and params.toxic_words == "lexicon"
    return frozenset(INPUTS) if needs_lexicon else frozenset(INPUTS) - {"lexicon"}


def pins(params: Params, known: Mapping[str, str]) -> Mapping[str, str]:
    """It reads nothing from outside."""
    return {}


def resources(params: Params) -> Resources:
    """As the params say."""
    return Resources(num_cpus=params.num_cpus, num_gpus=params.num_gpus, memory_gb=params.memory_gb)


def run(work: Work) -> dict[str, Any]:
    """Write `measurements.parquet`; the facts count rows by status, prompts and toxic words."""
    from jobs.predicting.predictions import predict

    return predict(work)
