"""Which sides of pairs become labelled texts, and how prompts are divided."""

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from cluster.errors import UserError
from jobs.probing.labelled_texts import read_labelled_texts

HOW = {"held_out": 0.3, "most": None, "seed": 0}


@pytest.fixture
def saved(tmp_path):
    def save(pairs):
        path = tmp_path / "pairs.parquet"
        rows = [
            {"prompt": prompt, "chosen": chosen, "rejected": rejected, "group": len(prompt) % 20}
            for prompt, chosen, rejected in pairs
        ]
        parquet.write_table(pa.Table.from_pylist(rows), path)
        return path

    return save


MANY = [(f"p{number}", " good", f" bad{side}") for number in range(60) for side in range(2)]


def test_every_side_counts_once_and_a_text_on_both_sides_not_at_all(saved):
    path = saved([*MANY, ("x", " same", " bad"), ("x", " good", " same"), ("x", " ", " bad")])
    found = read_labelled_texts(path, **HOW)
    texts = {(text.prompt, text.text): text.toxic for text in found.texts}
    assert len(texts) == len(found.texts) == 60 * 3 + 2
    assert texts["x", " bad"] is True and texts["x", " good"] is False
    assert ("x", " same") not in texts
    assert found.dropped == {
        "stands there twice": 60 + 2,
        "empty, or on both sides of a prompt": 2,
    }


def test_all_texts_of_a_prompt_are_on_one_side_of_the_split_which_the_seed_decides(saved):
    path = saved(MANY)
    splits = []
    for seed in (0, 0, 1):
        texts = read_labelled_texts(path, **{**HOW, "seed": seed}).texts
        sides = {}
        for text in texts:
            sides.setdefault(text.prompt, set()).add(text.held_out)
        assert all(len(side) == 1 for side in sides.values())
        splits.append({prompt for prompt, side in sides.items() if side == {True}})
        assert 8 <= len(splits[-1]) <= 28
    assert splits[0] == splits[1] != splits[2]


def test_a_sample_is_of_both_sides_of_the_split_and_part_of_a_larger_one(saved):
    path = saved(MANY)
    small, large = (read_labelled_texts(path, **{**HOW, "most": n}) for n in (60, 120))
    assert len(small.texts) == 60 and set(small.texts) <= set(large.texts)
    assert {text.held_out for text in small.texts} == {True, False}
    assert small.dropped["not sampled"] == 120


def test_one_prompt_cannot_be_divided_and_the_error_says_so(saved):
    path = saved([("", f" good{n}", f" bad{n}") for n in range(50)])
    with pytest.raises(UserError, match="100 texts of 1 prompts") as raised:
        read_labelled_texts(path, **HOW)
    assert "more prompts" in raised.value.hint
