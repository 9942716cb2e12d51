"""The circumstances of a measurement, from the requests (`job.json`) of the jobs behind it.

Kinds declare which models and data they leave behind (`LEAVES`), formats where their texts come
from (`ORIGIN`). For a kind or format that is no longer installed, the origin is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from analysis.long_table.circumstances import PUBLISHED, Circumstances, Origin
from cluster.errors import SurroundingsError
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.identity import key_of
from jobs.artifacts.job import artifact_folder
from jobs.artifacts.request import Request, readable_request
from jobs.kind import KINDS
from jobs.models.model_facts import COMPUTED_OTHERWISE, rounded_weights
from jobs.provenance import Data, Leaves, Model
from jobs.text.format import FORMATS

_KEPT = "snapshots"
"""Param of a training that says which models on its way are kept. It changes none of its steps."""


@dataclass(frozen=True, kw_only=True)
class _Request:
    """The request of one job, from its `job.json`."""

    kind: str
    """Kind of the job."""
    key: str
    """Key of the job."""
    params: Mapping[str, Any]
    """Params of the job."""
    inputs: Mapping[str, _Request]
    """Requests of its inputs by name, the first of each."""
    training: str
    """Key of the same training with no model kept on its way; its own key of any other job."""
    step: int | None = None
    """The training step that a snapshot was taken after; None for any other job."""
    midway: bool = False
    """Whether it is a snapshot on the way, and not the end."""
    rounded: str | None = None
    """How a published model's weights were stored, where that rounded them."""
    computed_otherwise: str | None = None
    """In what the two models that a job compared compute otherwise."""
    left_out: str | None = None
    """How many of its prompts a job that runs models left out."""

    @property
    def leaves(self) -> Leaves | None:
        """The models or data that its kind leaves behind; None where the kind is gone."""
        kind = KINDS.get(self.kind)
        return None if kind is None else kind.LEAVES


@dataclass(kw_only=True)
class Ancestry:
    """The jobs under a root, each read once."""

    storage: Storage
    """The root's storage."""
    known: dict[str, Artifact] = field(default_factory=dict)
    """Key -> an artifact that was read already."""
    requests: dict[str, _Request | None] = field(default_factory=dict)
    """Key -> the request; None where `job.json` is gone or damaged."""

    def request(self, kind: str, key: str) -> _Request | None:
        """Read the request of a job, with those of everything behind it."""
        if key not in self.requests:
            self.requests[key] = None  # a damaged request may name itself
            self.requests[key] = self._read(kind, key)
        return self.requests[key]

    def _read(self, kind: str, key: str) -> _Request | None:
        content = readable_request(self.storage, f"{artifact_folder(kind, key)}/job.json")
        if content is None:
            return None
        inputs = {
            name: upstream
            for name, refs in content["inputs"].items()
            if refs and (upstream := self.request(refs[0]["kind"], refs[0]["key"])) is not None
        }
        rounded = self._rounded(kind, key)
        pair = {"base", "aligned"} <= inputs.keys()
        facts = self._facts(kind, key) if pair or "prompts" in inputs else {}
        return _Request(
            kind=kind,
            key=key,
            params=content["params"],
            inputs=inputs,
            training=_training(content),
            rounded=rounded,
            computed_otherwise=facts.get(COMPUTED_OTHERWISE) if pair else None,
            left_out=_left_out(facts) if "prompts" in inputs else None,
            **(self._place_in_run(kind, key) if "aligned" in inputs else {}),
        )

    def _place_in_run(self, kind: str, key: str) -> dict[str, Any]:
        """Return what the record of a model that was taken of a run says of its step."""
        of_kind = KINDS.get(kind)
        if of_kind is None or of_kind.LEAVES is not Model.ALIGNED:
            return {}
        facts = self._facts(kind, key)
        return {"step": facts.get("step"), "midway": bool(facts.get("midway"))}

    def _facts(self, kind: str, key: str) -> Mapping[str, Any]:
        if key in self.known:
            with suppress(SurroundingsError):  # it is not done, or damaged
                return self.known[key].facts
        artifact = Artifact(self.storage, kind, key)
        record = artifact.parse_record(artifact.record_bytes() or b"")
        return {} if record is None else record.facts

    def _rounded(self, kind: str, key: str) -> str | None:
        """Return what the record of a published model says of weights that were rounded."""
        of_kind = KINDS.get(kind)
        if of_kind is None or of_kind.LEAVES is not Model.PUBLISHED:
            return None
        return rounded_weights(self._facts(kind, key))


def circumstances_of(artifacts: Iterable[Artifact]) -> dict[str, Circumstances]:
    """Map key -> circumstances, for every measuring job whose `job.json` exists."""
    ancestries: dict[int, Ancestry] = {}
    circumstances = {}
    for artifact in artifacts:
        storage = artifact.storage
        ancestry = ancestries.setdefault(id(storage), Ancestry(storage=storage))
        ancestry.known[artifact.key] = artifact
        request = ancestry.request(artifact.kind, artifact.key)
        if request is not None:
            circumstances[artifact.key] = _circumstances(request)
    return _with_published(circumstances)


def _with_published(known: Mapping[str, Circumstances]) -> dict[str, Circumstances]:
    """Return circumstances in which a published model is aligned wherever one number says so.

    What such a model says by itself does not tell that it is no base: its offset from one does.
    """
    bases: dict[str | None, set[str | None]] = {}
    for about in known.values():
        if about.objective == PUBLISHED and about.aligned != about.base:
            bases.setdefault(about.aligned, set()).add(about.base)

    def told(about: Circumstances) -> Circumstances:
        of_model = bases.get(about.base, set())
        if about.aligned is not None or len(of_model) != 1:
            return about
        model, (base,) = about.base, of_model
        return replace(about, base=base, aligned=model, run=model, objective=PUBLISHED)

    return {key: told(about) for key, about in known.items()}


def _circumstances(request: _Request) -> Circumstances:
    inputs = _models_and_prompts(request)
    model = inputs.get("aligned")
    aligned = None if model is None else _job_that_made(model)
    run = None if aligned is None else _run_of(aligned)
    begun = run.inputs.get("model") if run else None
    base = inputs.get("base") or begun
    base = None if base is None else _job_that_made(base)
    begun = None if begun is None else _job_that_made(begun)
    prompts, against = inputs.get("prompts"), request.inputs.get("against")
    compared = None if against is None else _circumstances(against)
    params = {} if prompts is None else prompts.params
    extracted = request.inputs.get("delta", request)
    pairs = request.inputs.get("pairs") if "aligned" in request.inputs else None
    trained_on = None if run is None else run.inputs.get("pairs")
    return Circumstances(
        base=None if base is None else _key_of_base(base),
        aligned=None if aligned is None else _key_of_model(aligned),
        alone="base" not in inputs or "aligned" not in inputs,
        spans_trainings=begun is not None and begun is not base,
        midway=aligned is not None and aligned.midway,
        run=None if run is None else run.training,
        step=None if aligned is None else aligned.step,
        objective=None if run is None else str(run.params.get("objective", PUBLISHED)),
        preferences=None if run is None else _origin(run.inputs.get("pairs")),
        prompts=None if prompts is None else prompts.key,
        source=None if prompts is None else _source(prompts),
        answer=params.get("answer"),
        prefill=_prefill(request),
        transform=params.get("transform"),
        dialogue="turn" in (params.get("positions") or ()),
        against_prompts=None if compared is None else compared.prompts,
        against_objective=None if compared is None else compared.objective,
        against_aligned=None if compared is None else compared.aligned,
        against_run=None if compared is None else compared.run,
        pairs=None if pairs is None else pairs.key,
        pairs_origin=_origin(pairs),
        foreign=pairs is not None and (trained_on is None or trained_on.key != pairs.key),
        intervention=request.params.get("intervention"),
        changed=request.params.get("subject"),
        from_scratch=base is not None and _origin_of(base).leaves is Model.FROM_SCRATCH,
        rounded=next((r for m in (base, aligned) if m and (r := _origin_of(m).rounded)), None),
        computed_otherwise=request.computed_otherwise or extracted.computed_otherwise,
        left_out=(request if "prompts" in request.inputs else extracted).left_out,
    )


def _models_and_prompts(request: _Request) -> Mapping[str, _Request]:
    """Return the inputs as `base`, `aligned`, `prompts`, whatever the kind calls them."""
    inputs = {**request.inputs}
    if "delta" in inputs:
        inputs = {**inputs["delta"].inputs, **inputs}
    model = inputs.pop("model", None)
    if model is not None:
        is_aligned = _job_that_made(model).leaves is Model.ALIGNED
        inputs["aligned" if is_aligned else "base"] = model
    return inputs


def _job_that_made(model: _Request) -> _Request:
    """Return the job that made a model, whatever jobs changed only its form since."""
    while model.leaves is Model.SAME and "model" in model.inputs:
        model = model.inputs["model"]
    return model


def _run_of(aligned: _Request) -> _Request:
    """Return the job that trained an aligned model: behind a snapshot, the run it was taken of."""
    return aligned.inputs.get("aligned", aligned)


def _key_of_model(aligned: _Request) -> str:
    """Return what tells an aligned model from others: what training left in the end is one."""
    return aligned.key if aligned.midway else _run_of(aligned).training


def _key_of_base(base: _Request) -> str:
    """Return the key of a model before alignment; of an aligned one what tells it from others."""
    return _key_of_model(base) if base.leaves is Model.ALIGNED else base.key


def _training(request: Request) -> str:
    """Return the key that a job would have if it kept no model on its way: no step would differ."""
    identity = request["identity"]
    params = identity.get("params", {})
    if _KEPT not in params:
        return request["key"]
    others = {name: value for name, value in params.items() if name != _KEPT}
    return key_of({**identity, "kind": request["kind"], "params": others})


def _origin_of(model: _Request) -> _Request:
    """Return the job that the chain of alignments behind a model began with."""
    while (
        earlier := model.inputs.get("model")
        or model.inputs.get("base")
        or model.inputs.get("aligned")
    ) is not None:
        model = earlier
    return model


def _origin(pairs: _Request | None) -> Origin | None:
    """Return the origin of preference pairs; None for a model that was trained on none."""
    if pairs is None:
        return None
    leaves = pairs.leaves
    if not isinstance(leaves, Data):
        return Origin.UNKNOWN
    if leaves.origin is not None:
        return leaves.origin
    form = FORMATS.get(str(pairs.params.get("format")))
    return Origin.UNKNOWN if form is None else form.ORIGIN


def _prefill(request: _Request) -> int:
    """Return how many tokens of an answer were given, to the job or to the extraction it reads."""
    delta = request.inputs.get("delta", request)
    return int(request.params.get("prefill") or delta.params.get("prefill") or 0)


def _left_out(facts: Mapping[str, Any]) -> str | None:
    """Say how many prompts the record of an extraction or a measurement lacks; None: it has all."""
    store = facts.get("store", {})
    refused = (store or facts).get("refused", {})
    lost = {
        "longer than there is room for": len(store.get("too_long", ()))
        or facts.get("num_too_long", 0),
        "refused by the template": sum(map(len, refused.values())),
        "with too short an answer": len(store.get("short", ()))
        or facts.get("num_short_answers", 0),
    }
    kept, number = (store or facts).get("num_prompts", 0), sum(lost.values())
    why = ", ".join(f"{count} {reason}" for reason, count in lost.items() if count)
    return f"{number} of {kept + number} prompts are left out ({why})" if number else None


def _source(prompts: _Request) -> str:
    """Describe prompts before any transform: equal for all transforms of one set."""
    left_out = ("transform", "positions")
    kept = {name: value for name, value in prompts.params.items() if name not in left_out}
    if (pairs := prompts.inputs.get("pairs")) is not None:
        kept["pairs"] = pairs.key
    if kept.get("answer") is None:
        kept.pop("answer", None)  # as prompts say it that were written before it could be chosen
    return json.dumps(kept, sort_keys=True)
