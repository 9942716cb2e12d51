"""`ImpatientSession`: requests to an object storage of which no step waits for a silent peer.

aiohttp counts the time of an answer from the end of the request on: what comes before has no limit.
A connection that a network forgot, or a server that stands still, held a write for ever.
"""

import socket
from typing import Any

from aiobotocore.awsrequest import AioAWSResponse
from aiobotocore.httpsession import AIOHTTPSession
from botocore.awsrequest import AWSPreparedRequest

SILENCE_S = 30
"""Seconds without a sign of the peer after which a request has failed, while it is sent or
answered; a busy store may think about a listing for long."""


class ImpatientSession(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore has no types
    """The HTTP session of aiobotocore, with a limit to how long a request is being sent."""

    def __init__(self, *, connector_args: dict[str, Any] | None = None, **options: Any) -> None:
        connector = {**(connector_args or {}), "socket_factory": impatient_socket}
        super().__init__(connector_args=connector, **options)

    async def send(self, request: AWSPreparedRequest) -> AioAWSResponse:
        """Send a request without asking first whether its body is wanted.

        That answer (`100 Continue`) is waited for without a limit (aiohttp 3.14), and spares bytes
        only where a write is refused.
        """
        request.headers.pop("Expect", None)
        return await super().send(request)


def impatient_socket(address: tuple[Any, ...]) -> socket.socket:
    """Make a socket that breaks once its peer takes nothing more of what is to be sent.

    Args:
        address: family, type, protocol and more, as `socket.getaddrinfo` gives them.
    """
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * SILENCE_S)
    return made
