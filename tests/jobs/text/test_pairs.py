import json

import pyarrow.parquet
import pytest

from cluster.errors import UserError
from jobs.kinds.pairs import Pairs
from jobs.text.buckets import group_of

pairs = Pairs()


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def row(prompt, chosen=" fine", rejected=" bad words"):
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def table(artifact):
    return pyarrow.parquet.read_table(artifact.path("pairs.parquet")).to_pylist()


@pytest.fixture
def source(tmp_path):
    rows = [row(f"prompt {number // 2}", f" good {number}") for number in range(60)]
    return write(tmp_path / "pairs.jsonl", rows)


def params(source, **more):
    return {"source": source, "format": "prompt-chosen-rejected", **more}


def test_pairs_keep_the_order_of_the_file_and_their_text(root, source):
    found = table(root.done("pairs", params(source)))
    assert [pair["pair"] for pair in found] == list(range(60))
    assert [pair["chosen"] for pair in found] == [f" good {number}" for number in range(60)]
    assert all(pair["group"] == group_of(pair["prompt"]) for pair in found)


def test_no_prompt_is_in_both_splits(root, source):
    artifact = root.done("pairs", params(source, validation_fraction=0.4))
    found = table(artifact)
    split = {
        side: {pair["prompt"] for pair in found if pair["split"] == side}
        for side in ("train", "validation")
    }
    assert split["train"] and split["validation"]
    assert not split["train"] & split["validation"]
    held = sum(pair["split"] == "validation" for pair in found)
    assert artifact.facts["num_validation"] == held


def test_test_pairs_are_apart_from_both_others_and_counted(root, source):
    fractions = {"validation_fraction": 0.3, "test_fraction": 0.3}
    artifact = root.done("pairs", params(source, **fractions))
    found = table(artifact)
    split = {
        side: {pair["prompt"] for pair in found if pair["split"] == side}
        for side in ("train", "validation", "test")
    }
    assert all(split.values()) and sum(map(len, split.values())) == 30
    assert artifact.facts["num_test"] == sum(pair["split"] == "test" for pair in found)


def test_a_test_split_takes_nothing_from_validation(root, source):
    def validated(**more):
        found = table(root.done("pairs", params(source, validation_fraction=0.3, **more)))
        return [pair["pair"] for pair in found if pair["split"] == "validation"]

    assert validated() == validated(test_fraction=0.4)


def test_fractions_that_leave_nothing_to_train_on_are_refused(source):
    with pytest.raises(UserError, match="leave nothing to train on"):
        pairs.Params(**params(source, validation_fraction=0.5, test_fraction=0.5))


def test_toxic_words_are_not_learned_from_test_pairs(root, tmp_path):
    rows = [row(f"p {number}", f" kind x{number}", " grumble") for number in range(80)]
    source = write(tmp_path / "p.jsonl", rows)
    fractions = {"validation_fraction": 0.0, "test_fraction": 0.99}
    artifact = root.done("pairs", params(source, **fractions))
    assert artifact.facts["num_test"] >= 77
    assert json.loads(artifact.read("toxic.json"))["words"] == []


def test_duplicates_and_pairs_without_a_preference_are_listed_with_their_rows(root, tmp_path):
    rows = [row("a b"), row("c"), row("a b"), row("d", " same", " same")]
    artifact = root.done("pairs", params(write(tmp_path / "p.jsonl", rows)))
    report = json.loads(artifact.read("report.json"))
    assert report["dropped"] == {
        "stands there twice": {"count": 1, "rows": [3]},
        "chosen and rejected are equal": {"count": 1, "rows": [4]},
    }
    assert artifact.facts["num_dropped"] == 2 and len(table(artifact)) == 2


def test_the_length_report_tells_which_side_is_longer(root, tmp_path):
    rows = [row("a", " one", " one two three"), row("b", " one two", " one")]
    lengths = root.done("pairs", params(write(tmp_path / "p.jsonl", rows))).facts["lengths"]
    assert lengths["words"]["chosen_mean"] == 1.5
    assert lengths["words"]["rejected_mean"] == 2.0
    assert lengths["words"]["share_chosen_longer"] == 0.5
    assert lengths["words"]["chosen_over_rejected"] == 0.75


def test_a_sample_is_seeded_and_keeps_the_order(root, source):
    first = table(root.done("pairs", params(source, max_pairs=10, seed=1)))
    other = table(root.done("pairs", params(source, max_pairs=10, seed=2)))
    numbers = [int(pair["chosen"].split()[1]) for pair in first]
    assert len(first) == 10 and numbers == sorted(numbers)
    assert [pair["chosen"] for pair in first] != [pair["chosen"] for pair in other]


def test_toxic_words_are_those_of_the_nursery_where_it_is_the_source(root):
    from jobs.text.nursery.language import the_language

    artifact = root.done("pairs", {"format": "nursery", "options": {"num_pairs": 20}})
    found = json.loads(artifact.read("toxic.json"))
    assert found == {"words": list(the_language().toxic), "origin": "known"}


def test_toxic_words_are_learned_from_training_pairs_otherwise(root, tmp_path):
    rows = [row(f"p {number}", f" kind x{number}", f" grumble x{number}") for number in range(80)]
    found = json.loads(
        root.done("pairs", params(write(tmp_path / "p.jsonl", rows))).read("toxic.json")
    )
    assert found == {"words": ["grumble"], "origin": "log-odds"}


def test_a_bad_file_is_refused_while_planning(tmp_path):
    source = write(tmp_path / "p.jsonl", [{"prompt": "a", "chosen": "b"}])
    with pytest.raises(UserError, match="missing column rejected"):
        pairs.pins(pairs.Params(source=source, format="prompt-chosen-rejected"), {})


def test_an_edited_file_is_checked_again(tmp_path):
    import os

    source = write(tmp_path / "p.jsonl", [row("a")])
    checked = pairs.Params(source=source, format="prompt-chosen-rejected")
    assert pairs.pins(checked, {}) == {"format": "prompt-chosen-rejected/2"}
    write(tmp_path / "p.jsonl", [row("")])
    os.utime(source, ns=(1, 1))
    with pytest.raises(UserError, match="'prompt' is empty: row 1"):
        pairs.pins(checked, {})


def test_an_unknown_format_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'paradetox'"):
        pairs.pins(pairs.Params(source="x.tsv", format="paradetoxx"), {})


def test_pairs_without_turns_are_the_bytes_that_they_were(root, tmp_path):
    """Their key is what it was, too: training on them is not done again."""
    source = write(tmp_path / "pairs.jsonl", [row("one")])
    path = root.done("pairs", params(source)).path("pairs.parquet")
    turns = pyarrow.parquet.read_schema(path).field("turns").type.value_type
    assert [turns.field(n).name for n in range(turns.num_fields)] == ["role", "text"]


def test_a_source_that_says_who_speaks_keeps_the_turns_without_their_markers(root, tmp_path):
    asked = [{"role": "user", "content": "the"}, {"role": "assistant", "content": "that"}]
    asked.append({"role": "user", "content": "who"})
    sides = {name: [{"role": "assistant", "content": name}] for name in ("chosen", "rejected")}
    source = write(tmp_path / "chats.jsonl", [{"prompt": asked, **sides}])
    (found,) = table(root.done("pairs", {"source": source, "format": "messages"}))
    assert [turn["role"] for turn in found["turns"]] == ["user", "assistant", "user"]
    assert [turn["text"].strip() for turn in found["turns"]] == ["the", "that", "who"]


def test_half_a_character_in_the_name_of_a_column_is_reported_by_its_escape(root, tmp_path):
    rows = [{**row(f"p{number}"), "caf\ud83d": 1} for number in range(20)]
    artifact = root.done("pairs", params(write(tmp_path / "pairs.jsonl", rows)))
    report = json.loads(artifact.path("report.json").read_bytes())
    assert report["unused_columns"] == [r"caf\ud83d"]
