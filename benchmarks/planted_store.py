"""Stores with planted rows, published under a root as extractions are, for jobs of kind `measure`.

One row a prompt, all of them kept, as at the position `last`; a mean and a decaying spectrum.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.rows.summary import GroupSummary
from cluster.executor import Surroundings
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, Record
from jobs.artifacts.identity import key_of
from jobs.artifacts.job import InputRef
from jobs.run import run
from jobs.store.store_folder import StoreFolder, rebuild_index
from jobs.store.store_layout import INDEX, PLAN, UNITS, array_prefix
from jobs.store.unit_writer import RowBlock, UnitWriter
from jobs.tokens.batches import Unit, cut_units
from jobs.tokens.plan import TokenPlan
from jobs.worker.assignment import Assignment
from jobs.worker.attempt_folder import AttemptFolder

SITES = ("resid_mid", "resid_post", "mlp_out")
NUM_GROUPS = 20
BASE = key_of({"kind": "pretrained", "name": "planted"})
"""Key of the base that all stores of a root are of."""


@dataclass(frozen=True, kw_only=True)
class PlantedRoot:
    """A root for stores of one shape, and jobs that measure them."""

    storage: Storage
    """The root."""
    num_prompts: int
    """Rows of each place."""
    width: int
    """d."""
    num_layers: int
    """Layers kept of every site."""

    def inputs(self) -> dict[str, Artifact]:
        """Publish all inputs of a job of kind `measure`."""
        stores = {name: self.store(name, seed) for seed, name in enumerate(("delta", "against"))}
        return {**stores, "toxic": self.toxic()}

    def measured(self, inputs: Mapping[str, Artifact], threads: int = 2) -> Artifact:
        """Return what a job with all metrics leaves, as a worker runs it; raise where it fails."""
        key = key_of({"kind": "measure", "inputs": {n: each.key for n, each in inputs.items()}})
        assignment = Assignment(
            root=self.storage.url,
            root_id="planted",
            study="planted",
            kind="measure",
            key=key,
            label="measure",
            identity_params={"metrics": ["all"]},
            own_params={},
            pins={},
            inputs={
                name: [InputRef(kind=each.kind, key=each.key, stage=name, cell={})]
                for name, each in inputs.items()
            },
            attempt="1",
            worker=0,
            num_workers=1,
            threads=threads,
            commit=None,
            mirror_folder="",
        )
        answer = json.loads(run(assignment.to_json(), Surroundings(stop_requested=lambda: False)))
        if answer["state"] != "done":
            raise RuntimeError(str(answer))
        return assignment.artifact

    def store(self, name: str, seed: int) -> Artifact:
        """Publish a store under a name."""
        from safetensors.numpy import save_file

        plan = self._plan()

        def write(folder: Path) -> None:
            for unit in cut_units(plan, 1 << 20):
                self._write_unit(folder / UNITS, unit, plan, seed)
            save_file(plan.to_arrays(), folder / PLAN)
            (folder / INDEX).write_text(json.dumps(rebuild_index(StoreFolder(folder))))

        return self._published(name, "extract", write)

    def toxic(self) -> Artifact:
        """Publish directions of the base that all stores are of."""
        from safetensors.numpy import save_file

        vectors = np.random.default_rng(5).standard_normal((4, self.width), dtype=np.float32)
        numbers = np.arange(4)
        arrays = {
            "probe": vectors[0],
            "svd": vectors,
            "layers": numbers % self.num_layers,
            "neurons": numbers,
            "cosines": np.ones(4),
            "vectors": vectors,
        }
        return self._published(
            "toxic",
            "probe-direction",
            lambda folder: save_file(arrays, folder / "toxic_directions.safetensors"),
        )

    def _plan(self) -> TokenPlan:
        number = self.num_prompts
        return TokenPlan(
            prompts=np.arange(number),
            groups=np.arange(number) % NUM_GROUPS,
            offsets=np.arange(number + 1),
            token_ids=np.arange(number, dtype=np.int32),
            roles=np.ones(number, dtype=np.int8),
            segments=np.zeros(number, dtype=np.int16),
            final_segments=np.zeros(number, dtype=np.int16),
        )

    def _write_unit(self, folder: Path, unit: Unit, plan: TokenPlan, seed: int) -> None:
        draw = np.random.default_rng([seed, unit.number])
        scale = np.arange(1.0, self.width + 1).astype(np.float32) ** -0.5
        places = [(site, layer) for site in SITES for layer in range(self.num_layers)]
        shape = len(unit.members), self.width

        def drawn(mean: float, size: float) -> np.ndarray:
            return (draw.standard_normal(shape, dtype=np.float32) + np.float32(mean)) * scale * size

        rows = {place: drawn(0.5, 1.0) for place in places}
        base = {place: drawn(0.0, 20.0) for place in places}
        block = RowBlock(
            label="last",
            tokens=unit.members,
            reservoir=np.ones(len(unit.members), dtype=bool),
            rows=rows,
            base=base,
        )
        writer = UnitWriter(folder, unit, plan.hash)
        writer.add(block)
        arrays: dict[str, np.ndarray] = {}
        for place in places:
            norms = np.linalg.norm(base[place], axis=1)
            prompts = plan.prompts[unit.members]
            summary = GroupSummary.from_rows(rows[place], norms, prompts, moments=False)
            arrays |= summary.to_arrays(array_prefix(place, "last"))
        writer.finish(arrays, {"rows": {"last": len(unit.members)}})

    def _published(self, name: str, kind: str, write: Callable[[Path], None]) -> Artifact:
        artifact = Artifact(self.storage, kind, key_of({"kind": kind, "name": name}))
        attempt = AttemptFolder(artifact, "1")
        write(attempt.path)
        record = Record(
            key=artifact.key,
            kind=kind,
            attempt="1",
            files=attempt.seal(),
            facts={"model": self._model()},
            inputs={BASE: "planted"},
        )
        self.storage.create(artifact.record_name, record.to_json())
        return artifact

    def _model(self) -> Mapping[str, object]:
        return {
            "family": "llama",
            "num_parameters": 7_000_000_000,
            "num_parameters_non_embedding": 6_700_000_000,
            "d_model": self.width,
            "num_layers": self.num_layers,
        }
