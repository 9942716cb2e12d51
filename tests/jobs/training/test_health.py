"""Real trainings that are beyond hope end with their own fault, and leave evidence."""

import json
import threading

import numpy as np
import pytest
import torch

from cluster.errors import SurroundingsError
from cluster.executor import Surroundings
from jobs.artifacts.artifact import Artifact
from jobs.kinds.pretrain import Pretrain
from jobs.training import health
from jobs.training.pretraining import Rows, _make_trainer
from jobs.training.supervision import Supervision, train
from jobs.worker.attempt_folder import AttemptFolder
from jobs.worker.tracking import Tracker
from jobs.worker.work import Work

pretrain = Pretrain()

INPUTS = {"model": "model", "pairs": "pairs", "reference": "reference"}
PARAMS = {"max_length": 32, "steps": 30, "learning_rate": 1e-3}


def failed(root, name="sick", inputs=None, **params):
    """The error of a training, and the evidence it left."""
    answer, _ = root.run("align", {**PARAMS, **params}, name=name, **(inputs or INPUTS))
    assert answer["state"] == "failed", answer
    artifact = root.artifact(name)
    folder = root.storage.path(artifact.attempt_folder("1"))
    evidence = json.loads((folder / "health.json").read_text(), parse_constant=pytest.fail)
    assert f"{artifact.attempt_folder('1')}/health.json" in answer["error"]["message"]
    assert str(root.folder) not in answer["error"]["message"]
    return answer["error"], evidence


def test_weights_that_overflow_end_the_first_step(scored, tiny_model, word_tokenizer):
    model = tiny_model("gpt2")
    with torch.no_grad():
        for block in model.transformer.h:  # numbers that are none once they are added
            block.mlp.c_proj.bias[3] = 3e38
    scored.model("broken", model, word_tokenizer(eos_token="<end>"), "pretrained")
    error, evidence = failed(scored, inputs={**INPUTS, "model": "broken"})
    assert evidence["fault"] == "Diverged" and error["code"] == "user_mistake"
    assert "loss is nan at step 1" in error["message"]
    assert evidence["last"][-1]["loss"] == "nan"


def test_a_learning_rate_that_overflows_ends_with_the_last_loss_that_was_a_number(scored):
    error, evidence = failed(scored, learning_rate=1e8)
    assert evidence["fault"] == "Diverged" and error["code"] == "user_mistake"
    assert "is nan at step 2, after loss 0.6931 at step 1" in error["message"]
    assert [row["step"] for row in evidence["last"]] == [1, 2]


def test_weights_that_the_last_step_ruined_are_not_left_behind(scored):
    _, evidence = failed(scored, steps=1, learning_rate=1e38, validate_every=None, objective="sft")
    assert evidence["fault"] == "Diverged"
    assert scored.artifact("sick").find_record() is None


def test_gradients_that_stay_far_above_what_they_were_end_the_run(scored):
    error, evidence = failed(scored, objective="sft", learning_rate=1.0)
    assert evidence["fault"] == "GradientExploded" and error["code"] == "user_mistake"
    norms = [row["grad_norm"] for row in evidence["last"]]
    assert len(norms) == 4 and min(norms[1:]) > 20 * norms[0]
    assert "step 4" in error["message"]


def test_a_policy_that_stays_the_reference_is_stopped_after_ten_steps(scored):
    error, evidence = failed(scored, learning_rate=1e-30)
    assert evidence["fault"] == "NothingLearned" and error["code"] == "user_mistake"
    assert "step 10, where the loss is 0.6931" in error["message"]
    margins = [row["rewards/margins"] for row in evidence["last"]]
    assert len(margins) == 10 and 0 < np.abs(margins).max() < 1e-6


@pytest.mark.parametrize("objective", ["dpo", "sft"])
def test_a_slow_run_and_a_run_to_saturation_are_never_stopped(scored, objective):
    for name, rate in (("slow", 1e-7), ("saturated", 1e-2)):
        params = {**PARAMS, "objective": objective, "learning_rate": rate, "steps": 40}
        answer, _ = scored.run("align", params, name=f"{name} {objective}", **INPUTS)
        assert answer["state"] == "done", answer
        folder = scored.artifact(f"{name} {objective}")
        assert "health.json" not in folder.names()


@pytest.fixture
def pretraining(root, tiny_model):
    """A function: (dataset, limit) -> a supervised trainer over it, two steps of four rows."""

    def build(rows, **more):
        params = pretrain.Params(
            config={"family": "gpt2", "num_layers": 1, "d_model": 8, "num_heads": 1},
            format="nursery",
            steps=2,
            global_batch=4,
            warmup_steps=0,
        )
        attempt = AttemptFolder(Artifact(root.storage, "pretrain", "e" * 64), "1")
        work = Work(
            params=params,
            inputs={},
            attempt=attempt,
            surroundings=Surroundings(stop_requested=lambda: False),
            tracker=Tracker(None),
            threads=1,
        )
        recipe = params.recipe(2)
        trainer = _make_trainer(
            tiny_model("gpt2"), rows, recipe, attempt.path / "checkpoints", "cpu"
        )
        trainer.supervise(Supervision(work=work, recipe=recipe, **more))
        return trainer

    return build


ROWS = np.arange(32).reshape(4, 8) % 20


def test_data_without_a_row_are_named_and_not_trained_on(pretraining):
    trainer = pretraining(Rows(ROWS, np.arange(0)))
    with pytest.raises(health.EmptyLoader, match="step 1 got 0 of its 1 batches"):
        train(trainer)


def test_data_that_end_before_the_steps_do_are_named(pretraining):
    class Ends(Rows):
        def __len__(self):
            return 8

        def __getitem__(self, place):
            if place >= 4:
                raise StopIteration
            return super().__getitem__(place)

    trainer = pretraining(Ends(ROWS, np.arange(4)))
    with pytest.raises(health.EmptyLoader, match="step 2 got 0 of its 1 batches") as caught:
        train(trainer)
    evidence = json.loads((trainer.supervision.work.folder / "health.json").read_text())
    assert caught.value.exit_code == 2 and [row["step"] for row in evidence["last"]] == [1]


def test_data_that_never_come_end_the_run_and_it_may_be_tried_again(pretraining):
    release = threading.Event()

    class Hangs(Rows):
        def __getitem__(self, place):
            if place >= 8:  # accelerate fetches one batch ahead
                release.wait()
            return super().__getitem__(place)

    trainer = pretraining(Hangs(ROWS, np.tile(np.arange(4), 3)), batch_limit_s=1.0)
    with pytest.raises(health.SilentLoader, match=r"no batch for step 2 within 1 s") as caught:
        train(trainer)
    release.set()
    assert isinstance(caught.value, SurroundingsError)


def test_a_hinge_that_is_satisfied_and_a_gradient_from_a_low_are_healthy(pretraining):
    watched = pretraining(Rows(ROWS, np.arange(4))).health
    first = {"loss": 1.0, "grad_norm": 3.0, "rewards/margins": 0.5}
    satisfied = {"loss": 0.0, "grad_norm": 0.0, "rewards/margins": 2.0}
    vanished = {"loss": 0.01, "grad_norm": 1e-5, "rewards/margins": 5.0}
    hard = {"loss": 0.9, "grad_norm": 2.5, "rewards/margins": 1.0}
    rows = [first, *[satisfied] * 30, *[vanished] * 30, *[hard] * 5]
    for step, row in enumerate(rows, start=1):
        watched.check({"step": step, **row})


def test_what_an_earlier_attempt_logged_counts(pretraining):
    watched = pretraining(Rows(ROWS, np.arange(4))).health
    still = {"loss": 0.69, "grad_norm": 0.0}
    watched.remember({"step": step, **still} for step in range(1, 10))
    with pytest.raises(health.NothingLearned, match="up to step 10"):
        watched.check({"step": 10, **still})
