"""`Endpoint`: a model behind an OpenAI-compatible address, asked one conversation at a time.

The only file that knows the client. It retries nothing by itself: patience is ours.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.service.exchange import transport_faults, whole_json
from jobs.service.patience import Passing, fault_of_status

_NO_KEY = "none"
"""Servers of one's own take any key; the client wants one."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a model said."""

    text: str
    """Empty where it said nothing, or a filter took all of it."""
    served: str
    """The model that the service says it was, and its fingerprint where it has one."""


class Endpoint:
    """One model at one address."""

    def __init__(
        self, *, base_url: str, model: str, key: str | None, timeout_s: float, at_once: int
    ) -> None:
        import httpx2
        from openai import OpenAI

        limits = httpx2.Limits(max_connections=at_once, max_keepalive_connections=at_once)
        self._client = OpenAI(
            base_url=base_url,
            api_key=key or _NO_KEY,
            max_retries=0,
            http_client=httpx2.Client(timeout=timeout_s, limits=limits),
        )
        self._model, self._timeout_s = model, timeout_s
        self._where = f"model {model} at {base_url}"

    def answer(self, messages: Sequence[Mapping[str, str]], settings: Mapping[str, Any]) -> Answer:
        """What the model says to these messages.

        Raises:
            Passing, Unanswered: it said nothing this time, or will not at all.
            UserError: the key, the model or the address is wrong.
        """
        import openai

        deadline = time.monotonic() + self._timeout_s
        body: Any = {"model": self._model, "messages": list(messages), **settings}
        try:
            with (
                transport_faults(),
                self._client.chat.completions.with_streaming_response.create(**body) as response,
            ):
                return _answer(whole_json(response.iter_bytes(), deadline))
        except openai.APITimeoutError:
            raise Passing("the answer took too long") from None
        except openai.APIConnectionError:
            raise Passing("the service cannot be reached") from None
        except openai.APIStatusError as error:
            headers = error.response.headers
            raise fault_of_status(
                error.status_code, headers, error.code or error.type, where=self._where
            ) from None

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()


def _answer(content: Any) -> Answer:
    """The first choice of a chat completion. Raises Passing where there is none."""
    try:
        message = content["choices"][0]["message"]
        said = message.get("content") or message.get("refusal") or ""
        served = " ".join(
            str(content[name]) for name in ("model", "system_fingerprint") if content.get(name)
        )
    except (KeyError, IndexError, TypeError, AttributeError):
        raise Passing("the answer holds no message") from None
    if not isinstance(said, str):
        raise Passing("the answer is no text")
    return Answer(text=said, served=served)
