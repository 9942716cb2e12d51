"""A store without its record or its index: read from a bare folder, the index made again.

The units are the truth of a store, `store.json` says the same at a glance. What no unit knows (why
a site is missing, the floor, prompts left out) comes back by running the study again, which
takes over every unit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

from cluster.errors import SurroundingsError
from jobs.artifacts.artifact import digest_file
from jobs.store.activation_units import FOLDER, MARKER
from jobs.store.store_files import PLAN
from jobs.store.unit_arrays import StoreFiles, UnitArrays
from jobs.tokens.plan import TokenPlan


class StoreFolder:
    """The files of a store that was copied somewhere; shards are checked against their markers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._checked: set[str] = set()

    def __repr__(self) -> str:
        return f"StoreFolder({self._folder})"

    def names(self, folder: str = "") -> list[str]:
        """Names of the files below a folder, sorted."""
        files = (path for path in self._folder.rglob("*") if path.is_file())
        names = (path.relative_to(self._folder).as_posix() for path in files)
        return sorted(name for name in names if name.startswith(folder))

    def path(self, name: str) -> Path:
        """The file. Raises SurroundingsError for a shard that is not what its marker says."""
        path = self._folder / name
        if path.suffix == ".safetensors" and name != PLAN and name not in self._checked:
            shards = json.loads((path.parent / MARKER).read_bytes())["shards"]
            if not path.exists() or digest_file(path) != shards[path.name]["xxh3"]:
                raise SurroundingsError(f"{name} is damaged", where=str(self._folder))
            self._checked.add(name)
        return path

    def read(self, name: str) -> bytes:
        """Its bytes."""
        return self.path(name).read_bytes()


def rebuild_index(files: StoreFiles) -> dict[str, Any]:
    """What `store.json` says, from the units and the token plan.

    Raises SurroundingsError when a unit is missing, foreign, or not of this plan.
    """
    plan = TokenPlan.from_arrays(load_file(files.path(PLAN)))
    names = {name.split("/")[1] for name in files.names(f"{FOLDER}/") if name.endswith(MARKER)}
    units = [UnitArrays(files, name) for name in sorted(names)]
    prompts = sum(unit.marker["num_prompts"] for unit in units)
    same = all(unit.marker["token_plan"] == plan.hash for unit in units)
    if not same or prompts != len(plan.prompts):
        raise SurroundingsError(
            f"these are not all units of the token plan: {prompts} of {len(plan.prompts)} prompts",
            where=repr(files),
            hint="run the study again: units that are whole are taken over",
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
    """Site, layer and position of every summary."""
    for name in unit:
        site, *rest = name.split(".")
        if len(rest) == 3 and rest[2] == "counts":
            yield site, int(rest[0]), rest[1]


def _is_rowwise(units: Sequence[UnitArrays], label: str) -> bool:
    """True when every row of a position is stored in float32, and no moments beside them."""
    for unit in units:
        rows = [name for name in unit if f".{label}.rows." in name]
        tokens = [unit.shape(f"stored.{label}.tokens.{end}")[0] for end in unit.blocks(label)]
        whole = sum(tokens) == unit.marker["rows"][label]
        summed = any(f".{label}.moments." in name for name in unit)
        if not whole or summed or any(unit.dtype(name) != "float32" for name in rows):
            return False
    return True


def _num_reservoir(units: Sequence[UnitArrays], label: str) -> int:
    ends = [(unit, end) for unit in units for end in unit.blocks(label)]
    return int(sum(unit[f"stored.{label}.reservoir.{end}"].sum() for unit, end in ends))
