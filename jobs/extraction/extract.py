"""One paired extraction from its inputs to its store: plan, choose, pass over the units, index."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jobs.extraction.extraction_plan import ExtractionPlan, plan_extraction
from jobs.extraction.forward_passes import AlternatingPasses, run_both_models
from jobs.extraction.pair_models import PairModels
from jobs.extraction.pairing import (
    Pairing,
    PairingConditions,
    choose_pairing,
    estimate_forward_seconds,
)
from jobs.extraction.spool import Spool
from jobs.extraction.store_budget import free_memory, require_budget
from jobs.extraction.unit_extractor import UnitExtractor
from jobs.extraction.unit_progress import UnitProgress
from jobs.extraction.unit_shares import UnitShares
from jobs.extraction.writer_thread import WriterThread
from jobs.models.device import pick_device
from jobs.store.activation_units import FOLDER, MARKER
from jobs.store.store_files import INDEX, PLAN
from jobs.store.unit_adoption import list_unit_files
from jobs.tokens.batches import Unit, cut_units
from jobs.worker.work import Work

if TYPE_CHECKING:
    from jobs.extraction.extract_params import Params
    from jobs.tokens.plan import TokenPlan

_PUBLISH_EVERY_S = 2.0


def extract(work: Work) -> dict[str, Any]:
    """Write the store of one pair of models; return its facts.

    Raises:
        UserError: the models do not fit together, the sites do not add up, rows are not finite, or
            the store would be larger than allowed.
        Stopped: asked to; finished units are kept for the next attempt.
    """
    import torch

    # A warm worker may come from a training job; TF32 has 10 bits where δ needs 23.
    torch.set_float32_matmul_precision("highest")
    extraction = plan_extraction(work)
    planned = cut_units(extraction.plan, extraction.params.unit_tokens)
    require_budget(extraction, planned)
    shares = UnitShares(work, planned, extraction.plan.hash)
    run = _Run(work, extraction, shares)
    missing = shares.adopt()
    while missing or run.models.floor is None:
        run.go()
        missing = shares.adopt()
        # Somebody's marker stands for them, and not all of their bytes: they are ours to do.
        shares.insist_on(missing)
    index = _index(extraction, planned, run.models.floor or {})
    _write_index(work, index, extraction.plan)
    about = index | {"floor": len(index["floor"])}
    return {"model": dict(extraction.model), "store": about, "execution": run.described()}


class _Run:
    """The part that needs models."""

    def __init__(self, work: Work, extraction: ExtractionPlan, shares: UnitShares) -> None:
        self._work = work
        self._extraction = extraction
        self._shares = shares
        self._params: Params = work.params
        self._device = pick_device(self._params.num_gpus)
        self._spool = Spool(work, extraction, self._device)
        self.models = PairModels(work, extraction, self._device)
        self._choice = choose_pairing(self._params.pairing, self._situation())
        self._published = time.monotonic()
        self._unpublished: list[Unit] = []

    def described(self) -> dict[str, Any]:
        """How it was done; nothing of it changes a number."""
        return {
            "pairing": self._choice.pairing.value,
            "why": self._choice.why,
            "device": self._device,
            "workers": self._work.num_workers,
        }

    def go(self) -> None:
        """Every unit that is left, and the noise floor."""
        import torch

        progress = UnitProgress(self._work, self._shares, len(self._extraction.plan.token_ids))
        try:
            with WriterThread(torch.device(self._device)) as pipeline:
                engine = self._engine(pipeline)
                if self._choice.pairing is Pairing.SEQUENTIAL:
                    self._take_turns(engine, pipeline, progress)
                else:
                    self._together(engine, progress)
        finally:
            self._publish()
            progress.track()

    def _engine(self, pipeline: WriterThread) -> UnitExtractor:
        extraction = self._extraction
        return UnitExtractor(
            plan=extraction.plan,
            positions=extraction.positions,
            places=extraction.places,
            keeping=extraction.keeping,
            folder=self._work.folder,
            pipeline=pipeline,
            device=self._device,
            written=self._written,
        )

    def _together(self, engine: UnitExtractor, progress: UnitProgress) -> None:
        if self._choice.pairing is Pairing.ADAPTER:
            base, aligned = self.models.switched()
        else:
            base, aligned = self.models.base(), self.models.aligned()
        budget = self._params.token_budget
        run_both_models(engine, self._shares, progress, budget, base, aligned)

    def _take_turns(
        self, engine: UnitExtractor, pipeline: WriterThread, progress: UnitProgress
    ) -> None:
        rows = self._spool.at(self._params.token_budget)
        known = rows.facts()
        if known is not None:
            self.models.floor = known["floor"]
        turns = AlternatingPasses(
            engine=engine,
            shares=self._shares,
            progress=progress,
            pipeline=pipeline,
            spool=self._spool.at,
            budget=self._params.token_budget,
            unit_bytes=self._spool.bytes_of,
            most_bytes=self._spool.room,
            keep=self._spool.is_shared,
        )
        turns.run(self.models.base, self.models.aligned)
        if self.models.floor is None:
            self.models.base()
        if known is None:
            rows.keep_facts({"floor": dict(self.models.floor or {})})

    def _situation(self) -> PairingConditions:
        model, plan = self._extraction.model, self._extraction.plan
        num_parameters = int(model["num_parameters"])
        return PairingConditions(
            has_adapter=self.models.has_adapter,
            weight_bytes=num_parameters * (4 if self._extraction.dtype == "float32" else 2),
            memory_bytes=free_memory(self._device, self._params.memory_gb),
            spool_bytes=self._spool.bytes,
            is_shared=self._spool.is_shared,
            forward_s=estimate_forward_seconds(
                num_parameters, len(plan.token_ids), self._device, self._work.threads
            ),
        )

    def _written(self, unit: Unit) -> None:
        """On the writer's thread: a unit is on disk; every few seconds publish what is."""
        self._unpublished.append(unit)
        # A sync costs 9 ms, a small unit 20: a kill leaves whole units behind without it too.
        if time.monotonic() - self._published >= _PUBLISH_EVERY_S:
            self._publish()

    def _publish(self) -> None:
        while self._unpublished:
            unit = self._unpublished[0]
            place = f"{FOLDER}/{unit.name}"
            entries = list_unit_files((self._work.folder / place / MARKER).read_bytes())
            self._work.attempt.publish(place, discard=True, entries=entries)
            del self._unpublished[0]
        self._published = time.monotonic()


def _index(
    extraction: ExtractionPlan, planned: Sequence[Unit], floor: Mapping[str, Any]
) -> dict[str, Any]:
    present = {position.policy for position in extraction.positions}
    return {
        "sites": list(dict.fromkeys(extraction.params.sites)),
        "layers": list(extraction.layers),
        "positions": [position.label for position in extraction.positions],
        "absent_positions": [each for each in extraction.policies if each not in present],
        "missing": dict(extraction.missing),
        "dtype": extraction.dtype,
        "attention": extraction.params.attention,
        "template": extraction.template_digest,
        "token_plan": extraction.plan.hash,
        "num_prompts": len(extraction.plan.prompts),
        "num_tokens": len(extraction.plan.token_ids),
        "too_long": list(extraction.too_long),
        "num_units": len(planned),
        "num_reservoir": extraction.params.num_reservoir,
        "rowwise": sorted(extraction.keeping.rowwise),
        "dense": sorted(extraction.keeping.dense),
        "floor": dict(floor),
    }


def _write_index(work: Work, index: Mapping[str, Any], plan: TokenPlan) -> None:
    from safetensors.numpy import save_file

    save_file(plan.to_arrays(), work.folder / PLAN)
    text = json.dumps(index, indent=1, sort_keys=True) + "\n"
    (work.folder / INDEX).write_text(text, encoding="utf-8")
