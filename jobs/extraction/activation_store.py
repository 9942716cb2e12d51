"""`ActivationStore`: reads what an extraction left, one site, layer and position at a time.

The layout is normative in docs/activation-store.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from analysis.summary import GroupSummary, Reservoir, Sample
from cluster.errors import SurroundingsError
from jobs.artifact import Artifact
from jobs.extraction.activation_units import FOLDER, MARKER
from jobs.extraction.unit_rows import array_prefix
from jobs.tokens.plan import TokenPlan

INDEX = "store.json"
"""What was extracted: sites, layers, positions, missing sites, floors, number of units."""
PLAN = "token_plan.safetensors"
"""The tokens, and whose they are."""


class ActivationStore:
    """The rows and summaries of one paired extraction; nothing is read before it is asked for."""

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact
        self._index: Mapping[str, Any] = json.loads(artifact.read(INDEX))
        self._files: dict[tuple[str, str], Any] = {}

    @property
    def sites(self) -> Sequence[str]:
        """Sites asked for, those that the family lacks included."""
        sites: Sequence[str] = self._index["sites"]
        return sites

    @property
    def layers(self) -> Sequence[int]:
        """Layers asked for, ascending."""
        layers: Sequence[int] = self._index["layers"]
        return layers

    @property
    def positions(self) -> Sequence[str]:
        """Position labels that have rows."""
        labels: Sequence[str] = self._index["positions"]
        return labels

    @property
    def absent_positions(self) -> Sequence[str]:
        """Position policies that were asked for and have no row in these prompts."""
        policies: Sequence[str] = self._index["absent_positions"]
        return policies

    @property
    def missing(self) -> Mapping[str, str]:
        """Site -> why this family does not have it."""
        reasons: Mapping[str, str] = self._index["missing"]
        return reasons

    @property
    def token_plan_hash(self) -> str:
        """Hash of the tokens that both models saw."""
        return str(self._index["token_plan"])

    @cached_property
    def token_plan(self) -> TokenPlan:
        """The tokens that both models saw. Raises SurroundingsError when they are not those."""
        from safetensors.numpy import load_file

        plan = TokenPlan.from_arrays(load_file(self._artifact.path(PLAN)))
        if plan.hash != self.token_plan_hash:
            raise SurroundingsError("the token plan is not the store's", where=repr(self._artifact))
        return plan

    def has(self, site: str, layer: int, label: str) -> bool:
        """True when rows of this site, layer and position were extracted."""
        known = site in self.sites and layer in self.layers and label in self.positions
        return known and site not in self.missing

    def floor(self, site: str, layer: int, label: str) -> Mapping[str, float] | None:
        """`offset_norm` and `relative_norm` of the base against itself; None when not measured."""
        found: Mapping[str, float] | None = self._index["floor"].get(
            array_prefix((site, layer), label).rstrip(".")
        )
        return found

    def sample(self, site: str, layer: int, label: str) -> Sample:
        """Summaries by prompt group and the kept rows, units merged in the order of their ids."""
        assert self.has(site, layer, label), f"{site}.{layer}.{label} was not extracted"
        prefix = array_prefix((site, layer), label)
        groups: dict[int, GroupSummary] = {}
        for group, unit in self._units():
            arrays = _Arrays(self, unit)
            if f"{prefix}counts" in arrays:
                summary = GroupSummary.from_arrays(arrays, prefix)
                groups[group] = groups[group].merge(summary) if group in groups else summary
        return Sample(groups=groups, reservoir=self.rows(site, layer, label))

    def rows(self, site: str, layer: int, label: str) -> Reservoir:
        """The kept rows, with the prompt and the group each belongs to."""
        name = f"{array_prefix((site, layer), label)}rows"
        found = [_Arrays(self, unit)[name] for unit in self._present(label)]
        tokens = self.kept_tokens(label)
        owners = self.token_plan.owners[tokens]
        rows: Float32[np.ndarray, "rows d"] = np.concatenate(found).astype(np.float32)
        return Reservoir(
            rows=rows,
            prompts=self.token_plan.prompts[owners],
            groups=self.token_plan.groups[owners],
        )

    def kept_tokens(self, label: str) -> Int64[np.ndarray, " rows"]:
        """Which token of the plan each kept row of a position stands at (its first, if pooled)."""
        name = f"kept.{label}.tokens"
        return np.concatenate([_Arrays(self, unit)[name] for unit in self._present(label)])

    def _present(self, label: str) -> Iterator[Mapping[str, Any]]:
        """Units that have rows of a position."""
        for _, unit in self._units():
            if unit["rows"][label]:
                yield unit

    def _units(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        for unit in self._markers:
            yield unit["group"], unit

    @cached_property
    def _markers(self) -> list[Mapping[str, Any]]:
        names = [f"{FOLDER}/{number:06d}/{MARKER}" for number in range(self._index["num_units"])]
        markers = [json.loads(self._artifact.read(name)) for name in names]
        if any(marker["token_plan"] != self.token_plan_hash for marker in markers):
            raise SurroundingsError("a unit is of another token plan", where=repr(self._artifact))
        return markers

    def open_shard(self, unit: int, file: str, framework: str) -> Any:
        """A lazily read safetensors file of a unit, its digest checked when it is first opened."""
        from safetensors import safe_open

        name = f"{FOLDER}/{unit:06d}/{file}"
        if (name, framework) not in self._files:
            path = self._artifact.path(name)
            self._files[name, framework] = safe_open(path, framework=framework)
        return self._files[name, framework]


class _Arrays(Mapping[str, np.ndarray]):
    """The arrays of one unit by name, each read when asked for."""

    def __init__(self, store: ActivationStore, unit: Mapping[str, Any]) -> None:
        self._store = store
        self._unit = unit
        self._where = {
            name: file for file, shard in unit["shards"].items() for name in shard["tensors"]
        }

    def __getitem__(self, name: str) -> np.ndarray:
        unit, file = self._unit["unit"], self._where[name]
        if self._unit["shards"][file]["tensors"][name]["dtype"] == "bfloat16":  # numpy has none
            tensor = self._store.open_shard(unit, file, "pt").get_tensor(name)
            return np.asarray(tensor.float().numpy())
        return np.asarray(self._store.open_shard(unit, file, "numpy").get_tensor(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)
