"""One exchange over HTTP: the whole JSON of an answer within a time limit, or a fault by name."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jobs.service.patience import Passing

_MOST_BYTES = 16 * 2**20


def whole_json(pieces: Iterator[bytes], deadline: float) -> Any:
    """What the pieces of a body say together.

    Args:
        pieces: of the body, as they come; cut off where they end early.
        deadline: when it must be whole, by `time.monotonic`: a limit on every wait alone would
            wait for ever on a service that sends a byte now and then.

    Raises Passing when it is late, too large or no JSON.
    """
    body = b""
    for piece in pieces:
        body += piece
        if time.monotonic() > deadline:
            raise Passing("the answer took too long")
        if len(body) > _MOST_BYTES:
            raise Passing("the answer is too large")
    try:
        return json.loads(body)
    except ValueError:
        raise Passing("the answer is no JSON") from None


@contextmanager
def transport_faults() -> Iterator[None]:
    """Faults of the connection as Passing."""
    import httpx2

    try:
        yield
    except httpx2.TimeoutException:
        raise Passing("the answer took too long") from None
    except httpx2.HTTPError:
        raise Passing("the connection broke") from None
