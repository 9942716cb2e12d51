"""The circumstances of a measurement, read off the jobs it came from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.long_table.circumstances import Circumstances, Origin
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import artifact_folder

_TRAINED = "align"
_STEERED = frozenset({"pplm"})
"""Formats whose pairs are a model's continuations against steered ones."""
_GENERATED = frozenset({"nursery"})
"""Formats whose text is drawn from a generated language."""


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What `job.json` says of one job."""

    kind: str
    """Its kind."""
    key: str
    """Its key."""
    params: Mapping[str, Any]
    """Its params."""
    inputs: Mapping[str, _Asked]
    """Its inputs by name, the first of each."""


@dataclass(kw_only=True)
class Ancestry:
    """The jobs under a root, each read once."""

    storage: Storage
    """Where they are."""
    known: dict[str, _Asked | None] = field(default_factory=dict)
    """Key -> what was asked; None where that is gone."""

    def of(self, kind: str, key: str) -> _Asked | None:
        """What a job was asked, with everything behind it."""
        if key not in self.known:
            self.known[key] = self._read(kind, key)
        return self.known[key]

    def _read(self, kind: str, key: str) -> _Asked | None:
        try:
            asked = json.loads(self.storage.read(f"{artifact_folder(kind, key)}/job.json"))
        except FileNotFoundError:
            return None
        inputs = {
            name: found
            for name, refs in asked["inputs"].items()
            if refs and (found := self.of(refs[0]["kind"], refs[0]["key"])) is not None
        }
        return _Asked(kind=kind, key=key, params=asked["params"], inputs=inputs)


def circumstances_of(artifacts: Iterable[Artifact]) -> dict[str, Circumstances]:
    """Key -> circumstances, of every measuring job whose `job.json` stands."""
    ancestries: dict[int, Ancestry] = {}
    found = {}
    for artifact in artifacts:
        storage = artifact.storage
        ancestry = ancestries.setdefault(id(storage), Ancestry(storage=storage))
        asked = ancestry.of(artifact.kind, artifact.key)
        if asked is not None:
            found[artifact.key] = _circumstances(asked)
    return found


def _circumstances(asked: _Asked) -> Circumstances:
    inputs = _pair(asked)
    model = inputs.get("aligned")
    aligned = None if model is None else _origin(model)
    base = inputs.get("base") or (aligned.inputs.get("model") if aligned else None)
    prompts, against = inputs.get("prompts"), asked.inputs.get("against")
    other = None if against is None else _circumstances(against)
    params = {} if prompts is None else prompts.params
    return Circumstances(
        base=None if base is None else base.key,
        aligned=None if aligned is None else aligned.key,
        objective=None if aligned is None else str(aligned.params.get("objective", "published")),
        preferences=None if aligned is None else _preferences(aligned.inputs.get("pairs")),
        prompts=None if prompts is None else prompts.key,
        source=None if prompts is None else _source(params),
        transform=params.get("transform"),
        dialogue="turn" in params.get("positions", ()),
        against_prompts=None if other is None else other.prompts,
        against_objective=None if other is None else other.objective,
        against_aligned=None if other is None else other.aligned,
        intervention=asked.params.get("intervention"),
        changed=asked.params.get("subject"),
        from_scratch=base is not None and base.kind == "pretrain",
    )


def _pair(asked: _Asked) -> Mapping[str, _Asked]:
    """Its models and prompts as `base`, `aligned`, `prompts`, whatever the kind calls them."""
    inputs = {**asked.inputs}
    if "delta" in inputs:
        inputs = {**inputs["delta"].inputs, **inputs}
    model = inputs.pop("model", None)
    if model is not None:
        is_aligned = _origin(model).kind in (_TRAINED, "adapter")
        inputs["aligned" if is_aligned else "base"] = model
    return inputs


def _origin(model: _Asked) -> _Asked:
    """The model that an export was made of."""
    while model.kind == "export":
        model = model.inputs["model"]
    return model


def _preferences(pairs: _Asked | None) -> Origin | None:
    """Where pairs come from; of a format whose texts are a user's own, collected."""
    if pairs is None:
        return None
    form = pairs.params.get("format")
    if pairs.kind == "generated-pairs" or form in _STEERED:
        return Origin.STEERED
    return Origin.LANGUAGE if form in _GENERATED else Origin.COLLECTED


def _source(params: Mapping[str, Any]) -> str:
    """What prompts are before any transform: equal for all transforms of one set."""
    left_out = ("transform", "positions")
    kept = {name: value for name, value in params.items() if name not in left_out}
    return json.dumps(kept, sort_keys=True)
