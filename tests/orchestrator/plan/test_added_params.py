"""A param that a later version adds moves no key while it has its default, and does once it is set.

Declared with `added`, in any kind, in the settings of an adapter and in those of a scorer.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from jobs.behaviour.scorer import SCORERS
from jobs.kind import KINDS, Params, added, execution
from jobs.params import deciding_params
from jobs.training.adapters.lora_settings import Lora
from jobs.training.objective import OBJECTIVES
from orchestrator.plan.identity_params import ParamMarks
from orchestrator.plan.plan import make_plan
from orchestrator.study.study import parse_study
from tests.test_keys import ROOT, STUDIES, planned_keys

REQUIRED = {
    "ask": {"base_url": "http://localhost:1/v1", "model": "m"},
    "pretrained": {"source": "hf://tiny/llama"},
    "adapter": {"source": "hf://tiny/llama"},
    "export": {"dtype": "bfloat16"},
    "probe": {},
    "generated-pairs": {},
    "labelled-texts": {"format": "jigsaw"},
    "preferences": {},
    "prompts-of-pairs": {"answer": "rejected"},
    "snapshot": {"snapshot": "end"},
}
"""Params of the kinds that the nursery does without."""


@pytest.fixture
def widened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kind with one more param."""
    for name in KINDS.names():
        kind = KINDS.find(name)

        class Wider(kind.Params):  # type: ignore[name-defined]
            novelty: int = added(0, "What a later version lets a study choose.")

        monkeypatch.setattr(kind, "Params", Wider)


def test_at_its_default_no_key_moves(widened: None, tmp_path: Path) -> None:
    before = json.loads((ROOT / "tests/keys/nursery.json").read_text())
    assert planned_keys(STUDIES["nursery"], tmp_path) == before


@pytest.mark.parametrize("name", KINDS.names())
def test_once_it_is_set_every_job_of_the_kind_is_another(name: str, widened: None) -> None:
    params = KINDS.find(name).Params
    if name in REQUIRED:
        given = [params(**REQUIRED[name]).model_dump(mode="json")]
    else:
        jobs = make_plan(parse_study(STUDIES["nursery"].read_text())).jobs
        given = [job.params for job in jobs if job.kind == name]
    assert given
    for written in given:
        plain = ParamMarks(params).identity(written, lambda place: "")
        assert written["novelty"] == 0 and "novelty" not in plain
        moved = ParamMarks(params).identity({**written, "novelty": 1}, lambda place: "")
        assert moved == {**plain, "novelty": 1}


def test_settings_of_an_adapter() -> None:
    align = KINDS.find("align").Params

    class WiderLora(Lora):
        novelty: int = added(0, "What a later version lets a study choose.")

    class Wider(align):  # type: ignore[misc, valid-type]
        lora: WiderLora | None = Field(None)

    assert _identity(Wider, lora={"rank": 2}) == _identity(align, lora={"rank": 2})
    moved = _identity(Wider, lora={"rank": 2, "novelty": 1})["lora"]
    assert moved == {**_identity(align, lora={"rank": 2})["lora"], "novelty": 1}


@pytest.mark.parametrize("scorer", ["lexicon", "perspective"])
def test_settings_of_a_scorer(scorer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    behave, entry = KINDS.find("behave").Params, SCORERS.find(scorer)
    before = _identity(behave, scorer=scorer)

    class Wider(entry.Params):  # type: ignore[name-defined]
        novelty: int = added(0, "What a later version lets a study choose.")

    monkeypatch.setattr(entry, "Params", Wider)
    assert _identity(behave, scorer=scorer) == before
    moved = _identity(behave, scorer={"name": scorer, "novelty": 1})["scorer"]
    was = before["scorer"] if isinstance(before["scorer"], dict) else {"name": scorer}
    assert moved == {**was, "novelty": 1}


def test_settings_of_an_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    align, objective = KINDS.find("align").Params, OBJECTIVES.find("dpo")
    before = _identity(align)
    novelty = replace(OBJECTIVES.find("robust").SETTINGS["label_smoothing"], added=True)
    monkeypatch.setattr(
        objective, "SETTINGS", {**objective.SETTINGS, "label_smoothing": novelty}, raising=False
    )
    assert _identity(align) == before
    assert _identity(align, label_smoothing=0.25) == {**before, "label_smoothing": 0.25}


def test_a_default_of_many_parts_is_known_in_its_json_form() -> None:
    class Inner(Params):
        places: tuple[int, ...] = added((1, 2), "Where.")

    class Outer(Params):
        many: tuple[Inner, ...] = Field((Inner(), Inner(places=(3,))))

    written = Outer().model_dump(mode="json")
    assert deciding_params(Outer, written) == {"many": [{}, {"places": [3]}]}


def test_how_work_is_done_is_no_part_of_what_it_is_at_any_depth() -> None:
    class Inner(Params):
        model: str
        address: str = execution("here", "Where.")

    class Outer(Params):
        inner: Inner | None = added(None, "What.")
        threads: int = execution(1, "How many.")

    assert _identity(Outer) == {}
    assert _identity(Outer, threads=2, inner={"model": "a", "address": "there"}) == {
        "inner": {"model": "a"}
    }


def _identity(params: type[Params], **given: Any) -> dict[str, Any]:
    written = params(**given).model_dump(mode="json")
    return ParamMarks(params).identity(written, lambda place: "")
