"""A rehearsal finds what is planted in a study, names it, and holds a study without a fault."""

import json
import os
import shutil
import signal
import tempfile
from contextlib import nullcontext
from pathlib import Path

import pytest

from cluster.errors import UserError
from cluster.executors.local import Executor
from jobs.stand_ins.prepared_stand_ins import PreparedStandIns
from orchestrator.dispatch.watcher import Watcher
from orchestrator.plan.plan import make_plan
from orchestrator.rehearsal.rehearsal import rehearse
from orchestrator.rehearsal.report import StageState
from orchestrator.rehearsal.small_study import small_study
from orchestrator.study.study import parse_study

MODELS = """study: small
data: {here/pairs.jsonl: "from nowhere", here/prompts.jsonl: "from nowhere"}
axes:
  model:
    - name: llama-1b
      source: "hf://nobody/llama-1b"
      config:
        {family: llama, num_layers: 16, d_model: 2048, num_heads: 32, num_key_value_heads: 8,
         d_mlp: 8192, vocab_size: 128256, tie: true}
  seed: [0, 1, 2, 3]
stages:
  base:
    kind: pretrained
    over: [model]
    params: {source: "${model.source}", config: "${model.config}"}
"""
CONFIG = ', config: "${model.config}"'
PAIRS = """  pairs:
    kind: pairs
    params: {format: prompt-chosen-rejected, source: here/pairs.jsonl}
"""
PROMPTS = """  prompts:
    kind: prompts
    params: {format: prompt-answer, source: here/prompts.jsonl, positions: [last]}
"""
REFERENCE = """  reference:
    kind: reference
    inputs: {model: base, pairs: pairs}
    params: {max_length: 64}
"""
ALIGNED = f"""{REFERENCE}  aligned:
    kind: align
    over: [seed]
    inputs: {{model: base, pairs: pairs, reference: reference}}
    params:
      {{objective: dpo, seed: "${{seed}}", steps: 1000, global_batch: 64, max_length: 64,
       num_gpus: 8, learning_rate: 1.0e-6}}
"""
MEASURED = """  delta:
    kind: extract
    inputs: {base: base, aligned: aligned, prompts: prompts}
    params: {sites: [resid_mid], num_gpus: 1}
  geometry: {kind: measure, inputs: {delta: delta}, params: {metrics: [relative_norm]}}
  table: {kind: compare, gather: [geometry], params: {figures: false}}
"""
ASKED = """  asked:
    kind: behave
    inputs: {model: base, prompts: prompts}
    params: {metrics: [perplexity]}
"""


@pytest.fixture
def rehearsed(tmp_path, monkeypatch):
    """A function: text of a study -> the report of its rehearsal in `tmp_path/rehearsal`."""
    monkeypatch.delenv("DELTASCALE_DATA", raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))

    def run(text):
        return rehearse(
            parse_study(text, folder=tmp_path),
            tmp_path / "rehearsal",
            executor=Executor(),
            executor_name="local",
            progress=lambda root: nullcontext(Watcher()),
            warn=lambda text: None,
        )

    return run


def plan_small(study, folder):
    """Plan a rehearsal, which runs nothing."""
    stand_ins = PreparedStandIns(folder=folder, keeps_layers=False, texts=tuple)
    return make_plan(small_study(study, stand_ins).study)


def write_rows(path: Path, rows) -> None:
    """Write a .jsonl file."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


@pytest.mark.slow
def test_a_study_without_a_fault_holds_and_says_what_stood_in(rehearsed, tmp_path) -> None:
    report = rehearsed(MODELS + PAIRS + PROMPTS + ALIGNED + MEASURED)
    assert report.faults == [] and report.exit_code == 0 and report.kept is None
    assert {stage.stage: stage.num_jobs for stage in report.stages} == {
        "base": 1, "pairs": 1, "prompts": 1, "reference": 1,
        "aligned": 2, "delta": 2, "geometry": 2, "table": 1,
    }  # fmt: skip
    assert {stage.state for stage in report.stages} == {StageState.HELD}
    told = "\n".join(report.open)
    for place in ("hf://nobody/llama-1b: the weights", "pairs.jsonl", "prompts.jsonl", "GPU"):
        assert place in told
    assert "2 of 4 values of the axis 'seed'" in report.sizes
    assert [path.name for path in tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("wrong", "right", "named"),
    [
        ("family: lama", "family: llama", "lama"),
        ("sites: [resid_middle]", "sites: [resid_mid]", "resid_middle"),
        ("metrics: [relative_norms]", "metrics: [relative_norm]", "relative_norms"),
        ("learning_rate: 0.0", "learning_rate: 1.0e-6", "learning_rate"),
    ],
)
def test_a_wrong_name_or_value_is_named_with_its_line(rehearsed, wrong, right, named) -> None:
    text = (MODELS + PAIRS + PROMPTS + ALIGNED + MEASURED).replace(right, wrong)
    with pytest.raises(UserError, match=named) as fault:
        rehearsed(text)
    assert "study.yaml:" in (fault.value.where or "")


@pytest.mark.slow
def test_a_layer_that_the_model_lacks_is_named(rehearsed) -> None:
    text = MODELS + PAIRS + PROMPTS + ALIGNED + MEASURED
    report = rehearsed(text.replace("sites: [resid_mid]", "layers: [16]"))
    assert report.exit_code == 1
    assert any("16" in fault.what and fault.stage == "delta" for fault in report.faults)


def test_a_column_that_the_data_lack_is_named(rehearsed, tmp_path) -> None:
    write_rows(tmp_path / "here/pairs.jsonl", [{"prompt": "a", "picked": "b", "rejected": "c"}])
    with pytest.raises(UserError, match="chosen"):
        rehearsed(MODELS + PAIRS)


@pytest.fixture
def as_nobody():
    """Somebody who is not root, in a folder of their own; root reads everything."""
    folder, me = Path(tempfile.mkdtemp()), os.geteuid()
    folder.chmod(0o777)
    # What planning imports may not be readable for nobody.
    plan_small(parse_study(MODELS + PAIRS, folder=folder), folder / "before")
    shutil.rmtree(folder / "before")
    if me == 0:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(me)
        for path in folder.iterdir():
            path.chmod(0o700)
        shutil.rmtree(folder)


def test_folders_that_may_not_be_read_are_named(as_nobody) -> None:
    closed = as_nobody / "closed"
    closed.mkdir(mode=0)
    for text in (
        MODELS.replace("hf://nobody/llama-1b", str(closed)),
        "study: texts\nstages:\n" + PAIRS.replace("here/pairs.jsonl", str(closed)),
    ):
        with pytest.raises(UserError) as fault:
            plan_small(parse_study(text, folder=as_nobody), as_nobody / "rehearsal")
        assert "closed" in str(fault.value) and "study.yaml:" in str(fault.value)


def test_an_objective_that_cannot_learn_is_named(rehearsed, tmp_path) -> None:
    (tmp_path / "entries/objectives").mkdir(parents=True)
    (tmp_path / "entries/objectives/still.py").write_text(
        '"""An objective whose loss stands still."""\n'
        "from jobs.training.formula_objective import FormulaObjective\n"
        "from jobs.training.objective import BETA\n\n\n"
        "class Still(FormulaObjective):\n"
        '    """A loss of nearly nothing."""\n\n'
        '    SETTINGS = {"beta": BETA}\n\n'
        "    def losses(self, chosen, rejected, settings):\n"
        '        """Stay at one."""\n'
        "        return 1 + 1e-9 * (chosen - rejected)\n"
    )
    models = MODELS.replace("seed: [0, 1, 2, 3]", "seed: [0]")
    text = models.replace("axes:", "entries: entries\naxes:") + PAIRS
    report = rehearsed(text + ALIGNED.replace("objective: dpo", "objective: still"))
    (fault,) = report.faults
    assert "'still' cannot learn" in fault.what and fault.stage == "aligned"
    assert report.exit_code == 1 and Path(report.kept).is_dir()


def test_a_metric_that_is_missing_everywhere_is_named(rehearsed) -> None:
    openings = PROMPTS.replace("format: prompt-answer", "format: realtoxicityprompts")
    (fault,) = rehearsed(MODELS + openings + ASKED).faults
    assert "'perplexity' has no number" in fault.what and fault.stage == "asked"


def test_a_template_that_refuses_a_role_is_named(rehearsed, tmp_path) -> None:
    from jobs.stand_ins.known_model import KnownModel
    from jobs.stand_ins.stand_in_model import write_language_model

    fields = dict(family="llama", num_layers=2, d_model=32, num_heads=4, d_mlp=64)
    write_language_model(
        tmp_path / "model", KnownModel(), fields, ["some text"], seed=0, keeps_layers=False
    )
    (tmp_path / "model/chat_template.jinja").write_text(
        "{% for message in messages %}{% if message['role'] == 'system' %}"
        "{{ raise_exception('no system role') }}{% endif %}"
        "{{ message['role'] + ': ' + message['content'] }}{% endfor %}"
    )
    system = {"role": "system", "content": "be kind"}
    answers = [[{"role": "assistant", "content": f"{side} one"}] for side in ("kind", "rude")]
    rows = [
        {"prompt": [system, {"role": "user", "content": f"say {row}"}]}
        | dict(zip(("chosen", "rejected"), answers, strict=True))
        for row in range(40)
    ]
    write_rows(tmp_path / "here/pairs.jsonl", rows)
    models = MODELS.replace("hf://nobody/llama-1b", "MODEL")
    models = models.replace("MODEL", str(tmp_path / "model")).replace(CONFIG, "")
    chat = REFERENCE.replace("max_length: 64", "template: chat")
    text = models + PAIRS.replace("prompt-chosen-rejected", "messages") + chat
    try:
        told = "\n".join(fault.what for fault in rehearsed(text).faults)
    except UserError as fault:
        told = str(fault)
    assert "system" in told


def test_a_rehearsal_that_is_stopped_holds_nothing(rehearsed, monkeypatch) -> None:
    """Nothing is said to hold that did not run."""
    from orchestrator.dispatch.interruption import handle_signals

    def stop_at_once(self, timeout_s):
        os.kill(os.getpid(), signal.SIGTERM)
        return []

    monkeypatch.setattr(Executor, "wait", stop_at_once)
    with handle_signals(may_raise=True):
        report = rehearsed(MODELS + PAIRS)
    assert report.exit_code == 130 and not report.is_held and not report.to_json()["held"]
    assert Path(report.kept).is_dir()
