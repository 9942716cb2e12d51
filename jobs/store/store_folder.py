"""A store in a bare folder, without its record: shards are checked, and the index made again.

Units hold all of a store; `store.json` summarises them. Facts that no unit holds (why a site is
missing, the floor, prompts left out) come back by running the study again, which adopts every unit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from cluster.errors import SurroundingsError
from jobs.artifacts.artifact import digest_file
from jobs.store.store_layout import MARKER, PLAN, UNITS, StoreFiles, StoreIndex
from jobs.store.unit_arrays import UnitArrays
from jobs.tokens.plan import TokenPlan


class StoreFolder:
    """The files of a copied store; shards are checked against the markers of their units."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._checked: set[str] = set()

    def __repr__(self) -> str:
        return f"StoreFolder({self._folder})"

    def names(self, folder: str = "") -> list[str]:
        """List the names of the files below a folder, sorted."""
        files = (path for path in self._folder.rglob("*") if path.is_file())
        names = (path.relative_to(self._folder).as_posix() for path in files)
        return sorted(name for name in names if name.startswith(folder))

    def path(self, name: str) -> Path:
        """Return a file; raise SurroundingsError for a shard that its marker does not match."""
        path = self._folder / name
        if path.suffix == ".safetensors" and name != PLAN and name not in self._checked:
            shards = json.loads((path.parent / MARKER).read_bytes())["shards"]
            if not path.exists() or digest_file(path) != shards[path.name]["xxh3"]:
                raise SurroundingsError(f"{name} is damaged", where=str(self._folder))
            self._checked.add(name)
        return path

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        return self.path(name).read_bytes()


def rebuild_index(files: StoreFiles) -> StoreIndex:
    """Make the content of `store.json` from the units and the token plan.

    Raises SurroundingsError when a unit is missing, or of another plan.
    """
    from safetensors.numpy import load_file

    plan = TokenPlan.from_arrays(load_file(files.path(PLAN)))
    names = {name.split("/")[1] for name in files.names(f"{UNITS}/") if name.endswith(MARKER)}
    units = [UnitArrays(files, name) for name in sorted(names)]
    num_prompts = sum(unit.marker["num_prompts"] for unit in units)
    is_same_plan = all(unit.marker["token_plan"] == plan.hash for unit in units)
    if not is_same_plan or num_prompts != len(plan.prompts):
        raise SurroundingsError(
            "these are not all units of the token plan: "
            f"{num_prompts} of {len(plan.prompts)} prompts",
            where=repr(files),
            hint="run the study again: whole units are adopted",
        )
    places = sorted({place for unit in units for place in _places(unit)})
    return {
        "sites": sorted({site for site, _, _ in places}),
        "layers": sorted({layer for _, layer, _ in places}),
        "positions": sorted({label for _, _, label in places}),
        "absent_positions": [],
        "missing": {},
        "rowwise": sorted({label for _, _, label in places if _is_rowwise(units, label)}),
        "num_reservoir": max((_num_reservoir(units, label) for _, _, label in places), default=0),
        "token_plan": plan.hash,
        "num_prompts": len(plan.prompts),
        "num_tokens": len(plan.token_ids),
        "num_units": len(units),
        "floor": {},
    }


def _places(unit: UnitArrays) -> Iterator[tuple[str, int, str]]:
    """Yield site, layer and position of every summary of a unit."""
    for name in unit:
        site, *rest = name.split(".")
        if len(rest) == 3 and rest[2] == "counts":
            yield site, int(rest[0]), rest[1]


def _is_rowwise(units: Sequence[UnitArrays], label: str) -> bool:
    """Tell whether every row of a position is stored in float32, without moments."""
    for unit in units:
        rows = [name for name in unit if f".{label}.rows." in name]
        tokens = [unit.shape(f"stored.{label}.tokens.{end}")[0] for end in unit.blocks(label)]
        has_all_rows = sum(tokens) == unit.marker["rows"][label]
        has_moments = any(f".{label}.moments." in name for name in unit)
        if not has_all_rows or has_moments or any(unit.dtype(row) != "float32" for row in rows):
            return False
    return True


def _num_reservoir(units: Sequence[UnitArrays], label: str) -> int:
    ends = [(unit, end) for unit in units for end in unit.blocks(label)]
    return int(sum(unit[f"stored.{label}.reservoir.{end}"].sum() for unit, end in ends))
