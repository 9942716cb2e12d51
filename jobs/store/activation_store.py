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
from jaxtyping import Float32, Int64

from analysis.rows.moments import Moments
from analysis.rows.summary import GroupSummary, Reservoir, Sample
from cluster.errors import SurroundingsError, UserError, unknown_name
from jobs.store.activation_units import array_prefix
from jobs.store.row_index import RowIndex
from jobs.store.store_files import INDEX, PLAN
from jobs.store.stored_rows import Framework, StoredRows
from jobs.store.unit_arrays import StoreFiles, UnitArrays
from jobs.tokens.plan import TokenPlan

_Block = tuple[int, str]
"""Number of a unit, and how the names of one of its blocks of rows end."""
Which = Literal["rows", "base"]
"""Rows of δ, or of the base."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Placing:
    """Where the rows of one position lie."""

    stored: RowIndex
    """The stored rows of δ."""
    reservoir: RowIndex
    """The base's rows, which are the reservoir's alone."""
    blocks: Sequence[_Block]
    """What both indices number."""


class ActivationStore:
    """The rows and summaries of one paired extraction; nothing is read before it is asked for."""

    def __init__(self, files: StoreFiles) -> None:
        self.files = files
        self._placed: dict[str, _Placing] = {}
        if INDEX in files.names():
            self._index: Mapping[str, Any] = json.loads(files.read(INDEX))
        else:
            from jobs.store.store_folder import rebuild_index

            self._index = rebuild_index(files)

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

        plan = TokenPlan.from_arrays(load_file(self.files.path(PLAN)))
        if plan.hash != self.token_plan_hash:
            raise SurroundingsError("the token plan is not the store's", where=repr(self.files))
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

    @cached_property
    def units(self) -> Sequence[UnitArrays]:
        """All units in the order of their numbers. Raises SurroundingsError for a foreign one."""
        found = [UnitArrays(self.files, f"{n:06d}") for n in range(self._index["num_units"])]
        for unit in found:
            if unit.marker["token_plan"] != self.token_plan_hash:
                raise SurroundingsError(
                    f"unit {unit.name} is of another token plan", where=repr(self.files)
                )
        return found

    @property
    def num_reservoir(self) -> int:
        """Most rows of a position that are kept for every model of a ladder, chosen by hash."""
        return int(self._index["num_reservoir"])

    def sample(self, site: str, layer: int, label: str) -> Sample:
        """Summaries by prompt group and the reservoir, units merged in the order of their ids."""
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
        groups = {group: GroupSummary.merge_all(each) for group, each in parts.items()}
        return Sample(groups=groups, reservoir=self.rows(site, layer, label))

    def rows(self, site: str, layer: int, label: str) -> Reservoir:
        """The reservoir in float32, in the plan's order, with prompts, groups and base rows."""
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
        """True when every row of a position is stored."""
        num_rows: int = sum(unit.marker["rows"].get(label, 0) for unit in self.units)
        return int(self._placing(label).stored.tokens.size) == num_rows

    def kept_tokens(self, label: str) -> Int64[np.ndarray, " rows"]:
        """Token of the plan that each row of `rows` stands at (of a pooled row, its first)."""
        if label not in self.positions:
            raise unknown_name("position", label, self.positions, where=repr(self.files))
        return self._placing(label).reservoir.tokens

    def stored(
        self, site: str, layer: int, label: str, framework: Framework = "numpy"
    ) -> StoredRows:
        """All stored rows in the plan's order, as arrays or tensors, read where they are indexed.

        Raises UserError when this site, layer or position was not extracted.
        """
        return self._lying(site, layer, label, "rows", framework)

    def base(self, site: str, layer: int, label: str, framework: Framework = "numpy") -> StoredRows:
        """The base model's activations, in float32, at the rows of the reservoir.

        Raises UserError when this site, layer or position was not extracted.
        """
        return self._lying(site, layer, label, "base", framework)

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
        """One row [d]: of a prompt's id and a position from 0, or None where it has only one.

        Raises UserError, saying what is stored, when that row is not.
        """
        stored = self.stored(site, layer, label, framework)
        return stored[stored.index.find(prompt, position)]

    def _lying(
        self, site: str, layer: int, label: str, which: Which, framework: Framework
    ) -> StoredRows:
        self._require(site, layer, label)
        prefix = array_prefix((site, layer), label)
        placing = self._placing(label)
        dtype, width = self._form(prefix, placing.blocks)

        def block(number: int) -> np.ndarray:
            unit, end = placing.blocks[number]
            return self.units[unit].raw(f"{prefix}{which}.{end}")

        if which == "base":
            dtype = "float32"
        index = placing.stored if which == "rows" else placing.reservoir
        return StoredRows(index, block, dtype=dtype, width=width, framework=framework)

    def _require(self, site: str, layer: int, label: str) -> None:
        """Raise UserError, with what there is, for what was not extracted."""
        where = repr(self.files)
        if site in self.missing:
            raise UserError(f"there is no {site}: {self.missing[site]}", where=where)
        asked = (("site", site, self.sites), ("position", label, self.positions))
        for what, name, known in asked:
            if name not in known:
                raise unknown_name(what, name, known, where=where)
        if layer not in self.layers:
            near = min(self.layers, key=lambda each: abs(each - layer))
            raise UserError(
                f"layer {layer} was not extracted",
                where=where,
                allowed=[str(each) for each in self.layers],
                hint=f"the nearest is {near}",
            )

    def _placing(self, label: str) -> _Placing:
        """Where the stored rows of a position lie: read once."""
        if label not in self._placed:
            blocks = [
                (number, end)
                for number, unit in enumerate(self.units)
                for end in unit.blocks(label)
            ]
            named = [(self.units[number], end) for number, end in blocks]
            rows = [
                (unit[f"stored.{label}.tokens.{end}"], unit[f"stored.{label}.reservoir.{end}"])
                for unit, end in named
            ]
            kept = [(tokens[chosen], chosen[chosen]) for tokens, chosen in rows]
            self._placed[label] = _Placing(
                stored=RowIndex.of_blocks(self.token_plan, rows),
                reservoir=RowIndex.of_blocks(self.token_plan, kept),
                blocks=blocks,
            )
        return self._placed[label]

    def _form(self, prefix: str, blocks: Sequence[_Block]) -> tuple[str, int]:
        """How the rows of a place are stored, and d."""
        for number, end in blocks:
            name = f"{prefix}rows.{end}"
            return self.units[number].dtype(name), self.units[number].shape(name)[1]
        sums = f"{prefix}directions.unit_sum"
        widths = [unit.shape(sums)[0] for unit in self.units if sums in unit]
        return "float32", max(widths, default=0)

    def _rows_by_unit(self, site: str, layer: int, label: str) -> Sequence[np.ndarray] | None:
        """Rows of each unit in the plan's order, where moments are made of them; else None."""
        if label not in self._index["rowwise"]:
            return None
        stored = self.stored(site, layer, label)
        blocks = self._placing(label).blocks
        owners = np.array([number for number, _ in blocks], dtype=np.int64)[stored.index.blocks]
        order = np.argsort(owners, kind="stable")
        ends = np.searchsorted(owners[order], np.arange(1, len(self.units)))
        return [stored[rows] for rows in np.split(order, ends)]
