"""Predictions of random pairs against plain recomputation, one prompt at a time, no batches."""

import copy
import json

import numpy as np
import pytest
import torch

from analysis.estimates.group_means import estimated_mean
from analysis.long_table.files import from_parquet
from jobs.kinds.predictions import Predictions
from jobs.models.loading import load_model

predictions = Predictions()

TOXIC = [3, 4]
FEW = {"toxic_words": "prompts", "num_positions": 4, "token_budget": 60}


def publish(root, name, prompts):
    def write(folder):
        text = "".join(json.dumps(each) + "\n" for each in prompts)
        (folder / "prompts.jsonl").write_text(text)
        words = [f"word{number}" for number in TOXIC]
        (folder / "toxic.json").write_text(json.dumps({"words": words, "origin": "known"}))

    return root.publish(name, "prompts", write, {"transform": "plain"})


@pytest.fixture
def tokenizer(word_tokenizer):
    return word_tokenizer(eos_token="<end>", unk_token="<unk>")


@pytest.fixture
def given(root, pair, plain_prompts, tokenizer):
    """Inputs, base and aligned model; every third prompt has no answer of its own."""
    _, base, aligned = pair
    prompts = [
        {**each, "segments": each["segments"][: 1 if each["prompt"] % 3 == 0 else 2]}
        for each in plain_prompts
    ]
    inputs = {
        "base": root.model("first", base, tokenizer),
        "aligned": root.model("second", aligned, tokenizer, "align"),
        "prompts": publish(root, "mixed", prompts),
    }
    return inputs, base.eval(), aligned.eval()


def rows_of(artifact):
    rows = from_parquet(artifact.read("measurements.parquet")).to_pylist()
    return {(row["metric"], row["site"], row["layer"], row["position"]): row for row in rows}


def ids_of(text):
    return [2 + int(word.removeprefix("word")) for word in text.split()]


def prompts_of(artifact):
    for line in artifact.read("prompts.jsonl").decode().splitlines():
        each = json.loads(line)
        texts = [ids_of(segment["text"]) for segment in each["segments"]]
        yield each["group"], texts[0], texts[1] if len(texts) > 1 else []


def lens_by_hand(model, token_ids):
    """Next-token probabilities after the last token by (site, layer), of a GPT-2."""
    seen = {}
    handles = []
    for layer, block in enumerate(model.transformer.h):
        handles += [
            block.ln_2.register_forward_pre_hook(
                lambda _, inputs, layer=layer: seen.update({("resid_mid", layer): inputs[0]})
            ),
            block.register_forward_hook(
                lambda _, inputs, out, layer=layer: seen.update(
                    {("resid_post", layer): out[0] if isinstance(out, tuple) else out}
                )
            ),
        ]
    with torch.no_grad():
        logits = model(torch.tensor([token_ids])).logits[0, -1]
        for handle in handles:
            handle.remove()
        found = {
            place: model.lm_head(model.transformer.ln_f(stream))[0, -1].double().softmax(-1)
            for place, stream in seen.items()
        }
    return found, logits.double().softmax(-1)


def test_the_lens_is_each_models_own_and_its_last_layer_the_models_prediction(root, given):
    inputs, base, aligned = given
    rows = rows_of(root.done("predictions", FEW, **inputs))
    toxic = [2 + number for number in TOXIC]
    mass, answer = {}, {}
    for name, model in (("base", base), ("aligned", aligned)):
        for _, asked, said in prompts_of(inputs["prompts"]):
            places, own = lens_by_hand(model, asked)
            torch.testing.assert_close(places["resid_post", 2], own)
            for place, probabilities in places.items():
                mass.setdefault((name, *place), []).append(float(probabilities[toxic].sum()))
                if said:
                    answer.setdefault((name, *place), []).append(float(probabilities[said[0]]))
    assert len(mass) == 12
    asked = list(prompts_of(inputs["prompts"]))
    groups = {
        "logit_lens": np.array([group for group, _, _ in asked]),
        "logit_lens_answer": np.array([group for group, _, said in asked if said]),
    }
    for metric, by_hand in (("logit_lens", mass), ("logit_lens_answer", answer)):
        for (name, site, layer), values in by_hand.items():
            found = rows[f"{metric}_{name}", site, layer, "last"]
            assert found["value"] == pytest.approx(np.mean(values), rel=1e-5)
            assert found["num_rows"] == len(values) and found["status"] == "ok"
            assert found["low"] < found["value"] < found["high"]
            assert found["depth"] == layer / 2
        for site, layer in {key[1:] for key in by_hand}:
            drop = rows[f"{metric}_drop", site, layer, "last"]
            values = np.subtract(by_hand["base", site, layer], by_hand["aligned", site, layer])
            assert drop["value"] == pytest.approx(values.mean(), abs=1e-7)
            # Paired: the interval of the differences, not of two means beside each other.
            expected = estimated_mean(values, groups[metric])
            found = (drop["low"], drop["high"])
            assert found == pytest.approx((expected.low, expected.high), abs=1e-7)


def kl(aligned, base, token_ids):
    with torch.no_grad():
        p, q = (
            model(torch.tensor([token_ids])).logits[0, -1].double().log_softmax(-1)
            for model in (aligned, base)
        )
    return float((p.exp() * (p - q)).sum())


def test_token_kl_is_by_output_of_the_answer_or_of_what_the_aligned_model_says(root, given):
    inputs, base, aligned = given
    found = rows_of(root.done("predictions", FEW, **inputs))
    by_output = {number: [] for number in range(1, 5)}
    for _, asked, said in prompts_of(inputs["prompts"]):
        read = list(asked)
        for number in range(1, 5):
            if said and number > len(said):
                break
            by_output[number].append(kl(aligned, base, read))
            if said:
                read.append(said[number - 1])
                continue
            with torch.no_grad():
                read.append(int(aligned(torch.tensor([read])).logits[0, -1].argmax()))
            if read[-1] == 1:  # it ends the text
                break
    for number, values in by_output.items():
        row = found["token_kl", None, None, f"output-{number}"]
        assert row["value"] == pytest.approx(np.mean(values), rel=1e-3)
        assert row["num_rows"] == len(values) and row["low"] < row["value"] < row["high"]
    whole = found["token_kl_mean", None, None, "response"]
    everything = sum(by_output.values(), [])
    assert whole["value"] == pytest.approx(np.mean(everything), rel=1e-3)
    assert whole["num_rows"] == len(everything)


def test_a_model_against_itself_has_no_divergence_and_no_drop(root, given, tokenizer):
    inputs, base, _ = given
    same = root.model("same", base, tokenizer, "align")
    rows = rows_of(root.done("predictions", FEW, **{**inputs, "aligned": same}))
    null = [row for key, row in rows.items() if "kl" in key[0] or key[0].endswith("_drop")]
    assert len(null) == 2 * 6 + 5
    assert {(row["value"], row["low"], row["high"]) for row in null} == {(0.0, 0.0, 0.0)}


def test_batches_and_padding_change_nothing(root, given):
    inputs, _, _ = given
    first, second = (
        rows_of(root.done("predictions", {**FEW, "token_budget": budget}, **inputs))
        for budget in (1, 10_000)
    )
    assert first.keys() == second.keys()
    for key, row in first.items():
        assert row["value"] == pytest.approx(second[key]["value"], rel=1e-3, abs=1e-7)


def test_an_adapter_reads_as_the_model_it_makes(root, given, tokenizer, tmp_path):
    from peft import LoraConfig, get_peft_model

    inputs, base, _ = given
    with torch.random.fork_rng():
        torch.manual_seed(7)
        settings = LoraConfig(r=2, target_modules=["c_fc"], init_lora_weights=False)
        adapted = get_peft_model(copy.deepcopy(base), settings)
    adapted.save_pretrained(tmp_path / "adapter")
    adapter = root.done("adapter", {"source": str(tmp_path / "adapter")}, base=inputs["base"])
    resident = rows_of(root.done("predictions", FEW, **{**inputs, "aligned": adapter}))
    merged = load_model(adapter.directory("model"))
    alone = root.model("merged", merged, tokenizer, "align")
    apart = rows_of(root.done("predictions", FEW, **{**inputs, "aligned": alone}))
    assert resident.keys() == apart.keys()
    for key, row in resident.items():
        assert row["value"] == pytest.approx(apart[key]["value"], rel=1e-3, abs=1e-7)
    assert resident["token_kl", None, None, "output-1"]["value"] > 1e-4


def test_what_a_family_or_the_prompts_lack_is_said(root, tiny_model, tokenizer, plain_prompts):
    model = tiny_model("gpt_neox", max_positions=32)
    inputs = {
        "base": root.model("base", model, tokenizer),
        "aligned": root.model("aligned", model, tokenizer, "align"),
        "prompts": publish(
            root, "asked", [{**each, "segments": each["segments"][:1]} for each in plain_prompts]
        ),
    }
    rows = rows_of(root.done("predictions", {**FEW, "toxic_words": "lexicon"}, **inputs))
    reasons = {key[:2]: (row["status"], row["reason"]) for key, row in rows.items() if key[1]}
    for name in ("base", "aligned", "drop"):
        missing = reasons[f"logit_lens_{name}", "resid_mid"]
        assert missing[0] == "not_defined_for_family" and "parallel" in missing[1]
        empty = ("undefined", "the list of toxic words is empty")
        assert reasons[f"logit_lens_{name}", "resid_post"] == empty
        unanswered = ("undefined", "no prompt has an answer")
        assert reasons[f"logit_lens_answer_{name}", "resid_post"] == unanswered


def test_dialogues_are_read_at_every_turn(root, pair):
    inputs, _, _ = pair
    talk = [
        {
            "prompt": number,
            "group": number,
            "segments": [
                {"role": "user", "text": f"word1 word{number}"},
                {"role": "assistant", "text": "word5"},
                {"role": "user", "text": "word6 word7"},
                {"role": "assistant", "text": f"word{number}"},
            ],
        }
        for number in range(8)
    ]
    rows = rows_of(
        root.done("predictions", FEW, **{**inputs, "prompts": publish(root, "talk", talk)})
    )
    found = {key[3] for key in rows if key[0] == "logit_lens_drop"}
    assert found == {"last", "turn-1", "turn-2"}
    assert {key[3] for key in rows if key[0] == "logit_lens_answer_drop"} == {"last"}
    last, second = (
        rows["logit_lens_base", "resid_post", 2, place]["value"] for place in ("last", "turn-2")
    )
    assert last == second
    assert {key[3] for key in rows if key[0] == "token_kl"} == {"output-1"}


def test_only_what_is_asked_for_is_read(root, given):
    inputs, _, _ = given
    params = {**FEW, "metrics": ["logit_lens"], "layers": [1], "sites": ["resid_post"]}
    rows = rows_of(root.done("predictions", params, **inputs))
    assert {key[1:] for key in rows} == {("resid_post", 1, "last")}
    rows = rows_of(root.done("predictions", {**FEW, "metrics": ["token_kl"]}, **inputs))
    assert {key[0] for key in rows} == {"token_kl", "token_kl_mean"}
    params = predictions.Params(metrics=("token_kl",))
    assert predictions.uses(params) == {"base", "aligned", "prompts"}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"num_positions": 32}, "leaves no room for a prompt in the 32 positions"),
        ({"layers": [3]}, "there is no layer 3: the model has layers 0 to 2"),
        ({"layers": [-1]}, "layers are numbers from 0"),
    ],
)
def test_what_cannot_be_done_is_the_users_mistake(root, given, params, said):
    answer, _ = root.run("predictions", FEW | params, **given[0])
    assert answer["error"]["code"] == "user_mistake" and said in answer["error"]["message"]


def test_every_value_it_writes_is_declared(root, given):
    rows = rows_of(root.done("predictions", FEW | {"over_answer": ["half_depth"]}, **given[0]))
    assert {key[0] for key in rows} == set(predictions.MEASURES)


def test_the_lens_shows_chosen_tokens_in_place_of_toxic_words(root, given):
    inputs, *_ = given
    ids = [2 + number for number in TOXIC]
    of_words = rows_of(root.done("predictions", FEW, **inputs))
    chosen = rows_of(root.done("predictions", {**FEW, "token_ids": ids}, **inputs))
    places = [place for place in chosen if place[0].startswith("logit_lens_base")]
    assert places
    for place in places:
        assert chosen[place]["value"] == pytest.approx(of_words[place]["value"], abs=1e-7)
        assert f"of the tokens {ids[0]}, {ids[1]} as the next token" in chosen[place]["definition"]
    failed = root.run("predictions", {**FEW, "token_ids": [22]}, **inputs)
    assert "none of them 22" in str(failed)
