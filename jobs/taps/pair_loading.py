"""`PairLoading`: base and aligned model of a job, each loaded when it is wanted; adapters resident.

An adapter on this very base is never merged here, where 16 bits would drown it.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.artifacts.artifact import Artifact
from jobs.models.device import DeviceMap
from jobs.models.loading import load_model
from jobs.models.model_facts import Dtype
from jobs.models.spreading import spread

if TYPE_CHECKING:
    pass

if TYPE_CHECKING:
    from jobs.models.adapters import Switched
    from jobs.worker.work import Work


class PairLoading:
    """Loads what stands under the inputs `base` and `aligned`, as the params say."""

    def __init__(self, work: Work, *, dtype: Dtype, device: str) -> None:
        """`device` is where a model goes that does not lie on several GPUs."""
        self._work = work
        self._dtype: Dtype = dtype
        self._device = device

    @cached_property
    def has_adapter(self) -> bool:
        """True when the aligned model is an adapter on this very base."""
        return adapter_on(self._work.input("base"), self._work.input("aligned")) is not None

    def one(self, name: str) -> Any:
        """The model under an input; it lives as long as what is returned."""
        self._work.progress(None, f"loading {name}")
        return load_model(
            self._work.input(name).directory("model"),
            dtype=self._dtype,
            device=self._where,
            attention=self._work.params.attention,
        )

    def switched(self) -> tuple[Switched, Switched]:
        """Base and aligned as one model, its adapter off and on."""
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
        """One device, or the blocks over all GPUs of this worker."""
        num_gpus = int(self._work.params.num_gpus)
        if num_gpus < 2:
            return self._device
        return spread(self._work.input("base").directory("model"), range(num_gpus))


def adapter_on(base: Artifact, aligned: Artifact) -> Path | None:
    """The folder of the adapter when the aligned model is one on this very base, else None."""
    if aligned.record.inputs.get(base.key) != base.record_digest or not aligned.names("adapter/"):
        return None
    return aligned.directory("adapter")
