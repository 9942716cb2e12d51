"""Parts of a mean offset, from two planted biases: one that both models have, one that is DPO's."""

import copy
import json

import numpy as np
import pytest
import torch

from analysis.long_table.files import from_parquet
from jobs.intervening.intervene_params import InterveneParams as Params
from jobs.intervening.intervention import INTERVENTIONS
from jobs.kinds.intervene import Intervene

PARTS = ("add-shared-part", "add-rest", "project-out-shared-part", "project-out-rest")
PLACE = {"site": "resid_post", "depth": 0.5, "position": "all", "doses": [1]}
FEW = {"new_tokens": 4, "random_controls": 0, "metrics": ["toxic_mass"]}
SHARE = 0.8


class World:
    """A base, SFT with a bias, DPO with this bias and one at right angles to it; extractions."""

    def __init__(self, root, base, tokenizer, prompts) -> None:
        self.root, self.prompts = root, root.prompts("x", prompts, transform="plain")
        words = json.dumps({"words": ["word3", "word7"], "origin": "known"})
        self.words = root.publish("x", "pairs", lambda to: (to / "toxic.json").write_text(words))
        toxic = base.transformer.wte.weight[[5, 9]].sum(0).detach()
        other = torch.linalg.qr(torch.stack([toxic, base.transformer.wte.weight[2].detach()]).T)[0]
        length = 4 * float(toxic.norm())
        self.shared = SHARE**0.5 * length * other[:, 0]
        self.own = (1 - SHARE) ** 0.5 * length * other[:, 1]
        self._tokenizer = tokenizer
        self.base = root.model("base", base, tokenizer)
        self._weights = base
        self.sft = self.moved("sft", 0.5 * self.shared)
        self.dpo = self.moved("dpo", self.shared + self.own)

    def moved(self, name, bias):
        aligned = copy.deepcopy(self._weights)
        with torch.no_grad():
            aligned.transformer.h[1].mlp.c_proj.bias.add_(bias)
        return self.root.model(name, aligned, self._tokenizer, "align")

    def delta(self, aligned, base=None):
        params = {"sites": ["resid_post"], "layers": "all", "positions": ["all"]}
        params["full_rows"] = ["all"]
        base = base or self.base
        return self.root.done("extract", params, base=base, aligned=aligned, prompts=self.prompts)

    def mass(self, model):
        done = self.root.done(
            "behave",
            {"metrics": ["toxic_mass"], "new_tokens": 4},
            model=model,
            prompts=self.prompts,
            lexicon=self.words,
        )
        return from_parquet(done.read("measurements.parquet")).to_pylist()[0]["value"]

    def edited(self, name, **inputs):
        given = {"base": self.base, "aligned": self.dpo, "prompts": self.prompts}
        given |= {"lexicon": self.words, **inputs}
        done = self.root.done("intervene", {**FEW, **PLACE, "intervention": name}, **given)
        rows = from_parquet(done.read("measurements.parquet")).to_pylist()
        (row,) = [r for r in rows if (r["metric"], r["dose"]) == ("patched_toxic_mass", "1")]
        return done, row


@pytest.fixture
def world(root, tiny_model, word_tokenizer, plain_prompts) -> World:
    base = tiny_model("gpt2", num_layers=3, max_positions=32).eval()
    with torch.no_grad():
        for weight in base.parameters():
            weight.mul_(4 if weight.ndim > 1 else 1)
    return World(root, base, word_tokenizer(eos_token="<end>"), plain_prompts)


def test_each_part_added_is_the_model_with_its_bias_alone(world: World) -> None:
    deltas = {"delta": world.delta(world.dpo), "against": world.delta(world.sft)}
    for name, bias, share in (
        ("add-shared-part", world.shared, SHARE),
        ("add-rest", world.own, 1 - SHARE),
    ):
        done, row = world.edited(name, **deltas)
        assert row["value"] == pytest.approx(world.mass(world.moved(name, bias)), rel=1e-3)
        assert done.facts["share_of_mean_offset"] == pytest.approx(share, abs=1e-3)


def test_what_is_not_there_is_below_the_floor_and_says_so(world: World) -> None:
    dpo = world.delta(world.dpo)
    done, row = world.edited("add-rest", delta=dpo, against=dpo)
    assert (row["value"], row["status"]) == (None, "below_noise_floor")
    assert "part of the mean offset" in row["reason"]
    still = world.delta(world.moved("still", 0 * world.own))
    _, row = world.edited("add-shared-part", delta=dpo, against=still)
    assert row["status"] == "below_noise_floor" and "moves nothing" in row["reason"]


def test_a_subspace_of_another_base_is_refused(world: World) -> None:
    against = world.delta(world.sft, base=world.dpo)
    given = {"base": world.base, "aligned": world.dpo, "prompts": world.prompts}
    params = {**FEW, **PLACE, "intervention": "add-rest"}
    given |= {"lexicon": world.words, "delta": world.delta(world.dpo), "against": against}
    answer, _ = world.root.run("intervene", params, **given)
    assert answer["state"] == "failed" and answer["error"]["code"] == "user_mistake"
    assert "of another base model" in answer["error"]["message"]


@pytest.mark.parametrize("name", PARTS)
def test_only_parts_use_a_second_extraction(name: str) -> None:
    used = Intervene().uses(Params(intervention=name, toxic_words="prompts"))
    assert used == {"base", "aligned", "prompts", "delta", "against"}
    subject = "aligned" if name.startswith("project-out") else "base"
    assert subject == INTERVENTIONS.find(name).SUBJECT
    whole = Intervene().uses(Params(intervention="add-mean-offset", toxic_words="prompts"))
    assert whole == used - {"against"}


def test_the_part_is_taken_out_along_itself_alone() -> None:
    """The coordinate goes to the base's mean; what is at right angles stays."""
    from jobs.intervening.intervention import Target

    direction = np.array([0.6, 0.8, 0.0])
    target = Target(
        site="resid_post",
        layer=0,
        direction=direction,
        base_mean=np.array([1.0, 2.0, 3.0]),
        neurons={},
        num_neurons=1,
    )
    (edit,) = INTERVENTIONS.find("project-out-rest").edits(target, 1.0)
    x = torch.tensor([[5.0, -1.0, 7.0]])
    moved = (x + edit.shift(x)).double().numpy()[0]
    assert moved @ direction == pytest.approx(np.array([1.0, 2.0, 3.0]) @ direction)
    assert moved[2] == 7
