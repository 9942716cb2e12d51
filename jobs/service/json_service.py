"""`JsonService`: one HTTP address that is asked, and answers with JSON within a time limit."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from cluster.checked_json import parse_json
from cluster.errors import UserError
from cluster.machine.way_out import proxy_on_the_way, unusable_way_out
from jobs.service.faults import TransientFault, fault_of_status

JSON = Any
"""What a service answers: nothing is known of it until it is read."""

_MOST_BYTES = 16 * 2**20


class JsonService:
    """Sends one request at a time per thread and tries none again; see `ask_with_retries`.

    Raises UserError where no request can get out, because of what the environment says.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        timeout_s: float,
        num_connections: int,
        where: str,
    ) -> None:
        import httpx2

        if (why := unusable_way_out()) is not None:
            raise UserError(why, where="environment of the job")
        self._client = httpx2.Client(
            headers=headers,
            timeout=timeout_s,
            limits=httpx2.Limits(
                max_connections=num_connections, max_keepalive_connections=num_connections
            ),
        )
        self._url, self._timeout_s, self._where = url, timeout_s, where

    def get(self) -> JSON:
        """Return what stands at the address; raises as `post` does."""
        return self._ask("GET", None)

    def post(self, body: Mapping[str, object]) -> JSON:
        """Send a body and return the whole answer.

        Raises:
            TransientFault: no answer in time, a broken connection, or an answer that is no JSON.
            NoAnswer: the service refuses this body.
            UserError: the service refuses the key or the address.
        """
        return self._ask("POST", body)

    def _ask(self, method: str, body: Mapping[str, object] | None) -> JSON:
        import httpx2

        # A limit on every wait alone would wait for ever on a service that drips bytes.
        deadline = time.monotonic() + self._timeout_s
        try:
            with self._client.stream(method, self._url, json=body) as response:
                if not response.is_success:
                    code = _fault_code(response.iter_bytes(), deadline)
                    raise fault_of_status(
                        response.status_code, response.headers, code, where=self._where
                    )
                return _read_json(response.iter_bytes(), deadline)
        except httpx2.TimeoutException:
            raise TransientFault("the answer took too long") from None
        except httpx2.ConnectError:
            proxy = proxy_on_the_way(self._url)
            through = f" through the proxy that {proxy} names" if proxy else ""
            raise TransientFault(f"the service cannot be reached{through}") from None
        except httpx2.HTTPError:
            raise TransientFault("the connection broke") from None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _read_json(pieces: Iterator[bytes], deadline: float) -> JSON:
    body = b""
    for piece in pieces:
        body += piece
        if time.monotonic() > deadline:
            raise TransientFault("the answer took too long")
        if len(body) > _MOST_BYTES:
            raise TransientFault("the answer is too large")
    try:
        return parse_json(body)
    except ValueError:
        raise TransientFault("the answer is no JSON") from None


def _fault_code(pieces: Iterator[bytes], deadline: float) -> object:
    """Return the code or type that services put into `error`; None where there is neither."""
    try:
        content = _read_json(pieces, deadline)
    except TransientFault:
        return None
    error = content.get("error", content) if isinstance(content, dict) else None
    return (error.get("code") or error.get("type")) if isinstance(error, dict) else None
