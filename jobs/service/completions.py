"""`CompletionServer`: a model that the user serves, which continues token ids (`/completions`).

Written for what `vllm serve` answers; any server that takes token ids as `prompt` and tells the
token ids of its continuation is as good.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster.errors import UserError, unknown_name
from jobs.service.faults import NoAnswer, TransientFault, plain_name
from jobs.service.json_service import JSON, JsonService

NO_KEY = "none"
"""Servers of one's own take any key, and some want one."""
_MOST_NAMES = 20


@dataclass(frozen=True, kw_only=True)
class ServedTokens:
    """One continuation."""

    token_ids: tuple[int, ...]
    """Its tokens, the one that ended the text included where the server tells it."""
    log_probabilities: tuple[float, ...] | None
    """Natural log-probability of each; None where the server tells none."""
    has_ended: bool
    """True when the text ended by itself, not by the number of tokens."""
    served: str
    """The model that the server says it was, and its fingerprint where it has one."""


@dataclass(frozen=True, kw_only=True)
class ServerFacts:
    """What a server says of itself; nothing of it can be proven."""

    version: str | None
    """Of the program."""
    root: str | None
    """What the served name stands for: a folder, or a name on the hub."""
    max_length: int | None
    """Most tokens of a prompt and its continuation together."""


class CompletionServer:
    """One model of one server."""

    def __init__(
        self, *, base_url: str, model: str, key: str | None, timeout_s: float, at_once: int
    ) -> None:
        self._model, self._where = model, f"model {model} at {base_url}"

        def at(url: str) -> JsonService:
            return JsonService(
                url,
                headers={"Authorization": f"Bearer {key or NO_KEY}"},
                timeout_s=timeout_s,
                num_connections=at_once,
                where=self._where,
            )

        self._completions = at(f"{base_url}/completions")
        self._models = at(f"{base_url}/models")
        self._version = at(f"{base_url.removesuffix('/v1')}/version")

    def facts(self) -> ServerFacts:
        """Return what the server says of itself and of the model.

        Raises:
            TransientFault: no answer this time.
            UserError: the server has no such model, or refuses the key.
        """
        listed = _listed(self._models.get())
        if self._model not in listed:
            raise unknown_name("model", self._model, list(listed)[:_MOST_NAMES], where=self._where)
        about = listed[self._model]
        length = about.get("max_model_len")
        return ServerFacts(
            version=self._program_version(),
            root=plain_name(about["root"]) if about.get("root") else None,
            max_length=length if isinstance(length, int) and length > 0 else None,
        )

    def _program_version(self) -> str | None:
        try:
            content = self._version.get()
        except (UserError, NoAnswer, TransientFault):
            return None  # few servers have this address
        version = content.get("version") if isinstance(content, dict) else None
        return plain_name(version) if version else None

    def complete(
        self, prompt: Sequence[int], num_tokens: int, *, with_log_probabilities: bool = False
    ) -> ServedTokens:
        """Return the likeliest tokens after a prompt.

        Raises:
            TransientFault, NoAnswer: no answer this time, or none at all.
            UserError: the key, the model or the address is wrong, or the server cannot do this.
        """
        body: dict[str, object] = {
            "model": self._model,
            "prompt": list(prompt),
            "max_tokens": num_tokens,
            "temperature": 0,
            # Defaults that a model's generation_config.json may change.
            "frequency_penalty": 0,
            "presence_penalty": 0,
            "repetition_penalty": 1,
            "return_token_ids": True,
        }
        if with_log_probabilities:
            body["logprobs"] = 1
        return self._read(self._completions.post(body), prompt, num_tokens)

    def _read(self, content: JSON, prompt: Sequence[int], num_tokens: int) -> ServedTokens:
        choice = _only_choice(content)
        token_ids, log_probabilities = _tokens_of(choice)
        if token_ids is None:
            raise UserError(
                "the server does not tell the token ids of what it writes",
                where=self._where,
                hint="vLLM does (0.10.2 or later), when it is asked as here: return_token_ids",
            )
        if misread := _misread(content, choice, prompt):
            raise UserError(
                f"the server read {misread}",
                where=self._where,
                hint="it must take token ids as they are: nothing put before them or cut off",
            )
        has_ended = choice.get("finish_reason") == "stop"
        if not has_ended and len(token_ids) < num_tokens:
            raise UserError(
                f"the server stopped after {len(token_ids)} of {num_tokens} tokens: "
                f"{plain_name(choice.get('finish_reason'))}",
                where=self._where,
                hint="serve the model with a longer context, or set max_length",
            )
        return ServedTokens(
            token_ids=token_ids[:num_tokens],
            log_probabilities=log_probabilities,
            has_ended=has_ended,
            served=served_name(content),
        )

    def close(self) -> None:
        """Close the connections."""
        for service in (self._completions, self._models, self._version):
            service.close()


def served_name(content: Mapping[str, JSON]) -> str:
    """Return the model and fingerprint that an answer names, short and without secrets."""
    named = (content.get(name) for name in ("model", "system_fingerprint"))
    return " ".join(plain_name(name) for name in named if name)


def _listed(content: JSON) -> dict[str, Mapping[str, JSON]]:
    models = content.get("data") if isinstance(content, dict) else None
    if not isinstance(models, list):
        raise TransientFault("the list of models is none")
    named = [each for each in models if isinstance(each, dict) and isinstance(each.get("id"), str)]
    return {plain_name(each["id"]): each for each in named}


def _only_choice(content: JSON) -> Mapping[str, JSON]:
    choices = content.get("choices") if isinstance(content, dict) else None
    if not isinstance(choices, list) or not all(isinstance(each, dict) for each in choices):
        raise TransientFault("the answer holds no choices")
    if len(choices) != 1:
        raise TransientFault(f"the answer holds {len(choices)} continuations of one prompt")
    choice: Mapping[str, JSON] = choices[0]
    return choice


def _tokens_of(
    choice: Mapping[str, JSON],
) -> tuple[tuple[int, ...] | None, tuple[float, ...] | None]:
    """Return token ids and their log-probabilities, each None where they are not told."""
    given = choice.get("logprobs")
    told = given if isinstance(given, dict) else {}
    numbers = told.get("token_logprobs")
    token_ids = _whole_numbers(choice.get("token_ids"))
    if token_ids is None or not isinstance(numbers, list) or len(numbers) != len(token_ids):
        return token_ids, None
    if not all(isinstance(each, int | float) and math.isfinite(each) for each in numbers):
        return token_ids, None
    return token_ids, tuple(float(each) for each in numbers)


def _whole_numbers(given: JSON) -> tuple[int, ...] | None:
    if not isinstance(given, list):
        return None
    if not all(type(each) is int and 0 <= each < 1 << 31 for each in given):
        raise TransientFault("the token ids of the answer are no numbers")
    return tuple(given)


def _misread(
    content: Mapping[str, JSON], choice: Mapping[str, JSON], prompt: Sequence[int]
) -> str | None:
    """Say what the server read in place of the prompt; None where it says nothing of that kind."""
    echoed, usage = choice.get("prompt_token_ids"), content.get("usage")
    number = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    if isinstance(echoed, list):
        number = len(echoed)
    if type(number) is int and number != len(prompt):
        return f"{number} tokens where {len(prompt)} were sent"
    return "other tokens than were sent" if echoed and echoed != list(prompt) else None
