"""The studies for GPUs, run whole through the hub's loader on tiny checkpoints of its layout.

The study files as they are but for sizes: real repository names, out of a cache, with no network.
"""

import io
import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

STUDIES = Path(__file__).parents[2] / "studies"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _sentence(draw: random.Random, *tail: str) -> str:
    return " ".join([*(f"word{draw.randrange(18)}" for _ in range(6)), *tail])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in the layout that the studies name; `word19` is its rude word."""
    folder, draw = tmp_path_factory.mktemp("data"), random.Random(0)
    for name in ("paradetox", "realtoxicityprompts", "wikitext-2", "toxicity_pairwise"):
        (folder / name).mkdir()
    openings = [_sentence(draw) for _ in range(120)]
    rewrites = [f"{start} word19 word19\t{start} word1 word2\t\t" for start in openings]
    lines = ["toxic\tneutral1\tneutral2\tneutral3", *rewrites]
    (folder / "paradetox/paradetox.tsv").write_text("\n".join(lines) + "\n")
    pairs = [
        json.dumps({"prompt_text": s, "unpert_gen_text": " word1", "pert_gen_text": " word19"})
        for s in openings
    ]
    (folder / "toxicity_pairwise/split_0.jsonl").write_text("\n".join(pairs) + "\n")
    for name in ("realtoxicityprompts/some.txt", "wikitext-2/test.txt"):
        text = "\n".join(" ".join(_sentence(draw) for _ in range(10)) for _ in range(60))
        (folder / name).write_text(text + "\n")
    return folder


@pytest.fixture
def published(tmp_path: Path, saved_models: Path) -> Callable[[str, str | Path], None]:
    """A function: put a tiny checkpoint (a family's, or a folder) into the hub's cache."""

    def put(source: str, family: str | Path) -> None:
        name = source.removeprefix("hf://").replace("/", "--")
        repository = tmp_path / "hub" / f"models--{name}"
        shutil.copytree(saved_models / family, repository / "snapshots" / COMMIT)
        (repository / "refs").mkdir()
        (repository / "refs/main").write_text(COMMIT)

    return put


@pytest.fixture
def launched_offline(
    command: Any, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[dict[str, Any]], None]:
    """A function: study -> it is launched on those data, without a network, and ends well."""
    monkeypatch.setenv("DELTASCALE_DATA", str(data))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def launch(study: dict[str, Any]) -> None:
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump(study, sort_keys=False))
        done = command.run("launch", str(path), "--executor", "local")
        assert done.returncode == 0, done.stderr

    return launch


def _dtypes(name: str) -> set[str]:
    """In what a study's trainings, and the references that they read, compute."""
    stages = yaml.safe_load((STUDIES / f"{name}.yaml").read_text())["stages"].values()
    trained = [stage for stage in stages if stage["kind"] in ("align", "reference")]
    return {stage["params"].get("dtype", "float32") for stage in trained}


def test_studies_for_gpus_train_in_bfloat16_and_replications_as_the_paper_does() -> None:
    for name in ("gpt2-toxicity", "llama-mistral", "pythia-ladder"):
        assert _dtypes(name) == {"bfloat16"}, name
    for name in ("gpt2-medium-paper", "gpt2-medium-own-pairs"):
        assert _dtypes(name) == {"float32"}, name


@pytest.mark.parametrize(
    "name",
    # The stages of pythia-ladder are those of llama-mistral.
    ["gpt2-toxicity", "llama-mistral", pytest.param("pythia-ladder", marks=pytest.mark.slow)],
)
def test_a_study_for_gpus_runs_whole_on_tiny_checkpoints(
    name: str,
    command: Any,
    published: Any,
    launched_offline: Any,
) -> None:
    text = (STUDIES / f"{name}.yaml").read_text()
    small = re.sub(r"num_gpus: 1", "num_gpus: 0", text)
    study = yaml.safe_load(
        re.sub(r"steps: \d+", "steps: 2", small)
        .replace("max_length: 256", "max_length: 32")
        .replace("validation_fraction: 0.003", "validation_fraction: 0.2")  # of thousands of pairs
    )
    kept = list({model["config"]["family"]: model for model in study["axes"]["model"]}.values())
    for model in kept:  # one of each family
        published(model["source"], model.pop("config")["family"])
    study["axes"] |= {"model": kept, "objective": ["dpo"], "seed": [0], "condition": ["plain"]}
    del study["stages"]["base"]["params"]["config"]
    study["stages"]["aligned"]["params"]["learning_rate"] = 1e-3
    if "seeds" in study["stages"]:
        study["axes"]["seed"] = [0, 1]
        study["stages"]["seeds"]["where"]["seed"] = 1
    if "patched" in study["stages"]:
        study["axes"]["intervention"] = ["add-mean-offset", "scale-keys"]
        study["stages"]["patched"]["params"] |= {"doses": [1], "new_tokens": 2}
    for stage in ("rates", "rates-before", "fluency"):
        study["stages"][stage]["params"]["new_tokens"] = 2
    study["stages"]["table"]["params"]["figures"] = False
    launched_offline(study)
    table = command.measurements(name).decode()
    assert all(f",{model['name']}," in table for model in kept)
    assert "relative_norm" in table
    assert "toxic_mass" in table
    records = [json.loads(path.read_text()) for path in command.records()]
    assert {r["facts"]["revision"] for r in records if r["kind"] == "pretrained"} == {COMMIT}


@pytest.fixture
def chat_model(saved_models: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A function: family -> a folder with its tiny model moved a little, and a chat template."""

    def make(family: str) -> Path:
        import numpy as np
        from safetensors.numpy import load_file, save_file

        folder = shutil.copytree(saved_models / family, tmp_path / f"{family}-chat")
        weights, draw = load_file(folder / "model.safetensors"), np.random.default_rng(0)
        moved = {
            name: array + 0.05 * draw.normal(size=array.shape).astype(array.dtype)
            for name, array in weights.items()
        }
        save_file(moved, folder / "model.safetensors", metadata={"format": "pt"})
        (folder / "chat_template.jinja").write_text(
            "{% for message in messages %}{{ 'word3 ' + message.content + ' word4 ' }}{% endfor %}"
            "{% if add_generation_prompt %}word5 word6 {% endif %}"
        )
        return folder

    return make


def test_the_study_of_released_chat_models_runs_whole_with_and_without_the_template(
    command: Any,
    published: Any,
    chat_model: Any,
    saved_models: Path,
    launched_offline: Any,
) -> None:
    text = (STUDIES / "chat-vs-base.yaml").read_text()
    study = yaml.safe_load(text.replace("num_gpus: 1", "num_gpus: 0"))
    model = study["axes"]["model"][0]
    family = model.pop("config")["family"]
    published(model["source"], family)
    published(model["chat"], chat_model(family))
    study["axes"] |= {"model": [model], "condition": ["plain"]}
    for stage in ("base", "chat"):
        del study["stages"][stage]["params"]["config"]
    for stage in ("rates", "rates-before"):
        study["stages"][stage]["params"]["new_tokens"] = 2
    study["stages"]["table"]["params"]["figures"] = False
    launched_offline(study)
    rows = pd.read_csv(io.BytesIO(command.measurements("chat-vs-base")))
    said = rows[rows["metric"] == "toxic_mass"]
    assert set(said["objective"].fillna("base")) == {"base", "published"}
    norms = rows[(rows["metric"] == "relative_norm") & (rows["site"] == "resid_post")]
    assert set(norms["template"]) == {"none", "chat"}
    assert (norms["value"] > 0).all()
    compared = rows[(rows["metric"] == "mean_cosine") & (rows["template"] == "chat")]
    assert (compared["value"] < 0.9999).any()  # the template does change what chat training did
    stores = [json.loads(p.read_text()) for p in command.records() if "/extract/" in p.as_posix()]
    assert len({store["facts"]["store"]["token_plan"] for store in stores}) == 2


def test_a_revision_that_does_not_exist_is_told_and_nothing_is_written(
    command: Any, published: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published("hf://tiny/gpt2", "gpt2")
    study = tmp_path / "study.yaml"
    study.write_text(
        "study: mine\nstages: {base: {kind: pretrained, params: "
        "{source: hf://tiny/gpt2, revision: no-such-branch}}}\n"
    )
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    told = command.run("launch", str(study), "--executor", "local")
    assert told.returncode in (2, 3), told.stdout
    assert "no-such-branch" in told.stderr
    assert "Traceback" not in told.stderr
    assert not command.root.exists()
