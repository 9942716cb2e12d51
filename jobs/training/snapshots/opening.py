"""What a job of kind `snapshot` leaves: the description of a model, and where its weights are."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from jobs.artifacts.artifact import CARD
from jobs.models.checkpoint_files import INDEX
from jobs.models.opened_model import OPENS, Opening, Source
from jobs.training.snapshots.settings import END, require_label
from jobs.worker.absence import ABSENT

if TYPE_CHECKING:
    from jobs.artifacts.artifact import Artifact
    from jobs.worker.work import Work

REFERENCE = "snapshot.json"
"""File with the reference: what reads this job is stale once what it refers to has other bytes."""


def open_snapshot(work: Work, label: str) -> dict[str, object]:
    """Write `model/` without weights and `snapshot.json`; return the record's facts.

    Where training never came to the label, the facts say why there is no model.

    Raises:
        UserError: training was not asked for such a model.
    """
    aligned = work.input("aligned")
    kept: dict[str, Any] = aligned.facts.get("snapshots", {})
    facts: dict[str, object] = {
        name: aligned.facts[name] for name in ("model", "base_model") if name in aligned.facts
    }
    facts |= {"label": label, "midway": label != END, "training": _training_facts(aligned)}
    missed = kept.get("missed", {}).get(label)
    if missed is not None:
        return {**facts, ABSENT: f"there is no snapshot {label}: {missed}"}
    if label == END:
        facts |= {"step": _last_step(aligned), "held": {"form": "end"}}
        opening = Opening(model=Source.of(aligned))
    else:
        require_label(label, _params_of(kept))
        step = kept["steps"][label]
        held = kept["held"][str(step)]
        facts |= {"step": step, "held": held}
        opening = Opening(
            model=Source(**kept["base"]),
            difference=Source.of(aligned),
            folder=f"snapshots/{step}",
            form=held["form"],
        )
    _describe(aligned, work)
    reference = {OPENS: opening.to_json()}
    text = json.dumps(reference, indent=1, sort_keys=True) + "\n"
    (work.folder / REFERENCE).write_text(text, encoding="utf-8")
    return {**facts, **reference}


def _params_of(kept: dict[str, Any]) -> dict[str, Any]:
    return {"snapshots": kept["asked"]} if "asked" in kept else {}


def _last_step(aligned: Artifact) -> int:
    """Return the step whose weights training left: its best, where it may end early."""
    training = aligned.facts["training"]
    return int(training.get("early_stopping", {}).get("best_step", training["steps"]))


def _training_facts(aligned: Artifact) -> dict[str, Any]:
    training = aligned.facts["training"]
    return {name: training[name] for name in ("objective", "steps") if name in training}


def _describe(aligned: Artifact, work: Work) -> None:
    """Copy config and tokenizer: what plans tokens needs no weights."""
    for name in aligned.names("model/"):
        if name.endswith((".safetensors", f"/{INDEX}")) or name == CARD:
            continue
        target = work.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(aligned.path(name), target)
