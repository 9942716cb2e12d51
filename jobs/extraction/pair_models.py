"""The two models of one extraction, each loaded when it is wanted, checked, and let go after."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from jobs.extraction.noise_floor import noise_floor
from jobs.extraction.pair import Inputs
from jobs.extraction.paired_inputs import adapter_on
from jobs.extraction.passes import rows_of
from jobs.extraction.selftest import check_residual_stream
from jobs.models.loading import load_model
from jobs.models.spreading import DeviceMap, spread
from jobs.tokens.batches import padded
from jobs.tokens.positions import positions

if TYPE_CHECKING:
    from jobs.extraction.planning import Extraction
    from jobs.extraction.unit_engine import RowsOf
    from jobs.work import Work

_SELFTEST_PROMPTS = 4


class PairModels:
    """Loads base and aligned; finds the noise floor when the base is first at hand."""

    def __init__(self, work: Work, extraction: Extraction, device: str) -> None:
        self._work = work
        self._extraction = extraction
        self._device = device
        self.floor: Mapping[str, Any] | None = None

    def base(self) -> RowsOf:
        """The base model's rows; the model lives as long as what is returned."""
        return self._ready("base", self._load("base"))

    def aligned(self) -> RowsOf:
        """The aligned model's; an adapter is never merged here, where 16 bits would drown it."""
        model = self._adapted()[1] if self.has_adapter else self._load("aligned")
        return self._ready("aligned", model)

    def switched(self) -> tuple[RowsOf, RowsOf]:
        """Base and aligned as one model, its adapter off and on."""
        base, aligned = self._adapted()
        return self._ready("base", base), self._ready("aligned", aligned)

    @cached_property
    def has_adapter(self) -> bool:
        """True when the aligned model is an adapter on this very base."""
        return adapter_on(self._work.input("base"), self._work.input("aligned")) is not None

    @cached_property
    def _where(self) -> str | DeviceMap:
        """One device, or the blocks over all GPUs of this worker."""
        num_gpus = int(self._extraction.params.num_gpus)
        if num_gpus < 2:
            return self._device
        return spread(self._work.input("base").directory("model"), range(num_gpus))

    def _adapted(self) -> tuple[Any, Any]:
        from jobs.models.adapters import load_pair_with_adapter

        self._work.progress(None, "loading base and adapter")
        return load_pair_with_adapter(
            self._work.input("base").directory("model"),
            self._work.input("aligned").directory("adapter"),
            dtype=self._extraction.dtype,
            device=self._where,
            attention=self._extraction.params.attention,
        )

    def _load(self, name: str) -> Any:
        self._work.progress(None, f"loading {name}")
        return load_model(
            self._work.input(name).directory("model"),
            dtype=self._extraction.dtype,
            device=self._where,
            attention=self._extraction.params.attention,
        )

    def _ready(self, name: str, model: Any) -> RowsOf:
        extraction = self._extraction
        if not extraction.places:
            self.floor = {}
            return rows_of(model, [])
        self._check(name, model)
        if name == "base" and self.floor is None:
            self.floor = noise_floor(
                model,
                extraction.plan,
                extraction.positions,
                extraction.places,
                extraction.params.noise_floor_prompts,
            )
        return rows_of(model, extraction.places)

    def _check(self, name: str, model: Any) -> None:
        """The residual stream must add up, on the shortest prompts."""
        plan = self._extraction.plan
        first = plan.lengths.argsort(kind="stable")[:_SELFTEST_PROMPTS]
        inputs = Inputs(padded(plan, first, positions(plan, ["all"], 0)), model.device)
        check_residual_stream(name, model, inputs, max(self._extraction.layers))
