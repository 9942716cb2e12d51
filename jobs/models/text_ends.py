"""Do a tokenizer and its model's settings name the same token that ends a text?

A fine-tuned model often has its new end of turn in the tokenizer alone. What a model says is read
up to the tokens that `config.json` and `generation_config.json` name, as transformers does.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_SETTINGS = ("config.json", "generation_config.json")


def note_on_ends(folder: Path) -> Sequence[str]:
    """Say where a tokenizer ends texts with a token that the settings of its model do not name."""
    ends: set[int] = set()
    for name in _SETTINGS:
        named = _read(folder / name).get("eos_token_id")
        ends.update([named] if isinstance(named, int) else named or ())
    token = _read(folder / "tokenizer_config.json").get("eos_token")
    token = token.get("content") if isinstance(token, Mapping) else token
    known = _read(folder / "tokenizer.json").get("added_tokens") or ()
    number = next((each["id"] for each in known if each["content"] == token), None)
    if not ends or number is None or number in ends:
        return ()
    return (
        f"the tokenizer ends texts with {token} ({number}), {' and '.join(_SETTINGS)} with "
        f"{', '.join(map(str, sorted(ends)))}: what the model says is read on behind {token}; add "
        f"{number} to eos_token_id of generation_config.json if it ends there",
    )


def _read(path: Path) -> Mapping[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}
