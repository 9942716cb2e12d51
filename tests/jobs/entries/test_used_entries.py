"""Every param that names an entry says so: an own one is then in the key of the job."""

import json
from pathlib import Path
from typing import Annotated, Any

import pytest

from jobs.entries.own_entries import OwnEntries, own_entries
from jobs.entries.rooms import door_of, room_names
from jobs.kind import KINDS, Kind, Names, Params
from jobs.kinds.compare import Compare
from jobs.kinds.pretrained import Pretrained, PretrainedParams
from jobs.provenance import Results
from orchestrator.plan.own_code import paths_used

NAMED_BY = {
    "direction": ["generated-pairs"],
    "engine": ["align"],
    "format": ["labelled-texts", "pairs", "pretrain", "prompts"],
    "intervention": ["intervene"],
    "objective": ["align"],
    "scorer": ["ask", "behave", "intervene"],
    "transform": ["prompts"],
}
"""Param that names an entry of the door of its name -> the kinds that have it."""


def _own(*paths: str) -> OwnEntries:
    return own_entries({path: b"" for path in paths}, paths, "entries")


@pytest.mark.parametrize("param", NAMED_BY)
def test_a_param_of_the_name_of_a_door_is_marked_in_every_kind(param: str) -> None:
    kinds = {name: KINDS.find(name) for name in KINDS.package_names()}
    having = [name for name, kind in kinds.items() if param in kind.Params.model_fields]
    own, (path,) = _own(f"{param}s/mine.py"), [f"{param}s/mine.py"]
    for name in having:
        params = kinds[name].Params.model_construct(**{param: "mine"})
        if name == "intervene" and param == "direction":
            continue  # a source of directions, no entry
        assert paths_used(own, name, kinds[name], params) == {path}, name
        params = kinds[name].Params.model_construct(**{param: "another"})
        assert paths_used(own, name, kinds[name], params) == frozenset(), name
    assert set(NAMED_BY[param]) <= set(having)


@pytest.mark.parametrize(
    ("kind", "path", "params"),
    [
        ("measure", "metrics/mine.py", {"metrics": ("cka", "mine")}),
        ("weights", "weight_metrics/mine.py", {"metrics": ("mine",)}),
        ("pretrain", "families/mine.py", {"config": {"family": "mine"}}),
        ("prompts", "transforms/mine.py", {"transform": "rot13+mine"}),
        ("behave", "scorers/mine.py", {"scorer": {"name": "mine", "least": 1}}),
        ("compare", "references/mine.py", {"references": ("mine",)}),
        ("mine", "kinds/mine.py", {}),
    ],
)
def test_what_params_name_is_used(kind: str, path: str, params: dict[str, Any]) -> None:
    found = KINDS.find("probe" if kind == "mine" else kind)
    made = found.Params.model_construct(**params)
    assert path in paths_used(_own(path), kind, found, made)
    plain = found.Params.model_construct()
    assert path not in paths_used(_own(path), "another", found, plain)


def test_a_comparison_uses_all_own_figures_answers_and_table_formats() -> None:
    paths = {f"{room}/mine.py" for room in room_names()}
    own = _own(*sorted(paths))
    params = Compare.Params
    used = paths_used(own, "compare", Compare(), params(figures=True))
    assert used == {"answers/mine.py", "figures/mine.py", "writers/mine.py"}
    assert paths_used(own, "compare", Compare(), params(figures=False)) == used - {
        "figures/mine.py"
    }


def test_a_model_uses_its_family_and_one_that_nobody_knows_yet_uses_all(tmp_path: Path) -> None:
    def used(**params: Any) -> frozenset[str]:
        made = PretrainedParams(**params)
        return paths_used(_own("families/mine.py", "families/other.py"), "pretrained", kind, made)

    kind = Pretrained()
    assert used(source="hf://org/model") == {"families/mine.py", "families/other.py"}
    assert used(source="hf://org/model", config={"family": "mine"}) == {"families/mine.py"}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "other"}))
    assert used(source=str(tmp_path)) == {"families/other.py"}
    (tmp_path / "config.json").write_text("[]")
    assert used(source=str(tmp_path)) == frozenset()
    assert used(source=str(tmp_path / "model.gguf")) == frozenset()


def test_marks_are_found_at_any_depth() -> None:
    class Inner(Params):
        metric: Annotated[str, Names(door_of("metrics"))] = "mine"

    class Outer(Params):
        several: tuple[Annotated[str, Names(door_of("formats"))], ...] = ("mine", "text")
        inner: Inner | None = Inner()
        inners: tuple[Inner, ...] = ()

    class Deep(Kind[Outer]):
        VERSION = 1
        INPUTS = {}
        Params = Outer
        LEAVES = Results.NUMBERS
        USES_TORCH = False

    own = _own("metrics/mine.py", "formats/mine.py", "metrics/other.py")
    assert paths_used(own, "deep", Deep(), Outer()) == {"metrics/mine.py", "formats/mine.py"}
    outer = Outer(several=(), inner=None, inners=(Inner(metric="other"),))
    assert paths_used(own, "deep", Deep(), outer) == {"metrics/other.py"}
