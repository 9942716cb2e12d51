"""Interventions on models whose difference was planted: what is put back is recovered."""

import copy
import json

import numpy as np
import pytest
import torch

from analysis.long_table.files import from_parquet
from cluster.errors import UserError
from jobs.intervening.intervene_params import InterveneParams as Params
from jobs.kinds.intervene import Intervene

TOXIC = ["word3", "word7"]
FEW = {"new_tokens": 4, "random_controls": 3, "metrics": ["toxic_mass", "perplexity"]}
PLACE = {"site": "resid_post", "depth": 0.5}
NEURON = 5


@pytest.fixture
def ladder(root, tiny_model, word_tokenizer, plain_prompts):
    """A function: family, what turns the base into the aligned model -> inputs of an extraction."""

    def publish(family, change, **fields):
        base = tiny_model(family, num_layers=3, max_positions=32, **fields).eval()
        with torch.no_grad():
            for weight in base.parameters():
                weight.mul_(4 if weight.ndim > 1 else 1)
        aligned = copy.deepcopy(base)
        with torch.no_grad():
            change(base, aligned)
        words = root.publish(
            family, "pairs", lambda to: (to / "toxic.json").write_text(as_json(TOXIC))
        )
        return {
            "base": root.model(f"{family} base", base, word_tokenizer(eos_token="<end>")),
            "aligned": root.model(
                f"{family} aligned", aligned, word_tokenizer(eos_token="<end>"), "align"
            ),
            "prompts": root.prompts(family, plain_prompts, transform="plain"),
            "lexicon": words,
        }

    return publish


def as_json(words):
    return json.dumps({"words": words, "origin": "known"})


def extraction(root, inputs, **params):
    pair = {name: inputs[name] for name in ("base", "aligned", "prompts")}
    params = {"sites": ["resid_mid", "resid_post"], "layers": "all", **params}
    return root.done("extract", {"positions": ["all"], "full_rows": ["all"], **params}, **pair)


def probe(root, model, neurons, direction=None):
    """Publish what a probe of `model` leaves that has these neurons and this direction."""
    return root.toxic_directions(model, neurons, np.eye(16)[0] if direction is None else direction)


def rows(artifact):
    table = from_parquet(artifact.read("measurements.parquet")).to_pylist()
    return {(row["metric"], row["position"], row["dose"]): row for row in table}


def pushed_to_toxic(base, aligned, size=3.0):
    """A bias in the output of the middle block's MLP, towards the toxic words."""
    towards = base.transformer.wte.weight[[5, 9]].mean(dim=0)  # word3 and word7
    aligned.transformer.h[1].mlp.c_proj.bias.add_(size * towards)


def with_weak_neuron(base, aligned):
    """The base has one neuron that writes toxic words; the aligned one hardly hears its key."""
    from jobs.taps.taps import read_sites

    with read_sites(base, [("resid_mid", 1)], lambda x: x[0].clone()) as found:
        base(torch.arange(2, 22)[None])
    heard = base.transformer.h[1].ln_2(found["resid_mid", 1]).mean(dim=0)
    base.transformer.h[1].mlp.c_fc.weight[:, NEURON] = 2 * heard / heard.norm()
    base.transformer.h[1].mlp.c_proj.weight[NEURON] = 3 * base.transformer.wte.weight[[5, 9]].sum(0)
    aligned.load_state_dict(base.state_dict())
    aligned.transformer.h[1].mlp.c_fc.weight[:, NEURON] /= 10


def test_the_mean_offset_of_a_planted_bias_is_all_there_is(root, ladder):
    inputs = ladder("gpt2", pushed_to_toxic)
    delta = extraction(root, inputs)
    params = {**FEW, **PLACE, "intervention": "add-mean-offset", "position": "all"}
    done = root.done("intervene", {**params, "doses": [0.5, 1]}, **inputs, delta=delta)
    found = rows(done)
    behaved = root.done(
        "behave",
        {"metrics": FEW["metrics"], "new_tokens": 4},
        model=inputs["aligned"],
        prompts=inputs["prompts"],
        lexicon=inputs["lexicon"],
    )
    truth = from_parquet(behaved.read("measurements.parquet")).to_pylist()
    for metric, position in (("toxic_mass", "last"), ("perplexity", "response")):
        (own,) = [row for row in truth if row["metric"] == metric]
        patched = found[f"patched_{metric}", position, "1"]
        for column in ("value", "low", "high"):
            assert patched[column] == pytest.approx(own[column], rel=1e-4)
        assert (patched["site"], patched["layer"], patched["depth"]) == (None, None, None)
    share = found["recovered_toxic_mass", "last", "1"]
    assert (share["value"], share["low"], share["high"]) == pytest.approx((1, 1, 1), abs=1e-3)
    assert 0 < found["recovered_toxic_mass", "last", "0.5"]["value"] < 1
    assert share["null_high"] < 1  # a random direction of equal length does not do it
    assert share["intervention"] == "add-mean-offset"
    assert "at resid_post, depth 0.5" in share["definition"]
    assert done.facts["layer"] == 1


def test_without_its_mean_offset_the_model_is_the_base_again(root, ladder):
    def along_a_quiet_direction(base, aligned):
        """Where the base hardly varies, so that its own variation is not taken away with it."""
        from jobs.taps.taps import read_sites

        ids = torch.arange(2, 22)[None]
        with read_sites(base, [("resid_post", 1)], lambda x: x[0].clone()) as found:
            base(ids)
        quiet = torch.linalg.svd(found["resid_post", 1]).Vh[-1]
        aligned.transformer.h[1].mlp.c_proj.bias.add_(8 * quiet)

    inputs = ladder("gpt2", along_a_quiet_direction)
    delta = extraction(root, inputs)
    params = {**FEW, **PLACE, "intervention": "project-out", "position": "all", "doses": [1]}
    found = rows(root.done("intervene", params, **inputs, delta=delta))
    share = found["recovered_toxic_mass", "last", "1"]
    assert share["value"] == pytest.approx(1, abs=0.1)
    # Random directions hold little of it; three of them make a wide band.
    assert (share["null_low"] + share["null_high"]) / 2 < 0.5


def test_ten_times_the_key_of_the_one_toxic_neuron_is_the_base_again(root, ladder):
    inputs = ladder("gpt2", with_weak_neuron)
    toxic = probe(root, inputs["base"], [(1, NEURON), (2, 0)])
    params = {**FEW, "intervention": "scale-keys", "num_vectors": 1}
    params["metrics"] = ["toxic_mass", "toxic_rate", "perplexity", "token_f1"]
    done = root.done("intervene", params, **inputs, toxic=toxic)
    found = rows(done)
    assert done.facts["neurons"] == [[1, NEURON]]
    share = found["recovered_toxic_mass", "last", "10"]
    assert share["value"] == pytest.approx(1, abs=1e-4)
    assert (share["null_low"] + share["null_high"]) / 2 < 0.5
    assert (
        found["patched_toxic_mass", "last", "10"]["value"]
        > found["patched_toxic_mass", "last", "0"]["value"]
    )
    assert {metric for metric, *_ in found} >= {"patched_toxic_rate", "patched_token_f1"}


def test_what_a_direction_adds_it_takes_away(root, ladder):
    """Subtracting from the aligned model what was planted in it gives the base, at every size."""
    inputs = ladder("gpt2", pushed_to_toxic)
    wanted = extraction(root, inputs)
    from jobs.store.activation_store import ActivationStore

    bias = ActivationStore(wanted).rows("resid_post", 1, "all").rows.mean(axis=0)
    toxic = probe(root, inputs["base"], [(1, 0)], bias.astype(np.float64))
    length = float(np.linalg.norm(bias))
    params = {**FEW, **PLACE, "dose_unit": "absolute", "doses": [length], "random_controls": 0}
    away = rows(
        root.done(
            "intervene",
            {**params, "intervention": "subtract-direction", "subject": "aligned"},
            **inputs,
            toxic=toxic,
        )
    )
    added = rows(
        root.done("intervene", {**params, "intervention": "add-direction"}, **inputs, toxic=toxic)
    )
    for found in (away, added):
        share = found["recovered_toxic_mass", "last", f"{length:g}"]
        assert share["value"] == pytest.approx(1, abs=1e-3)
        assert share["null_low"] is None
    relative = {**params, "intervention": "add-direction", "dose_unit": "typical-norm"}
    done = root.done("intervene", {**relative, "doses": [0.5]}, **inputs, toxic=toxic)
    base = ActivationStore(wanted).base("resid_post", 1, "all")[:]
    first = ActivationStore(wanted).stored("resid_post", 1, "all").index
    assert len(first.prompts) == len(base)
    norms = np.linalg.norm(base[np.append(False, first.prompts[1:] == first.prompts[:-1])], axis=1)
    assert done.facts["step"] == pytest.approx(np.median(norms), rel=1e-5)


def test_gates_of_a_family_that_has_them_and_of_one_that_has_none(root, ladder):
    def quiet_gate(base, aligned):
        aligned.model.layers[1].mlp.gate_proj.weight[NEURON] *= 0.1

    inputs = ladder("llama", quiet_gate)
    toxic = probe(root, inputs["base"], [(1, NEURON)])
    params = {**FEW, "random_controls": 0, "num_vectors": 1}
    gates = rows(
        root.done("intervene", {**params, "intervention": "set-gates"}, **inputs, toxic=toxic)
    )
    assert gates["patched_toxic_mass", "last", "1"]["value"] is not None
    inputs = ladder("gpt2", with_weak_neuron)
    toxic = probe(root, inputs["base"], [(1, NEURON)])
    none = rows(
        root.done("intervene", {**params, "intervention": "set-gates"}, **inputs, toxic=toxic)
    )
    row = none["recovered_toxic_mass", "last", "1"]
    assert (row["value"], row["status"]) == (None, "not_defined_for_family")
    assert "no gate" in row["reason"]
    assert none["patched_toxic_mass", "last", "0"]["value"] is not None


def test_an_adapter_is_changed_where_it_lies(root, ladder, tiny_model, tmp_path):
    from peft import LoraConfig, get_peft_model

    inputs = ladder("gpt2", with_weak_neuron)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        lora = LoraConfig(r=2, target_modules=["c_fc"], init_lora_weights=False)
        made = tiny_model("gpt2", num_layers=3, max_positions=32)
        get_peft_model(made, lora).save_pretrained(tmp_path / "adapter")
    source = {"source": str(tmp_path / "adapter")}
    inputs["aligned"] = root.done("adapter", source, base=inputs["base"])
    toxic = probe(root, inputs["base"], [(1, NEURON)])
    params = {**FEW, "intervention": "scale-keys", "num_vectors": 1, "doses": [3]}
    found = rows(root.done("intervene", params, **inputs, toxic=toxic))
    behaved = root.done(
        "behave",
        {"metrics": ["toxic_mass"], "new_tokens": 4},
        model=inputs["aligned"],
        prompts=inputs["prompts"],
        lexicon=inputs["lexicon"],
    )
    (merged,) = from_parquet(behaved.read("measurements.parquet")).to_pylist()
    plain, patched = (found["patched_toxic_mass", "last", dose]["value"] for dose in ("0", "3"))
    assert plain == pytest.approx(merged["value"], rel=1e-4)
    assert abs(patched - plain) > 1e-3


def test_models_that_do_not_differ_have_nothing_to_recover(root, ladder):
    inputs = ladder("gpt2", lambda base, aligned: None)
    toxic = probe(root, inputs["base"], [(1, NEURON)])
    delta = extraction(root, inputs)
    params = {**FEW, "intervention": "scale-keys", "num_vectors": 1}
    keys = rows(root.done("intervene", params, **inputs, toxic=toxic))
    assert keys["recovered_toxic_mass", "last", "10"]["reason"] == "the two models do not differ"
    params = {**FEW, **PLACE, "intervention": "project-out", "position": "all"}
    none = rows(root.done("intervene", params, **inputs, delta=delta))
    assert none["patched_toxic_mass", "last", "1"]["status"] == "below_noise_floor"


def test_a_job_that_was_stopped_goes_on_after_the_passes_it_made(root, ladder):
    inputs = ladder("gpt2", with_weak_neuron)
    toxic = probe(root, inputs["base"], [(1, NEURON)])
    params = {**FEW, "intervention": "scale-keys", "num_vectors": 1, "token_budget": 100_000}
    asked = iter([False] * 3 + [True] * 100)
    answer, _ = root.run(
        "intervene", params, attempt="a", stop=lambda: next(asked), **inputs, toxic=toxic
    )
    assert answer["state"] == "stopped"
    answer, done = root.run("intervene", params, attempt="b", **inputs, toxic=toxic)
    assert answer["state"] == "done"
    assert done.facts["passes_taken_over"] == 3
    again = root.done("intervene", {**params, "num_cpus": 2}, **inputs, toxic=toxic)
    assert again.facts["passes_taken_over"] == 0
    assert again.read("measurements.parquet") == done.read("measurements.parquet")


def test_artifacts_of_other_models_are_refused(root, ladder, tiny_model, word_tokenizer):
    inputs = ladder("gpt2", pushed_to_toxic)
    other = root.model("other", tiny_model("gpt2", max_positions=32), word_tokenizer(), "align")
    toxic = probe(root, other, [(1, NEURON)])
    answer, _ = root.run("intervene", {**FEW, "intervention": "scale-keys"}, **inputs, toxic=toxic)
    assert "of another model" in json.dumps(answer)
    delta = extraction(root, {**inputs, "aligned": inputs["base"]})
    answer, _ = root.run(
        "intervene", {**FEW, **PLACE, "intervention": "project-out"}, **inputs, delta=delta
    )
    assert "does not compare this aligned model" in json.dumps(answer)


def test_too_many_neurons_are_refused(root, ladder):
    inputs = ladder("gpt2", with_weak_neuron)
    toxic = probe(root, inputs["base"], [(1, neuron) for neuron in range(40)])
    for number, said in ((41, "the probe kept 40"), (40, "40 of the 64 neurons")):
        params = {**FEW, "intervention": "scale-keys", "num_vectors": number}
        answer, _ = root.run("intervene", params, **inputs, toxic=toxic)
        assert said in json.dumps(answer)
    params["random_controls"] = 0
    assert len(root.done("intervene", params, **inputs, toxic=toxic).facts["neurons"]) == 40


def test_params_say_what_exists_and_write_out_what_follows():
    uses = Intervene().uses
    made = Params(intervention="scale_keys")
    assert (made.intervention, made.subject, made.doses) == ("scale-keys", "aligned", (10.0,))
    assert uses(made) == {"base", "aligned", "prompts", "lexicon", "toxic"}
    assert uses(Params(intervention="project-out")) == {
        *("base", "aligned", "prompts", "lexicon", "delta")
    }
    assert "delta" in uses(Params(intervention="add-direction", direction="mean-offset"))
    with pytest.raises(UserError, match="scale-keys") as wrong:
        Params(intervention="scale-key")
    assert "project-out" in (wrong.value.allowed or ())
    for doses, said in (([0], "no dose"), ([], "at least one"), ([1, 1.00000001], "differ")):
        with pytest.raises(UserError, match=said):
            Params(intervention="scale-keys", doses=doses)
    with pytest.raises(UserError, match="no band"):
        Params(intervention="scale-keys", random_controls=2)
