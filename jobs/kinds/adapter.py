"""Kind `adapter`: a published or local LoRA adapter on its base, and the two merged to one model.

`adapter/` holds its files, `model/` the base with it added in fp32: who only wants the aligned
model needs to know nothing of adapters. Never takes a pickle or a file of code.
"""

from collections.abc import Mapping
from typing import Any

from cluster.resources import Resources
from jobs.kind import Input, execution, model_source
from jobs.kind import Params as KindParams
from jobs.models.adapter_folder import (
    CONFIG,
    TOKENIZER_FILES,
    WEIGHTS,
    check_adapter_folder,
    no_adapter_weights,
    read_adapter_config,
)
from jobs.models.source import Layout, Source
from jobs.worker.work import Work

VERSION = 1
INPUTS: Mapping[str, Input] = {
    "base": Input(kinds=frozenset({"pretrained", "pretrain", "align"})),
}
GATHERS = False
USES_TORCH = True

_LAYOUT = Layout(
    wanted=(CONFIG, WEIGHTS, *TOKENIZER_FILES),
    check=check_adapter_folder,
    weights=(WEIGHTS,),
    absent=no_adapter_weights,
)


class Params(KindParams):
    """Which adapter to take."""

    source: str = model_source(
        ..., "The adapter: `hf://org/name`, or a folder that peft saved.", min_length=1
    )
    revision: str | None = execution(
        None, "Branch, tag or commit on the hub; the commit it stands for at launch is pinned."
    )
    num_cpus: float = execution(1, "Processor cores.", gt=0)
    memory_gb: float = execution(
        0, "Host memory to set aside, in 10^9 bytes: 4 per parameter hold the base; 0: none.", ge=0
    )


def uses(params: Params) -> frozenset[str]:
    """Its base."""
    return frozenset(INPUTS)


def pins(params: Params, known: Mapping[str, str]) -> Mapping[str, str]:
    """The commit on the hub, or the digest of a folder's files.

    Raises:
        UserError: the folder is not there or holds no LoRA adapter that can be taken.
    """
    return _source(params).pins(known)


def known_name(params: Params) -> str:
    """Under what name a launch remembers what the revision was resolved to."""
    return _source(params).known_name


def resolve(params: Params) -> tuple[str, str] | None:
    """(known_name, commit) for an adapter on the hub; None where there is nothing to resolve."""
    return _source(params).resolve()


def resources(params: Params) -> Resources:
    """As the params say."""
    return Resources(num_cpus=params.num_cpus, memory_gb=params.memory_gb)


def run(work: Work) -> dict[str, Any]:
    """Take the adapter into `adapter/`, write `model/`, and say what both are."""
    from jobs.models.adapters import merge_adapter
    from jobs.models.loading import describe_model

    params: Params = work.params
    folder = work.folder / "adapter"
    commit = _source(params).take(folder, work)
    work.progress(None, "merging it into its base")
    config = merge_adapter(work.input("base").directory("model"), folder, work.folder / "model")
    return {
        "model": describe_model(config),
        "source": params.source,
        "revision": commit,
        "adapter": read_adapter_config(folder).facts,
    }


def _source(params: Params) -> Source:
    return Source(name=params.source, revision=params.revision, layout=_LAYOUT)
