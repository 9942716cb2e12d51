"""A token that ends texts for the tokenizer alone is told."""

import json

import pytest

from jobs.kinds.pretrained import Pretrained, PretrainedParams


@pytest.mark.parametrize(
    "config, generation, is_told",
    [(2, None, True), (2, [2, 5], False), (5, 2, False), (None, None, False), ([2, 3], [], True)],
)
@pytest.mark.parametrize("token", ["<end>", {"content": "<end>"}])
def test_what_settings_do_not_name_is_read_on(tmp_path, config, generation, is_told, token):
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
    (tmp_path / "tokenizer.json").unlink()
    assert Pretrained().notes(PretrainedParams(source=str(tmp_path)), {}) == ()
