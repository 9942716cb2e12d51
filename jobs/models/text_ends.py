"""Do a tokenizer and its model's settings name the same token that ends a text?

A fine-tuned model often has its new end of turn in the tokenizer alone. What a model says is read
up to the tokens that `config.json` and `generation_config.json` name, as transformers does.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cluster.errors import UserError

_SETTINGS = ("config.json", "generation_config.json")


def tokens_named(settings: Iterable[object]) -> frozenset[int]:
    """Collect the tokens that values of `eos_token_id` name.

    Raises:
        UserError: one is neither a token, a list of tokens, nor None.
    """
    ends: set[int] = set()
    for named in settings:
        tokens = named if isinstance(named, list | tuple) else () if named is None else (named,)
        if any(type(token) is not int for token in tokens):
            raise UserError(
                f"eos_token_id is {named!r:.80}: what the model says would have no end",
                where="config.json or generation_config.json",
                allowed=["a number without a point or quotes", "a list of such numbers", "null"],
            )
        ends.update(tokens)
    return frozenset(ends)


def note_on_ends(folder: Path) -> Sequence[str]:
    """Say where a tokenizer ends texts with a token that the settings of its model do not name."""
    try:
        ends = tokens_named(_read(folder / name).get("eos_token_id") for name in _SETTINGS)
    except UserError as error:
        return (f"{error.where}: {error.error}",)
    token = _read(folder / "tokenizer_config.json").get("eos_token")
    token = token.get("content") if isinstance(token, Mapping) else token
    added = _read(folder / "tokenizer.json").get("added_tokens")
    known = [each for each in added if isinstance(each, dict)] if isinstance(added, list) else []
    number = next((each.get("id") for each in known if each.get("content") == token), None)
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
