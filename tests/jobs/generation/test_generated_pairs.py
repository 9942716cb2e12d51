"""Pairs that a random nursery model writes, against plain recomputation token by token."""

import json

import numpy as np
import pyarrow.parquet
import pytest

from cluster.errors import UserError
from jobs.kinds.generated_pairs import GeneratedPairs
from jobs.text.buckets import bucket
from jobs.text.nursery.vocabulary import train_tokenizer
from jobs.text.pair_artifact import turns_in
from jobs.text.prompt_lines import without_marks
from tests.jobs.tokens.tokenizer_kinds import sentencepiece

generated_pairs = GeneratedPairs()

NEW = 6
FEW = {"num_examples": 12, "new_tokens": NEW, "strength": 0.7, "seed": 3, "token_budget": 300}
LAYER = 1  # of three, at depth 0.5


@pytest.fixture(scope="module")
def model(nursery_model):
    return nursery_model(num_layers=3)


@pytest.fixture
def inputs(root, model):
    def make(num_prompts=30, **options):
        prompts = {"format": "nursery", "options": {"num_prompts": num_prompts, **options}}
        return {
            "model": root.model("model", model, train_tokenizer()),
            "prompts": root.done("prompts", prompts),
            "lexicon": root.done("pairs", {"format": "nursery", "options": {"num_pairs": 40}}),
        }

    return make


def table(artifact):
    return pyarrow.parquet.read_table(artifact.path("pairs.parquet")).to_pylist()


def ids(text):
    return train_tokenizer()(text)["input_ids"]


def logits(model, token_ids, shift=None, since=0):
    """At the last token, with `shift` added to what block LAYER hands on from token `since`."""
    import torch

    def push(module, args, output):
        hidden = (output[0] if isinstance(output, tuple) else output).clone()
        hidden[:, since:] += torch.from_numpy(shift).float()
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    block = model.transformer.h[LAYER]
    handle = block.register_forward_hook(push) if shift is not None else None
    with torch.no_grad():
        found = model(torch.tensor([token_ids])).logits[0, -1].double().numpy()
    if handle is not None:
        handle.remove()
    return found


def said(model, prompt, choose, shift=None):
    """One token after the other, without cache, batch or padding."""
    token_ids = ids(prompt)
    start = len(token_ids)
    for step in range(NEW):
        token = choose(logits(model, token_ids, shift, start - 1), step)
        if token == train_tokenizer().eos_token_id:
            break
        token_ids.append(token)
    return token_ids[start:]


def residuals(model, prompt, answer):
    """What block LAYER hands on at the tokens of an answer."""
    import torch

    asked, told = ids(prompt), ids(answer)
    with torch.no_grad():
        states = model(torch.tensor([asked + told]), output_hidden_states=True).hidden_states
    return states[LAYER + 1][0, len(asked) :].double().numpy()


def expected_shift(model, lexicon):
    pairs = [pair for pair in table(lexicon) if pair["split"] == "train"]
    order = np.random.default_rng([FEW["seed"], 0]).permutation(len(pairs))
    sides = {
        side: np.concatenate(
            [
                residuals(model, pairs[i]["prompt"], pairs[i][side])
                for i in order[: FEW["num_examples"]]
            ]
        )
        for side in ("chosen", "rejected")
    }
    direction = sides["rejected"].mean(0) - sides["chosen"].mean(0)
    typical = np.median(np.linalg.norm(np.concatenate(list(sides.values())), axis=1))
    return FEW["strength"] * typical * direction / np.linalg.norm(direction)


def drawn_for(prompt):
    """The choice among the ten likeliest that the prompt's own draws make."""
    draws = np.random.default_rng([FEW["seed"], bucket(prompt, 1 << 63)]).random(NEW)

    def choose(found, step):
        best = np.argsort(-found)[:10]
        shares = np.exp(found[best] - found[best].max())
        return int(best[np.searchsorted(np.cumsum(shares) / shares.sum(), draws[step])])

    return choose


def nats(model, prompt, told):
    """What the model, not pushed, gives an answer."""
    import torch

    asked = ids(prompt)
    with torch.no_grad():
        scores = model(torch.tensor([asked + told])).logits[0].double().log_softmax(-1)
    return -sum(float(scores[len(asked) + i - 1, token]) for i, token in enumerate(told))


def test_both_sides_and_how_fluent_they_are_come_out_of_plain_recomputation(root, model, inputs):
    """Chosen is what the model says, rejected what it draws under the push."""
    given = inputs()
    artifact = root.done("generated-pairs", FEW, **given)
    shift = expected_shift(model, given["lexicon"])
    facts = artifact.facts
    assert facts["push"]["layer"] == LAYER
    assert facts["push"]["norm"] == pytest.approx(np.linalg.norm(shift), rel=1e-5)
    prompts = prompts_of(given["prompts"])
    expected = {
        "chosen": [said(model, prompt, lambda found, _: int(found.argmax())) for prompt in prompts],
        "rejected": [said(model, prompt, drawn_for(prompt), shift) for prompt in prompts],
    }
    report = json.loads(artifact.read("report.json"))
    assert report["sides"] == facts["sides"]
    pairs = {pair["prompt"]: pair for pair in table(artifact)}
    assert len(pairs) > 15 and len(pairs) + facts["num_dropped"] == len(prompts)
    for side, told in expected.items():
        texts = train_tokenizer().batch_decode(told, skip_special_tokens=True)
        by_prompt = dict(zip(prompts, texts, strict=True))
        assert all(pair[side] == by_prompt[prompt] for prompt, pair in pairs.items())
        spent = sum(nats(model, prompt, each) for prompt, each in zip(prompts, told, strict=True))
        mean = spent / sum(map(len, told))
        assert facts["sides"][side]["nats_per_token"] == pytest.approx(mean, rel=1e-5)
        kept = np.mean([ids(text) == each for text, each in zip(texts, told, strict=True)])
        assert facts["sides"][side]["tokens_kept_share"] == pytest.approx(kept)


def test_with_sentencepiece_the_pair_gives_the_tokens_that_were_written(
    root, nursery_model, inputs
):
    """Decoded alone, a side loses its first blank, and its words grow onto the prompt's."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=sentencepiece("prepend"), unk_token="<unk>", eos_token="</s>"
    )
    model = nursery_model(num_layers=3, vocab_size=len(tokenizer))
    text = "The driver after the match was calm about it He said thank you and waited"
    words = text.split()
    prompts = [" ".join(words[: end + 1]) for end in range(len(words))]
    lines = [
        {"prompt": n, "group": n, "segments": [{"role": "prompt", "text": text}]}
        for n, text in enumerate(prompts)
    ]
    given = {
        **inputs(),
        "model": root.model("pieces", model, tokenizer),
        "prompts": root.prompts("words", lines),
    }
    artifact = root.done("generated-pairs", FEW, **given)
    written = {}
    for prompt in prompts:
        asked = tokenizer(prompt)["input_ids"]
        answer = []
        for _ in range(NEW):
            answer.append(int(logits(model, asked + answer).argmax()))
        written[prompt] = asked + answer
    assert not any(tokenizer.eos_token_id in ids for ids in written.values())
    texts = {
        prompt: tokenizer.decode(ids, skip_special_tokens=True) for prompt, ids in written.items()
    }
    pairs = table(artifact)
    assert len(pairs) > 5
    assert all(pair["prompt"] + pair["chosen"] == texts[pair["prompt"]] for pair in pairs)
    assert any(pair["chosen"].startswith(" ") for pair in pairs)
    kept = np.mean([tokenizer(text)["input_ids"] == written[p] for p, text in texts.items()])
    assert artifact.facts["sides"]["chosen"]["tokens_kept_share"] == pytest.approx(kept)
    assert kept > 0.5


def prompts_of(artifact):
    lines = artifact.read("prompts.jsonl").decode().splitlines()
    return [json.loads(line)["segments"][0]["text"] for line in lines]


def test_a_push_towards_toxic_words_makes_what_is_said_toxic(root, inputs):
    given = inputs()
    push = {**FEW, "direction": "toxic-words", "depth": 1.0}
    little, much = (
        root.done("generated-pairs", {**push, "strength": strength}, **given).facts["sides"]
        for strength in (1e-3, 10.0)
    )
    assert little["chosen"] == much["chosen"]
    assert much["rejected"]["toxic_share"] > little["rejected"]["toxic_share"] + 0.2
    assert much["rejected"]["nats_per_token"] > little["rejected"]["nats_per_token"] + 1


def test_neither_batches_nor_other_prompts_change_what_is_said(root, inputs):
    given = inputs()
    together = table(root.done("generated-pairs", {**FEW, "token_budget": 100_000}, **given))
    alone = table(root.done("generated-pairs", {**FEW, "token_budget": 1}, **given))
    assert alone == together
    few = root.done("prompts", {"format": "nursery", "options": {"num_prompts": 10}})
    fewer = table(root.done("generated-pairs", FEW, **{**given, "prompts": few}))
    by_prompt = {pair["prompt"]: (pair["chosen"], pair["rejected"]) for pair in together}
    assert all(by_prompt[pair["prompt"]] == (pair["chosen"], pair["rejected"]) for pair in fewer)


def test_seeds_draw_otherwise_and_leave_the_chosen_side_alone(root, inputs):
    given = inputs()
    one, other = (
        table(root.done("generated-pairs", {**FEW, "seed": seed}, **given)) for seed in (1, 2)
    )
    both = {pair["prompt"] for pair in one} & {pair["prompt"] for pair in other}
    sides = [
        {pair["prompt"]: pair for pair in pairs if pair["prompt"] in both} for pairs in (one, other)
    ]
    assert len(both) > 10
    assert all(sides[0][p]["chosen"] == sides[1][p]["chosen"] for p in both)
    assert any(sides[0][p]["rejected"] != sides[1][p]["rejected"] for p in both)


def test_toxic_words_and_splits_are_those_of_any_pairs(root, inputs):
    given = inputs()
    split = {"validation_fraction": 0.3, "test_fraction": 0.3}
    artifact = root.done("generated-pairs", {**FEW, **split}, **given)
    assert artifact.read("toxic.json") == given["lexicon"].read("toxic.json")
    assert {pair["split"] for pair in table(artifact)} == {"train", "validation", "test"}
    behaviour = root.done("behave", {"new_tokens": 3}, **{**given, "lexicon": artifact})
    assert behaviour.facts["num_toxic_words"] > 0


def test_only_what_comes_before_the_last_answer_of_a_dialogue_is_a_prompt(root, inputs):
    given = inputs(contexts="dialogue", num_turns=2)
    lines = [json.loads(line) for line in given["prompts"].read("prompts.jsonl").splitlines()]
    asked = {"".join(each["text"] for each in line["segments"][:-1]) for line in lines}
    found = table(root.done("generated-pairs", FEW, **given))
    assert found and {pair["prompt"] for pair in found} <= asked
    told = [without_marks(each) for line in lines for each in line["segments"][:-1]]
    for pair in found:
        assert "".join(segment.text for segment in turns_in(pair)) == pair["prompt"]
        assert {turn["text"] for turn in pair["turns"]} <= set(told)
        assert {turn["role"] for turn in pair["turns"]} == {"user", "assistant"}


def test_prompts_that_are_too_long_are_listed_by_their_line(root, inputs):
    given = inputs()
    lines = [json.loads(line) for line in given["prompts"].read("prompts.jsonl").splitlines()]
    lengths = [len(ids(line["segments"][0]["text"])) for line in lines]
    limit = sorted(lengths)[len(lengths) // 2]
    artifact = root.done("generated-pairs", {**FEW, "max_length": limit}, **given)
    dropped = json.loads(artifact.read("report.json"))["dropped"]
    rows = [row for row, length in enumerate(lengths, start=1) if length > limit]
    assert rows and dropped[f"longer than {limit} tokens"]["rows"] == rows


def test_one_that_is_stopped_goes_on_after_its_last_chunk_and_says_the_same(root, inputs):
    given = inputs(num_prompts=300)
    undisturbed = root.done("generated-pairs", FEW, **given)
    another = {**FEW, "num_cpus": 2}
    asked = []
    stop = lambda: bool(asked.append(1)) or len(asked) > 30  # noqa: E731
    answer, _ = root.run("generated-pairs", another, stop=stop, **given)
    assert answer["state"] == "stopped"
    answer, artifact = root.run("generated-pairs", another, attempt="two", **given)
    assert answer["state"] == "done"
    assert 0 < artifact.facts["chunks_taken_over"] < 3
    assert table(artifact) == table(undisturbed)


def test_a_push_that_changes_nothing_is_a_clear_fault(root, inputs):
    push = {**FEW, "strength": 1e-9, "top_k": 1}
    answer, _ = root.run("generated-pairs", push, **inputs())
    assert (
        answer["error"]["code"] == "user_mistake"
        and "or the same under the push" in answer["error"]["message"]
    )


def test_a_model_without_a_stream_is_a_clear_fault(root, inputs, tiny_model):
    tokenizer = train_tokenizer()
    sizes = {"vocab_size": len(tokenizer), "max_positions": 64}
    model = root.model("opt", tiny_model("opt", pre_norm=False, **sizes), tokenizer)
    answer, _ = root.run("generated-pairs", FEW, name="refused", **{**inputs(), "model": model})
    assert answer["error"]["code"] == "user_mistake", answer
    assert "no resid_post: the norms stand after" in answer["error"]["message"]


def test_an_unknown_direction_names_those_that_exist():
    params = generated_pairs.Params(direction="toxic-word")
    with pytest.raises(UserError, match="did you mean 'toxic-words'"):
        generated_pairs.pins(params, {})


def test_a_push_along_the_probe_takes_its_direction_and_typical_length(root, model, inputs):
    given = inputs(12)
    probe = np.eye(16)[3]
    toxic = root.toxic_directions(given["model"], [(0, 1)], probe)
    params = {**FEW, "direction": "probe"}
    artifact = root.done("generated-pairs", params, **given, toxic=toxic)
    shift = probe * np.linalg.norm(expected_shift(model, given["lexicon"]))
    assert artifact.facts["push"]["norm"] == pytest.approx(np.linalg.norm(shift), rel=1e-5)
    for pair in table(artifact):
        told = said(model, pair["prompt"], drawn_for(pair["prompt"]), shift)
        assert pair["rejected"] == train_tokenizer().decode(told, skip_special_tokens=True)


def test_examples_may_be_texts_that_people_labelled(root, model, inputs, tmp_path):
    given = inputs(6)
    pairs = table(given["lexicon"])
    rows = [f"{pair[side]},{int(side == 'rejected')}" for pair in pairs for side in SIDES]
    (tmp_path / "train.csv").write_text("comment_text,toxic\n" + "\n".join(rows) + "\n")
    source = {"format": "jigsaw", "source": str(tmp_path / "train.csv")}
    given["lexicon"] = root.done("labelled-texts", source)
    assert root.done("generated-pairs", FEW, **given).facts["push"]["norm"] > 0


SIDES = ("chosen", "rejected")
