"""A token that ends texts for the tokenizer alone is told."""

import json

import pytest

from cluster.errors import UserError
from jobs.hub import client
from jobs.kinds.pretrained import Pretrained, PretrainedParams
from jobs.models.text_ends import note_on_ends, tokens_named


@pytest.mark.parametrize(
    "config, generation, is_told",
    [(2, None, True), (2, [2, 5], False), (5, 2, False), (None, None, False), ([2, 3], [], True)],
)
@pytest.mark.parametrize("token", ["<end>", {"content": "<end>"}])
def test_what_settings_do_not_name_is_read_on(
    tmp_path, monkeypatch, config, generation, is_told, token
):
    files = {
        "config.json": {"eos_token_id": config},
        "generation_config.json": {"eos_token_id": generation},
        "tokenizer_config.json": {"eos_token": token},
        "tokenizer.json": {"added_tokens": [{"id": 5, "content": "<end>"}]},
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    notes = Pretrained().notes(PretrainedParams(source=str(tmp_path)), {})
    assert ["ends texts with <end> (5)" in note for note in notes] == [True] * is_told
    monkeypatch.setattr(client, "cached", lambda *_: tmp_path)
    on_hub = Pretrained().notes(PretrainedParams(source="hf://tiny/model"), {})
    assert [note.partition(": ")[2] for note in on_hub] == [
        note.partition(": ")[2] for note in notes
    ]
    (tmp_path / "tokenizer.json").unlink()
    assert Pretrained().notes(PretrainedParams(source=str(tmp_path)), {}) == ()


@pytest.mark.parametrize("named", [2.0, "2", [[2]], [2.0], True, {"id": 2}, ""])
@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
def test_what_names_no_token_is_told_and_no_fault_of_the_program(tmp_path, name, named):
    (tmp_path / name).write_text(json.dumps({"eos_token_id": named}))
    (note,) = note_on_ends(tmp_path)
    assert f"eos_token_id is {named!r}" in note
    with pytest.raises(UserError, match="a list of such numbers"):
        tokens_named([2, named])


@pytest.mark.parametrize("added", [7, {"a": 1}, ["x"], [{"content": "<end>"}], [{"id": 5}]])
def test_a_tokenizer_that_lists_no_tokens_is_passed_over(tmp_path, added):
    (tmp_path / "config.json").write_text('{"eos_token_id": 2}')
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "<end>"}')
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": added}))
    assert note_on_ends(tmp_path) == ()
