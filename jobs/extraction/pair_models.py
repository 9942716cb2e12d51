"""The two models of one extraction, each loaded when it is wanted, checked, and let go after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jobs.extraction.forward_passes import activation_reader
from jobs.extraction.noise_floor import noise_floor
from jobs.taps.activations import Inputs
from jobs.taps.pair_loading import PairLoading
from jobs.taps.selftest import check_residual_stream
from jobs.tokens.batches import pad_batch
from jobs.tokens.positions import find_positions

if TYPE_CHECKING:
    from jobs.extraction.extraction_plan import ExtractionPlan
    from jobs.extraction.unit_extractor import ActivationReader
    from jobs.worker.work import Work

_SELFTEST_PROMPTS = 4


class PairModels:
    """Loads base and aligned; finds the noise floor when the base is first at hand."""

    def __init__(self, work: Work, extraction: ExtractionPlan, device: str) -> None:
        self._loading = PairLoading(work, dtype=extraction.dtype, device=device)
        self._extraction = extraction
        self.floor: Mapping[str, Any] | None = None

    def base(self) -> ActivationReader:
        """The base model's rows; the model lives as long as what is returned."""
        return self._ready("base", self._loading.one("base"))

    def aligned(self) -> ActivationReader:
        """The aligned model's; an adapter stays one."""
        loading = self._loading
        model = loading.switched()[1] if loading.has_adapter else loading.one("aligned")
        return self._ready("aligned", model)

    def switched(self) -> tuple[ActivationReader, ActivationReader]:
        """Base and aligned as one model, its adapter off and on."""
        base, aligned = self._loading.switched()
        return self._ready("base", base), self._ready("aligned", aligned)

    @property
    def has_adapter(self) -> bool:
        """True when the aligned model is an adapter on this very base."""
        return self._loading.has_adapter

    def _ready(self, name: str, model: Any) -> ActivationReader:
        extraction = self._extraction
        if not extraction.places:
            self.floor = {}
            return activation_reader(model, [])
        self._check(name, model)
        if name == "base" and self.floor is None:
            self.floor = noise_floor(
                model,
                extraction.plan,
                extraction.positions,
                extraction.places,
                extraction.params.noise_floor_prompts,
                rounds_weights=extraction.rounds_weights,
            )
        return activation_reader(model, extraction.places)

    def _check(self, name: str, model: Any) -> None:
        """The residual stream must add up, on the shortest prompts."""
        plan = self._extraction.plan
        first = plan.lengths.argsort(kind="stable")[:_SELFTEST_PROMPTS]
        inputs = Inputs(pad_batch(plan, first, find_positions(plan, ["all"], 0)), model.device)
        check_residual_stream(name, model, inputs, max(self._extraction.layers))
