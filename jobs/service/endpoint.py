"""`Endpoint`: a chat model behind an OpenAI-compatible address, one conversation at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.service.completions import NO_KEY, served_name
from jobs.service.faults import TransientFault
from jobs.service.json_service import JSON, JsonService


@dataclass(frozen=True, kw_only=True)
class Completion:
    """A chat completion."""

    text: str
    """Empty where the model wrote nothing, or a filter took all of it."""
    served: str
    """The model that the service says it was, and its fingerprint where it has one."""


class Endpoint:
    """One model at one address."""

    def __init__(
        self, *, base_url: str, model: str, key: str | None, timeout_s: float, at_once: int
    ) -> None:
        self._model = model
        self._service = JsonService(
            f"{base_url}/chat/completions",
            headers={"Authorization": f"Bearer {key or NO_KEY}"},
            timeout_s=timeout_s,
            num_connections=at_once,
            where=f"model {model} at {base_url}",
        )

    def complete(
        self, messages: Sequence[Mapping[str, str]], settings: Mapping[str, object]
    ) -> Completion:
        """Return the model's answer to these messages.

        Raises:
            TransientFault, NoAnswer: no answer this time, or none at all.
            UserError: the key, the model or the address is wrong.
        """
        body = {"model": self._model, "messages": list(messages), **settings}
        return _first_choice(self._service.post(body))

    def close(self) -> None:
        """Close the connections."""
        self._service.close()


def _first_choice(content: JSON) -> Completion:
    try:
        message = content["choices"][0]["message"]
        text = message.get("content") or message.get("refusal") or ""
        served = served_name(content)
    except (KeyError, IndexError, TypeError, AttributeError):
        raise TransientFault("the answer holds no message") from None
    if not isinstance(text, str):
        raise TransientFault("the answer is no text")
    return Completion(text=text, served=served)
