"""One paired extraction from its inputs to its store: plan, run both models on all units, index."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence

import torch
from safetensors.numpy import save_file

from jobs.extraction.extract_params import Params
from jobs.extraction.extraction_plan import ExtractionPlan, plan_extraction
from jobs.extraction.forward_passes import AlternatingPasses, run_both_models
from jobs.extraction.pair_models import PairModels
from jobs.extraction.paired_inputs import settings_facts
from jobs.extraction.pairing import (
    Pairing,
    PairingConditions,
    choose_pairing,
    estimate_forward_seconds,
    free_memory,
)
from jobs.extraction.spool import Spool
from jobs.extraction.store_size import require_budget
from jobs.extraction.unit_extractor import UnitExtractor
from jobs.extraction.unit_shares import UnitShares
from jobs.extraction.writer_thread import WriterThread
from jobs.models.device import pick_device
from jobs.store.store_layout import INDEX, MARKER, PLAN, UNITS, StoreIndex
from jobs.store.unit_adoption import list_unit_files
from jobs.tokens.batches import Unit, cut_units
from jobs.tokens.plan import TokenPlan
from jobs.tokens.position_policy import answer_token
from jobs.worker.work import Work

_PUBLISH_EVERY_S = 2.0


def extract(work: Work[Params]) -> dict[str, object]:
    """Write the store of one pair of models; return its facts.

    Raises:
        UserError: the models do not fit together, the sites do not add up, rows are not finite, or
            the store would be larger than allowed.
        Stopped: the job is to stop; finished units are kept for the next attempt.
    """
    # A warm worker may come from a training job; TF32 has 10 bits where δ needs 23.
    torch.set_float32_matmul_precision("highest")
    extraction = plan_extraction(work)
    planned = cut_units(extraction.tokens, extraction.params.unit_tokens)
    require_budget(extraction, planned)
    shares = UnitShares(work, planned, extraction.tokens.hash)
    run = _ExtractionRun(work, extraction, shares)
    missing = shares.adopt()
    while missing or run.models.floor is None:
        run.run_units()
        missing = shares.adopt()
        # Another attempt's marker lists them, but its files are not whole: compute them here.
        shares.reopen(missing)
    index = _index(extraction, planned, run.models.floor or {})
    _write_index(work, index, extraction.tokens)
    facts = {**index, "floor": len(index["floor"])}
    return {
        "model": dict(extraction.model),
        "store": facts,
        "execution": run.describe(),
        **settings_facts(work.input("base"), work.input("aligned")),
    }


class _ExtractionRun:
    """The models, the writer thread and the files of one attempt."""

    def __init__(self, work: Work[Params], extraction: ExtractionPlan, shares: UnitShares) -> None:
        self._work = work
        self._extraction = extraction
        self._shares = shares
        self._params = work.params
        self._device = pick_device(self._params.num_gpus)
        self._spool = Spool(work, extraction, self._device)
        self.models = PairModels(work, extraction)
        self._choice = choose_pairing(self._params.pairing, self._pairing_conditions())
        self._published_at = time.monotonic()
        self._unpublished: list[Unit] = []

    def describe(self) -> dict[str, object]:
        """Describe the execution, which changes no number."""
        return {
            "pairing": self._choice.pairing.value,
            "why": self._choice.why,
            "device": self._device,
            "workers": self._work.num_workers,
        }

    def run_units(self) -> None:
        """Compute every unit that is left, and the noise floor."""
        self._shares.start_clock()
        try:
            with WriterThread(torch.device(self._device)) as thread:
                extractor = self._extractor(thread)
                if self._choice.pairing is Pairing.SEQUENTIAL:
                    self._run_in_turns(extractor)
                else:
                    self._run_together(extractor)
        finally:
            self._publish()
            self._shares.log_speed()

    def _extractor(self, thread: WriterThread) -> UnitExtractor:
        extraction = self._extraction
        return UnitExtractor(
            plan=extraction.tokens,
            positions=extraction.positions,
            places=extraction.places,
            stored=extraction.stored,
            folder=self._work.folder,
            thread=thread,
            device=self._device,
            after_unit=self._after_unit,
        )

    def _run_together(self, extractor: UnitExtractor) -> None:
        if self._choice.pairing is Pairing.ADAPTER:
            base, aligned = self.models.load_with_adapter()
        else:
            base, aligned = self.models.load_base(), self.models.load_aligned()
        run_both_models(extractor, self._shares, self._params.token_budget, base, aligned)

    def _run_in_turns(self, extractor: UnitExtractor) -> None:
        budget = self._params.token_budget
        rows = self._spool.at(budget)
        spooled_floor = rows.read_floor()
        if spooled_floor is not None:
            self.models.floor = spooled_floor
        passes = AlternatingPasses(extractor, self._shares, self._spool, budget)
        passes.run(self.models.load_base, self.models.load_aligned)
        if self.models.floor is None:
            self.models.load_base()
        if spooled_floor is None:
            rows.write_floor(self.models.floor or {})

    def _pairing_conditions(self) -> PairingConditions:
        model, plan = self._extraction.model, self._extraction.tokens
        num_parameters = int(model["num_parameters"])
        return PairingConditions(
            has_adapter=self.models.has_adapter,
            weight_bytes=num_parameters * (4 if self._extraction.dtype == "float32" else 2),
            memory_bytes=free_memory(self._params.num_gpus, self._params.memory_gb),
            spool_bytes=self._spool.bytes,
            is_shared=self._spool.is_shared,
            forward_s=estimate_forward_seconds(
                num_parameters, len(plan.token_ids), self._device, self._work.threads
            ),
        )

    def _after_unit(self, unit: Unit) -> None:
        """Publish finished units every few seconds; runs on the writer thread."""
        self._unpublished.append(unit)
        # A sync costs 9 ms, a small unit 20 ms; units are whole after a kill without a sync, too.
        if time.monotonic() - self._published_at >= _PUBLISH_EVERY_S:
            self._publish()

    def _publish(self) -> None:
        while self._unpublished:
            unit = self._unpublished[0]
            folder = f"{UNITS}/{unit.name}"
            entries = list_unit_files((self._work.folder / folder / MARKER).read_bytes())
            self._work.attempt.publish(folder, discard=True, entries=entries)
            del self._unpublished[0]
        self._published_at = time.monotonic()


def _index(
    extraction: ExtractionPlan, planned: Sequence[Unit], floor: Mapping[str, dict[str, float]]
) -> StoreIndex:
    present = {position.policy for position in extraction.positions}
    if any(answer_token(policy) is not None for policy in present):
        # How deep answers go is known once they are read, as with turns: no step is missed.
        present.add("response-depths")
    index: StoreIndex = {
        "sites": list(dict.fromkeys(extraction.params.sites)),
        "layers": list(extraction.layers),
        "positions": [position.label for position in extraction.positions],
        "absent_positions": [policy for policy in extraction.policies if policy not in present],
        "missing": dict(extraction.missing),
        "dtype": extraction.dtype,
        "attention": extraction.params.attention,
        "template": extraction.template_digest,
        "token_plan": extraction.tokens.hash,
        "num_prompts": len(extraction.tokens.prompts),
        "num_tokens": len(extraction.tokens.token_ids),
        "too_long": list(extraction.left_out),
        "num_units": len(planned),
        "num_reservoir": extraction.params.num_reservoir,
        "rowwise": sorted(extraction.stored.rowwise),
        "dense": sorted(extraction.stored.dense),
        "floor": dict(floor),
    }
    if extraction.left_out.short:
        index["short"] = extraction.left_out.short
    if extraction.left_out.refused:
        index["refused"] = extraction.left_out.refused_by_reason()
    return index


def _write_index(work: Work, index: StoreIndex, plan: TokenPlan) -> None:

    save_file(plan.to_arrays(), work.folder / PLAN)
    text = json.dumps(index, indent=1, sort_keys=True) + "\n"
    (work.folder / INDEX).write_text(text, encoding="utf-8")
