"""`PairModels`: the two models of an extraction, loaded on request, checked, and released after."""

from __future__ import annotations

from jobs.extraction.extraction_plan import ExtractionPlan
from jobs.extraction.forward_passes import activation_reader
from jobs.extraction.noise_floor import noise_floor
from jobs.extraction.unit_extractor import ActivationReader
from jobs.models.language_model import LanguageModel
from jobs.taps.activations import Inputs
from jobs.taps.pair_loading import PairLoading
from jobs.taps.selftest import check_residual_stream
from jobs.tokens.batches import pad_batch
from jobs.tokens.positions import find_positions
from jobs.worker.work import Work

_SELFTEST_PROMPTS = 4


class PairModels:
    """Loads base and aligned model, and measures the noise floor with the first base."""

    def __init__(self, work: Work, extraction: ExtractionPlan) -> None:
        self._loading = PairLoading(work)
        self._extraction = extraction
        self.floor: dict[str, dict[str, float]] | None = None
        """The noise floor, as in `store.json`; None until it is measured."""

    def load_base(self) -> ActivationReader:
        """Load the base model; it is released with the returned reader."""
        return self._reader("base", self._loading.load("base"))

    def load_aligned(self) -> ActivationReader:
        """Load the aligned model; an adapter is not merged."""
        loading = self._loading
        model: LanguageModel = (
            loading.load_with_adapter()[1] if loading.has_adapter else loading.load("aligned")
        )
        return self._reader("aligned", model)

    def load_with_adapter(self) -> tuple[ActivationReader, ActivationReader]:
        """Load base and aligned as one model, its adapter off and on."""
        base, aligned = self._loading.load_with_adapter()
        return self._reader("base", base), self._reader("aligned", aligned)

    @property
    def has_adapter(self) -> bool:
        """True when the aligned model is an adapter on this very base."""
        return self._loading.has_adapter

    def _reader(self, name: str, model: LanguageModel) -> ActivationReader:
        """Check a model; with the base, measure the noise floor once."""
        extraction = self._extraction
        if not extraction.places:
            self.floor = {}
            return activation_reader(model, [])
        self._check_sites(name, model)
        if name == "base" and self.floor is None:
            self.floor = noise_floor(
                model,
                extraction.tokens,
                extraction.positions,
                extraction.places,
                extraction.params.noise_floor_prompts,
                rounds_weights=extraction.rounds_weights,
            )
        return activation_reader(model, extraction.places)

    def _check_sites(self, name: str, model: LanguageModel) -> None:
        """Run the self-test of the sites on the shortest prompts."""
        plan = self._extraction.tokens
        shortest = plan.lengths.argsort(kind="stable")[:_SELFTEST_PROMPTS]
        batch = pad_batch(plan, shortest, find_positions(plan, ["all"], 0))
        inputs = Inputs(batch, model.device)
        check_residual_stream(name, model, inputs, max(self._extraction.layers))
