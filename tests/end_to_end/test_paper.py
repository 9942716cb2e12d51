"""The paper's study, rehearsed whole: the file as it is but for sizes and doses, on a stand-in."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.end_to_end import paper_stand_in as stand_in

STUDIES = Path(__file__).parents[2] / "studies"
PAPER, OWN = STUDIES / "gpt2-medium-paper.yaml", STUDIES / "gpt2-medium-own-pairs.yaml"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
_LONGEST_S = 1800
"""Two minutes where nothing else runs."""
CLASSIFIER = "91650552a4f31b7120c36680cfa47ddd47676b48"
DOSES = (40, 200, 60)
"""Of `probe`, `value-vector` and `svd`: far past those at which rude words give way to other ones,
which a stand-in trained on another number of threads does elsewhere."""
_SIZES = ("num_gpus", "layers", "token_ids", "max_texts", "new_tokens", "min_words")
_TRAINING = ("steps", "learning_rate", "warmup_steps", "every", "patience", "validation_fraction")
SWAPPED = re.compile(
    rf"axes/model/0/config/.*|axes/direction/./dose|.*/({'|'.join(_SIZES + _TRAINING)})(/\d+)?"
)
"""The only places in which a rehearsed study differs: sizes, and how far things are pushed."""
OTHERWISE = re.compile(
    r"study|data/.*|axes/text/0/(file|options.*)|axes/text/2/(format|file|options.*)"
    r"|stages/(comments|sentences|toxic|toxic-after|toxic-few|pairs)(/.*)?"
    r"|stages/aligned/params/(steps|epochs)|stages/.*/params/title"
)
"""The only places in which the study without the paper's folder differs from that with it."""


def rehearsed(study: dict[str, Any]) -> dict[str, Any]:
    """Return the study with sizes that a processor trains in seconds."""
    small: dict[str, Any] = json.loads(json.dumps(study))
    small["axes"]["model"][0]["config"] = {"family": "gpt2", **stand_in.SIZES}
    for direction, dose in zip(small["axes"]["direction"], DOSES, strict=True):
        direction["dose"] = dose
    for stage in small["stages"].values():
        params = stage.get("params", {})
        for name, value in {"num_gpus": 0, "token_ids": [294], "max_texts": 300}.items():
            if name in params:
                params[name] = value
        if isinstance(params.get("layers"), list):
            params["layers"] = [1, 2, 3][: len(params["layers"])]
    training = small["stages"]["aligned"]["params"]
    training |= {"learning_rate": 3e-4, "warmup_steps": 5}
    if "steps" in training:
        training["steps"] = 60
    training["early_stopping"] = {"every": 10, "patience": 3}
    small["stages"]["pairs"]["params"]["validation_fraction"] = 0.1
    return small


def places(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield every scalar of a study with its place."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in items:
        here = f"{place}/{name}" if place else str(name)
        if isinstance(item, (dict, list)):
            yield from places(item, here)
        else:
            yield here, repr(item)


def differing(one: Any, other: Any) -> set[str]:
    """Return the places at which two studies differ."""
    return {place for place, _ in set(places(one)) ^ set(places(other))}


def read(path: Path) -> dict[str, Any]:
    """Parse a study."""
    study: dict[str, Any] = yaml.safe_load(path.read_text())
    return study


@pytest.mark.parametrize("path", [PAPER, OWN])
def test_what_is_rehearsed_is_the_study_but_for_sizes(path: Path) -> None:
    study = read(path)
    assert {
        place for place in differing(study, rehearsed(study)) if not SWAPPED.fullmatch(place)
    } == (set())


def test_the_study_without_the_papers_folder_differs_where_it_is_read_and_nowhere_else() -> None:
    differ = differing(read(PAPER), read(OWN))
    assert {place for place in differ if not OTHERWISE.fullmatch(place)} == set()
    named = PAPER.read_text().split("stages:")[0]
    assert OWN.name in named and "generated-pairs" in OWN.read_text()


@pytest.mark.parametrize("path", [PAPER, OWN])
def test_it_is_planned_on_a_laptop_without_its_data(
    path: Path, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DELTASCALE_DATA", raising=False)
    done = command.run("plan", str(path), "--machines", "1x1xH100-80GB", "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["totals"]["will-not-fit"] == 0 and plan["totals"]["open"] > 30
    assert set(plan["whence"]) == set(plan["absent"]) and plan["absent"]
    aligned = next(job for job in plan["jobs"] if job["stage"] == "aligned")
    assert 0 < aligned["peak_memory_gb"] < 16


def test_what_is_not_here_is_told_with_where_it_is_to_be_had(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DELTASCALE_DATA", raising=False)
    told = command.run("plan", str(PAPER)).stderr
    assert re.search(rf"not here: \S+/toxicity_pairwise \(.*dpo_toxic.*{OWN.name}\)", told), told
    monkeypatch.setenv("DELTASCALE_DATA", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    refused = command.run("launch", str(PAPER), "--executor", "local")
    assert refused.returncode == 2 and not command.root.exists()
    assert re.search(rf"hint: .*dpo_toxic.*{OWN.name}", refused.stderr), refused.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub's cache with stand-ins of both models, and a data folder."""
    folder = tmp_path_factory.mktemp("paper")
    stored = {"openai-community/gpt2-medium": COMMIT, "unitary/unbiased-toxic-roberta": CLASSIFIER}
    snapshots = {
        name: folder / f"hub/models--{name.replace('/', '--')}/snapshots/{commit}"
        for name, commit in stored.items()
    }
    language_model, classifier = snapshots.values()
    direction = stand_in.write_model(language_model, 300)
    refs = language_model.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text(COMMIT)
    stand_in.write_classifier(classifier, 120)
    (folder / "data").mkdir()
    stand_in.write_data(folder / "data", direction)
    return folder


@pytest.fixture
def launched(
    folder: Path, command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A function: study -> it is launched without a network, and ends well."""
    settings = {"DELTASCALE_DATA": "data", "HF_HUB_CACHE": "hub"}
    for name, place in settings.items():
        monkeypatch.setenv(name, str(folder / place))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def launch(path: Path) -> pd.DataFrame:
        study = rehearsed(read(path))
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
        process = command.start("launch", str(tmp_path / "study.yaml"), "--executor", "local")
        errors = process.communicate(timeout=_LONGEST_S)[1]
        assert process.returncode == 0, errors
        tables = command.root / f"studies/{study['study']}/tables"
        return pd.concat(
            pd.read_csv(io.BytesIO((tables / name / "measurements.csv").read_bytes()))
            for name in ("table", "interventions", "vectors", "legacy")
        )

    return launch


def only(rows: pd.DataFrame, **where: object) -> float:
    """Return the one value at a place; of axes that are not named, none may be there."""
    for name, value in where.items():
        rows = rows[rows[name].isna() if value is None else rows[name].astype(str) == str(value)]
    assert len(rows) == 1, rows
    return float(rows["value"].iloc[0])


REASONS = (
    "no prompt has an answer",  # the challenge prompts have none
    "the two models do not differ surely",  # of F1, which alignment hardly moves
    "none of the toxic value vectors is in this layer",  # seven of them, four layers
)


def assert_complete(rows: pd.DataFrame) -> None:
    """Require every number but those that cannot be."""
    missing = rows[rows["status"] != "ok"]
    assert set(missing["status"]) <= {"undefined"}
    assert [reason for reason in missing["reason"] if not reason.startswith(REASONS)] == []


@pytest.mark.slow
def test_the_papers_study_runs_whole_to_its_tables(launched: Any, command: Any) -> None:
    rows = launched(PAPER)
    assert_complete(rows)
    tables = command.root / "studies/gpt2-medium-paper/tables"
    interventions = json.loads((tables / "interventions/table.json").read_text())
    shown = json.dumps(interventions)
    for number in (0.453, 0.245, 0.305, 0.268, 0.208, 0.458):  # the paper's tables 2 and 4
        assert f'"value": {number}' in shown
    before = only(rows, metric="toxic_score", objective=None)
    after = only(rows, metric="toxic_score", objective="dpo")
    assert after < before / 2  # it learned what it was trained on
    kept = {"metric": "patched_toxic_score", "intervention": "subtract-direction"}
    for direction, dose in zip(("probe", "value-vector", "svd"), DOSES, strict=True):
        untouched = only(rows, **kept, direction=direction, dose="0.0")
        assert untouched == pytest.approx(before)
        assert only(rows, **kept, direction=direction, dose=float(dose)) < untouched / 2
    assert only(rows, metric="toxic_cosine", vector="W_toxic") == pytest.approx(1)
    shift = rows[rows["metric"] == "value_vector_shift"]
    assert {"legacy", "last", "mean"} <= set(shift["position"])
    figures = {path.name for path in command.root.glob("studies/*/figures/*/*.png")}
    for figure in ("logit_lens", "principal_components", "toxic_activation_drop-bars"):
        assert any(name.startswith(figure) for name in figures), figures
    assert "value_vector_shift-histograms.png" in figures
    words = "|".join(stand_in.RUDE)
    written = [*tables.rglob("*.csv"), *tables.rglob("*.md"), *tables.rglob("*.txt")]
    assert not any(re.search(words, path.read_text()) for path in written)


@pytest.mark.slow
def test_the_study_without_the_papers_folder_runs_whole_on_public_sets(launched: Any) -> None:
    rows = launched(OWN)
    assert_complete(rows)
    assert only(rows, metric="probe_auc") > 0.9
