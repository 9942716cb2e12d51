"""Every preference objective against its formula, written out once more pair by pair."""

import json
import math

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from transformers import AutoModelForCausalLM

from cluster.errors import UserError
from jobs.training.align_params import Params
from jobs.training.formula_objective import FormulaObjective
from jobs.training.objective import OBJECTIVES
from jobs.training.recipe import data_order

BETA, NUM_PAIRS, NUM_TRAINED = 0.3, 10, 6
SETTINGS = {
    "robust": {"label_smoothing": 0.2},
    "exo-pair": {"label_smoothing": 0.01},
    "discopop": {"discopop_tau": 0.5},
    "aot": {"label_smoothing": 0.1},
    "aot-unpaired": {"label_smoothing": 0.1},
}


def p(x):
    return 1 / (1 + math.exp(-x))


def exo(x, wrong):
    """KL divergence of what the policy prefers from the smoothed labels."""
    return p(x) * math.log(p(x) / (1 - wrong)) + (1 - p(x)) * math.log((1 - p(x)) / wrong)


def robust(x, wrong):
    return ((1 - wrong) * -math.log(p(x)) - wrong * -math.log(1 - p(x))) / (1 - 2 * wrong)


def discopop(x, tau):
    blend = p(x / tau)
    return (1 - blend) * math.log(1 + math.exp(-x)) + blend * math.exp(-x)


def smoothed(x, wrong):
    return -(1 - wrong) * math.log(p(x)) - wrong * math.log(1 - p(x))


# Of one pair: log-ratio of chosen (c) and rejected (r), tokens of both (m, n).
PAIRWISE = {
    "dpo": lambda c, r, m, n: -math.log(p(BETA * (c - r))),
    "hinge": lambda c, r, m, n: max(0.0, 1 - BETA * (c - r)),
    "ipo": lambda c, r, m, n: (c / m - r / n - 1 / (2 * BETA)) ** 2,
    "sigmoid-norm": lambda c, r, m, n: -math.log(p(BETA * (c / m - r / n))),
    "robust": lambda c, r, m, n: robust(BETA * (c - r), 0.2),
    "exo-pair": lambda c, r, m, n: exo(BETA * (c - r), 0.01),
    "nca-pair": lambda c, r, m, n: (
        -math.log(p(BETA * c)) - (math.log(p(-BETA * c)) + math.log(p(-BETA * r))) / 2
    ),
    "bco-pair": lambda c, r, m, n: -math.log(p(BETA * c)) - math.log(1 - p(BETA * r)),
    "sppo-hard": lambda c, r, m, n: (c - 1 / (2 * BETA)) ** 2 + (r + 1 / (2 * BETA)) ** 2,
    "apo-zero": lambda c, r, m, n: 1 - p(BETA * c) + p(BETA * r),
    "apo-down": lambda c, r, m, n: p(BETA * c) + 1 - p(BETA * (c - r)),
    "discopop": lambda c, r, m, n: discopop(BETA * (c - r), 0.5),
}


def expected_loss(objective, rows):
    """Mean loss of rows of (policy's and reference's sums for both sides, tokens of both)."""
    if objective == "aot":
        policy = sorted(row["chosen"] - row["rejected"] for row in rows)
        reference = sorted(row["ref_chosen"] - row["ref_rejected"] for row in rows)
        losses = [smoothed(BETA * (a - b), 0.1) for a, b in zip(policy, reference, strict=True)]
    elif objective == "aot-unpaired":
        chosen = sorted(row["chosen"] - row["ref_chosen"] for row in rows)
        rejected = sorted(row["rejected"] - row["ref_rejected"] for row in rows)
        losses = [smoothed(BETA * (a - b), 0.1) for a, b in zip(chosen, rejected, strict=True)]
    else:
        losses = [
            PAIRWISE[objective](
                row["chosen"] - row["ref_chosen"],
                row["rejected"] - row["ref_rejected"],
                row["num_chosen"],
                row["num_rejected"],
            )
            for row in rows
        ]
    return sum(losses) / len(losses)


@pytest.fixture
def uneven():
    """Pairs whose two completions differ in length; the last four are for validation."""
    return [
        {
            "pair": pair,
            "prompt": f"word{pair} word{pair + 1}",
            "chosen": " ".join(f"word{10 + (pair + step) % 5}" for step in range(2 + pair % 3)),
            "rejected": " ".join(f"word{15 + (pair + step) % 5}" for step in range(5 - pair % 4)),
            "split": "train" if pair < NUM_TRAINED else "validation",
            "group": pair,
        }
        for pair in range(NUM_PAIRS)
    ]


def sums(model, rows):
    """What a model gives both sides of each row, one sequence at a time, nothing padded."""
    found = []
    for row in rows:
        facts = {}
        for side in ("chosen", "rejected"):
            words, start = f"{row['prompt']} {row[side]}".split(), len(row["prompt"].split())
            ids = torch.tensor([[int(word.removeprefix("word")) + 2 for word in words]])
            with torch.no_grad():
                logs = model(ids).logits[0].double().log_softmax(-1)
            facts[side] = sum(logs[at - 1, ids[0, at]].item() for at in range(start, len(words)))
            facts[f"num_{side}"] = len(words) - start
        found.append(facts)
    return found


@pytest.fixture
def judged(root, uneven):
    """The root with those pairs and a reference off by some nats, other ones for each pair."""
    root.parquet("uneven", "pairs", uneven)
    inputs = {"model": "model", "pairs": "uneven"}
    answer, _ = root.run("reference", {"max_length": 32}, name="true", **inputs)
    assert answer["state"] == "done", answer
    true = root.artifact("true")
    columns = pyarrow.parquet.read_table(true.path("reference.parquet")).to_pydict()
    draw = np.random.default_rng(3)
    for name in ("ref_chosen_logps", "ref_rejected_logps"):
        columns[name] = [value + draw.normal(scale=2) for value in columns[name]]
    root.parquet("planted", "reference", pyarrow.table(columns), dict(true.facts))
    root.planted = [
        {"ref_chosen": chosen, "ref_rejected": rejected}
        for chosen, rejected in zip(
            columns["ref_chosen_logps"], columns["ref_rejected_logps"], strict=True
        )
    ]
    return root


def aligned(root, objective, **params):
    inputs = {"model": "model", "pairs": "uneven", "reference": "planted"}
    given = {"max_length": 32, "steps": 1, "learning_rate": 1e-4, "seed": 5, "beta": BETA}
    given = {**given, **SETTINGS.get(objective, {}), **params, "objective": objective}
    answer, _ = root.run("align", given, name="aligned", **inputs)
    assert answer["state"] == "done", answer
    return root.log_of("aligned")


def model_in(root, name):
    return AutoModelForCausalLM.from_pretrained(root.artifact(name).directory("model"))


@pytest.mark.parametrize("objective", [*PAIRWISE, "aot", "aot-unpaired"])
def test_a_step_has_the_loss_of_the_formula_and_lowers_it(judged, uneven, objective):
    (row,) = aligned(judged, objective)
    batch = data_order(NUM_TRAINED, 4, seed=5)

    def loss_of(model, places):
        given = sums(model, [uneven[place] for place in places])
        planted = [judged.planted[place] for place in places]
        return expected_loss(objective, [a | b for a, b in zip(given, planted, strict=True)])

    before, after = (model_in(judged, name) for name in ("model", "aligned"))
    assert row["loss"] == pytest.approx(loss_of(before, batch), rel=1e-5)
    assert loss_of(after, batch) < loss_of(before, batch) - 1e-6
    validation = range(NUM_TRAINED, NUM_PAIRS)
    assert row["validation/loss"] == pytest.approx(loss_of(after, validation), rel=1e-5)
    assert row["grad_norm"] > 0


def test_every_preference_objective_is_held_against_a_formula():
    elsewhere = {"sft", "dpo-shuffled", "unaligned"}
    assert set(OBJECTIVES.names()) == {*PAIRWISE, "aot", "aot-unpaired"} | elsewhere


def test_a_hinge_that_every_pair_has_passed_is_done_and_not_stuck(judged):
    # beta so large that what the planted reference leaves wrong is unlearned in no time
    log = aligned(judged, "hinge", beta=1000.0, steps=60, learning_rate=1e-2)
    assert [row["grad_norm"] for row in log[-12:]] == [0.0] * 12
    assert log[-1]["loss"] == 0.0 and log[-1]["rewards/margins"] > 1


@pytest.mark.parametrize(
    ("objective", "setting", "having"),
    [
        ("sft", "beta", "robust"),
        ("dpo", "label_smoothing", "aot, aot-unpaired, exo-pair, robust"),
        ("dpo", "discopop_tau", "these have it: discopop"),
        ("ipo", "label_smoothing", "exo-pair"),
    ],
)
def test_a_setting_that_the_objective_would_ignore_is_refused(objective, setting, having):
    with pytest.raises(UserError, match=f"'{objective}' has no {setting}") as caught:
        Params(objective=objective, **{setting: 0.1})
    assert caught.value.where == setting and having in caught.value.hint
    assert caught.value.allowed == sorted(OBJECTIVES.find(objective).SETTINGS)
    Params(objective=objective, **{setting: None})  # null says nothing


def test_a_setting_outside_what_the_loss_can_bear_is_refused():
    with pytest.raises(UserError, match="label_smoothing of objective 'exo-pair' must be above 0"):
        Params(objective="exo-pair", label_smoothing=0)
    with pytest.raises(ValueError, match="less than 0.5"):
        Params(objective="robust", label_smoothing=0.5)
    assert Params(objective="robust", label_smoothing=0).settings()["label_smoothing"] == 0


def test_losses_that_sort_the_batch_refuse_to_have_it_split():
    for objective in ("aot", "aot-unpaired"):
        with pytest.raises(UserError, match="needs the global batch of 4 in one, not 2") as caught:
            Params(objective=objective, micro_batch=2)
        assert caught.value.where == "micro_batch" and caught.value.allowed == ["4"]
        Params(objective=objective, micro_batch=4)
    Params(objective="ipo", micro_batch=2)


@pytest.mark.parametrize(("wrong", "right"), [("robst", "robust"), ("apo_zer", "apo-zero")])
def test_a_wrong_name_is_answered_with_the_nearest(wrong, right):
    with pytest.raises(UserError, match=f"unknown objective '{wrong}'") as caught:
        Params(objective=wrong)
    assert caught.value.hint == f"did you mean {right!r}?"


@pytest.mark.parametrize("objective", OBJECTIVES.names())
def test_params_hold_every_setting_of_the_objective_and_no_other(objective):
    params = Params(objective=objective)
    written = params.model_dump(mode="json")
    declared = OBJECTIVES.find(objective).SETTINGS
    assert {name: written[name] for name in declared} == params.settings()
    assert not ({"beta", "label_smoothing", "discopop_tau"} - set(declared)) & set(written)
    assert Params(**json.loads(json.dumps(written))).model_dump() == params.model_dump()


def test_a_default_and_the_same_value_written_are_one_job():
    assert Params(objective="dpo").model_dump()["beta"] == 0.1
    assert Params(objective="dpo").model_dump() == Params(beta=0.1).model_dump(), (
        "keys must not depend on how a value was said"
    )


@pytest.mark.parametrize(
    ("losses", "told"),
    [
        (lambda chosen, rejected: (chosen[:, None] - rejected) ** 2, r"\(3, 3\) of 3 pairs"),
        (lambda chosen, rejected: (chosen - rejected).mean(), "Tensor of 3 pairs"),
        (lambda chosen, rejected: 1.0, "float of 3 pairs"),
    ],
)
def test_a_formula_that_gives_no_loss_of_each_pair_is_refused(losses, told):
    class Own(FormulaObjective):
        def losses(self, chosen, rejected, settings):
            return losses(chosen, rejected)

    with pytest.raises(UserError, match=told):
        Own().validation_losses(np.zeros(3), np.ones(3), {})
