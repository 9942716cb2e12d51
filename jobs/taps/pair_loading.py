"""`PairLoading`: the base and the aligned model of a job, loaded on request.

An adapter on this very base stays an adapter: merged weights in 16 bits would lose most of it.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.artifacts.artifact import Artifact
from jobs.models.device import DeviceMap
from jobs.models.loading import load_model
from jobs.models.model_facts import Dtype
from jobs.models.spreading import spread

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from jobs.models.adapters import Switched
    from jobs.worker.work import Work


class PairLoading:
    """Loads the models of the inputs `base` and `aligned` as the params of the job say."""

    def __init__(self, work: Work, *, dtype: Dtype, device: str) -> None:
        """Load to `device` a model that is not spread over several GPUs."""
        self._work = work
        self._dtype: Dtype = dtype
        self._device = device

    @cached_property
    def has_adapter(self) -> bool:
        """True when the aligned model is an adapter on this very base."""
        return adapter_on(self._work.input("base"), self._work.input("aligned")) is not None

    def load(self, name: str) -> PreTrainedModel:
        """Load the model of one input; nothing else holds a reference to the result."""
        self._work.progress(None, f"loading {name}")
        return load_model(
            self._work.input(name).directory("model"),
            dtype=self._dtype,
            device=self._where,
            attention=self._work.params.attention,
        )

    def load_with_adapter(self) -> tuple[Switched, Switched]:
        """Load base and aligned as one model, its adapter off and on."""
        from jobs.models.adapters import load_pair_with_adapter

        self._work.progress(None, "loading base and adapter")
        return load_pair_with_adapter(
            self._work.input("base").directory("model"),
            self._work.input("aligned").directory("adapter"),
            dtype=self._dtype,
            device=self._where,
            attention=self._work.params.attention,
        )

    @cached_property
    def _where(self) -> str | DeviceMap:
        """One device, or the blocks spread over all GPUs of this worker."""
        num_gpus = int(self._work.params.num_gpus)
        if num_gpus < 2:
            return self._device
        return spread(self._work.input("base").directory("model"), range(num_gpus))


def adapter_on(base: Artifact, aligned: Artifact) -> Path | None:
    """Return the adapter's folder when the aligned model is an adapter on this very base."""
    if aligned.record.inputs.get(base.key) != base.record_digest or not aligned.names("adapter/"):
        return None
    return aligned.directory("adapter")
