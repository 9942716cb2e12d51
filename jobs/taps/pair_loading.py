"""The models that a job reads: its only one, or base and aligned, loaded on request.

An adapter on this very base stays an adapter: merged weights in 16 bits would lose most of it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, TypedDict

from jobs.artifacts.artifact import Artifact
from jobs.models.device import DeviceMap, place_of
from jobs.models.loading import load_model
from jobs.models.model_facts import Dtype, compute_dtype
from jobs.models.opened_model import adapter_on, model_folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from jobs.models.adapters import Switched
    from jobs.shared_params import OneModelParams
    from jobs.worker.work import Work


class _HowLoaded(TypedDict):
    dtype: Dtype
    device: str | DeviceMap
    attention: str


def load_input_model(artifact: Artifact, params: OneModelParams) -> PreTrainedModel:
    """Load the model of an artifact as the params of a job say."""
    folder = model_folder(artifact)
    return load_model(
        folder,
        dtype=compute_dtype(params.dtype, artifact.facts["model"]["num_parameters"]),
        device=place_of(folder, params.num_gpus),
        attention=params.attention,
    )


class PairLoading:
    """Loads the models of the inputs `base` and `aligned` as the params of the job say."""

    def __init__(self, work: Work) -> None:
        self._work = work

    @cached_property
    def has_adapter(self) -> bool:
        """True when the aligned model is an adapter on this very base."""
        return adapter_on(self._work.input("base"), self._work.input("aligned")) is not None

    def load(self, name: str) -> PreTrainedModel:
        """Load the model of one input; nothing else holds a reference to the result."""
        self._work.progress(None, f"loading {name}")
        return load_model(model_folder(self._work.input(name)), **self._how)

    def load_with_adapter(self) -> tuple[Switched, Switched]:
        """Load base and aligned as one model, its adapter off and on."""
        from jobs.models.adapters import load_pair_with_adapter

        base = self._work.input("base")
        adapter = adapter_on(base, self._work.input("aligned"))
        assert adapter is not None, "the aligned model is no adapter on this base"
        self._work.progress(None, "loading base and adapter")
        return load_pair_with_adapter(
            model_folder(base),
            adapter,
            **self._how,
        )

    @cached_property
    def _how(self) -> _HowLoaded:
        """The same for both models: dtype and devices are chosen from the base."""
        base, params = self._work.input("base"), self._work.params
        return {
            "dtype": compute_dtype(params.dtype, base.facts["model"]["num_parameters"]),
            "device": place_of(model_folder(base), params.num_gpus),
            "attention": params.attention,
        }
