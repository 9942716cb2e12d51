"""`ActivationStore`: reads what an extraction left, one site, layer and position at a time.

The layout is normative in docs/reference/activation-store.md.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float32

from analysis.rows.moments import Moments
from analysis.rows.summary import GroupSummary, Reservoir, Sample
from cluster.errors import SurroundingsError, UserError, unknown_name
from jobs.store.row_index import RowIndex
from jobs.store.store_folder import rebuild_index
from jobs.store.store_layout import INDEX, PLAN, StoreFiles, StoreIndex, array_prefix
from jobs.store.stored_rows import Framework, StoredRows
from jobs.store.unit_arrays import UnitArrays
from jobs.tokens.plan import TokenPlan

_Block = tuple[int, str]
"""Number of a unit, and the end of the names of one of its blocks of rows."""
RowKind = Literal["rows", "base"]
"""Rows of δ, or activations of the base."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _RowLocations:
    """The blocks that hold the rows of one position, and the rows in them."""

    stored: RowIndex
    """The stored rows of δ."""
    reservoir: RowIndex
    """The rows of the base, which are those of the reservoir."""
    blocks: Sequence[_Block]
    """The blocks, in the order that both indices number them."""


class ActivationStore:
    """The rows and summaries of one paired extraction; arrays are read on request."""

    def __init__(self, files: StoreFiles) -> None:
        self.files = files
        self._locations: dict[str, _RowLocations] = {}
        if INDEX in files.names():
            self._index: StoreIndex = json.loads(files.read(INDEX))
        else:
            self._index = rebuild_index(files)
        self.sites: Sequence[str] = self._index["sites"]
        """Sites that the study names, those that the family lacks included."""
        self.layers: Sequence[int] = self._index["layers"]
        """Layers that the study names, ascending."""
        self.positions: Sequence[str] = self._index["positions"]
        """Position labels that have rows."""
        self.absent_positions: Sequence[str] = self._index["absent_positions"]
        """Position policies that the study names and that have no row in these prompts."""
        self.missing: Mapping[str, str] = self._index["missing"]
        """Site -> why the family does not have it."""
        self.token_plan_hash = self._index["token_plan"]
        """Hash of the tokens that both models saw."""
        self.num_reservoir = self._index["num_reservoir"]
        """Most rows of a position in the reservoir, chosen by hash, the same for every model."""

    @cached_property
    def token_plan(self) -> TokenPlan:
        """The tokens that both models saw; SurroundingsError when the file has other tokens."""
        from safetensors.numpy import load_file

        plan = TokenPlan.from_arrays(load_file(self.files.path(PLAN)))
        if plan.hash != self.token_plan_hash:
            raise SurroundingsError("the token plan is not the store's", where=repr(self.files))
        return plan

    def has(self, site: str, layer: int, label: str) -> bool:
        """Tell whether rows of a site, layer and position were extracted."""
        is_listed = site in self.sites and layer in self.layers and label in self.positions
        return is_listed and site not in self.missing

    def floor(self, site: str, layer: int, label: str) -> Mapping[str, float] | None:
        """Return the norms of the base against itself, by metric; None when not measured.

        `offset_norm` and `relative_norm`, with `weight_rounding_...` parts where there are some.
        """
        return self._index["floor"].get(array_prefix((site, layer), label).rstrip("."))

    @cached_property
    def units(self) -> Sequence[UnitArrays]:
        """All units in the order of their numbers; SurroundingsError for a foreign one."""
        units = [UnitArrays(self.files, f"{n:06d}") for n in range(self._index["num_units"])]
        for unit in units:
            if unit.marker["token_plan"] != self.token_plan_hash:
                raise SurroundingsError(
                    f"unit {unit.name} is of another token plan", where=repr(self.files)
                )
        return units

    def sample(self, site: str, layer: int, label: str) -> Sample:
        """Read summaries by prompt group, merged in the order of units, and the reservoir.

        Raises UserError when this site, layer or position was not extracted.
        """
        self._require(site, layer, label)
        prefix = array_prefix((site, layer), label)
        rows = self._rows_by_unit(site, layer, label)
        parts: dict[int, list[GroupSummary]] = {}
        for number, unit in enumerate(self.units):
            if f"{prefix}counts" not in unit:
                continue
            summary = GroupSummary.from_arrays(unit, prefix)
            if rows is not None:
                summary = dataclasses.replace(summary, moments=Moments.from_rows(rows[number]))
            parts.setdefault(unit.marker["group"], []).append(summary)
        groups = {group: GroupSummary.merge_all(summaries) for group, summaries in parts.items()}
        return Sample(groups=groups, reservoir=self.rows(site, layer, label))

    def rows(self, site: str, layer: int, label: str) -> Reservoir:
        """Read the reservoir: rows [rows, d] in float32, in the plan's order, with base rows.

        Raises UserError when this site, layer or position was not extracted.
        """
        stored = self.stored(site, layer, label)
        chosen = stored.index.reservoir
        rows: Float32[np.ndarray, "rows d"] = stored[chosen].astype(np.float32, copy=False)
        return Reservoir(
            rows=rows,
            prompts=stored.index.prompts[chosen],
            groups=stored.index.groups[chosen],
            base=self.base(site, layer, label)[:],
        )

    def keeps_all(self, label: str) -> bool:
        """Tell whether every row of a position is stored."""
        num_rows = sum(unit.marker["rows"].get(label, 0) for unit in self.units)
        return int(self._locate(label).stored.tokens.size) == num_rows

    def stored(
        self, site: str, layer: int, label: str, framework: Framework = "numpy"
    ) -> StoredRows:
        """Return all stored rows [rows, d] of δ in the plan's order; indexing reads them.

        Raises UserError when this site, layer or position was not extracted.
        """
        return self._rows(site, layer, label, "rows", framework)

    def base(self, site: str, layer: int, label: str, framework: Framework = "numpy") -> StoredRows:
        """Return the base model's activations [rows, d], in float32, at rows of the reservoir.

        Raises UserError when this site, layer or position was not extracted.
        """
        return self._rows(site, layer, label, "base", framework)

    def row(
        self,
        prompt: int,
        position: int | None,
        *,
        site: str,
        layer: int,
        label: str,
        framework: Framework = "numpy",
    ) -> Any:
        """Read one row [d] of δ.

        Args:
            prompt: id of a prompt.
            position: position in the prompt, from 0; None for the only row of the prompt.
            site: a site.
            layer: a layer, from 0.
            label: a position label.
            framework: library of the returned array.

        Raises:
            UserError: the row is not stored; the error lists the rows that are.
        """
        stored = self.stored(site, layer, label, framework)
        return stored[stored.index.find(prompt, position)]

    def _rows(
        self, site: str, layer: int, label: str, kind: RowKind, framework: Framework
    ) -> StoredRows:
        self._require(site, layer, label)
        prefix = array_prefix((site, layer), label)
        locations = self._locate(label)
        dtype, width = self._dtype_and_width(prefix, locations.blocks)

        def block(number: int) -> np.ndarray:
            unit, end = locations.blocks[number]
            return self.units[unit].raw(f"{prefix}{kind}.{end}")

        if kind == "base":
            dtype = "float32"
        index = locations.stored if kind == "rows" else locations.reservoir
        return StoredRows(index=index, block=block, dtype=dtype, width=width, framework=framework)

    def _require(self, site: str, layer: int, label: str) -> None:
        """Raise UserError, naming what exists, for a place that was not extracted."""
        where = repr(self.files)
        if site in self.missing:
            raise UserError(f"there is no {site}: {self.missing[site]}", where=where)
        for what, name, existing in (
            ("site", site, self.sites),
            ("position", label, self.positions),
        ):
            if name not in existing:
                raise unknown_name(what, name, existing, where=where)
        if layer not in self.layers:
            near = min(self.layers, key=lambda extracted: abs(extracted - layer))
            raise UserError(
                f"layer {layer} was not extracted",
                where=where,
                allowed=[str(extracted) for extracted in self.layers],
                hint=f"the nearest is {near}",
            )

    def _locate(self, label: str) -> _RowLocations:
        """Return where the stored rows of a position lie; units are read once."""
        if label not in self._locations:
            blocks = [
                (number, end)
                for number, unit in enumerate(self.units)
                for end in unit.blocks(label)
            ]
            units = [(self.units[number], end) for number, end in blocks]
            rows = [
                (unit[f"stored.{label}.tokens.{end}"], unit[f"stored.{label}.reservoir.{end}"])
                for unit, end in units
            ]
            reservoir = [(tokens[chosen], chosen[chosen]) for tokens, chosen in rows]
            self._locations[label] = _RowLocations(
                stored=RowIndex.of_blocks(self.token_plan, rows),
                reservoir=RowIndex.of_blocks(self.token_plan, reservoir),
                blocks=blocks,
            )
        return self._locations[label]

    def _dtype_and_width(self, prefix: str, blocks: Sequence[_Block]) -> tuple[str, int]:
        """Return the stored dtype of the rows of a place, and d."""
        for number, end in blocks:
            name = f"{prefix}rows.{end}"
            return self.units[number].dtype(name), self.units[number].shape(name)[1]
        sums = f"{prefix}directions.unit_sum"
        widths = [unit.shape(sums)[0] for unit in self.units if sums in unit]
        return "float32", max(widths, default=0)

    def _rows_by_unit(
        self, site: str, layer: int, label: str
    ) -> Sequence[Float[np.ndarray, "_ d"]] | None:
        """Read the rows of each unit in the plan's order; None where units have moments."""
        if label not in self._index["rowwise"]:
            return None
        stored = self.stored(site, layer, label)
        blocks = self._locate(label).blocks
        owners = np.array([number for number, _ in blocks], dtype=np.int64)[stored.index.blocks]
        order = np.argsort(owners, kind="stable")
        ends = np.searchsorted(owners[order], np.arange(1, len(self.units)))
        return [stored[rows] for rows in np.split(order, ends)]
