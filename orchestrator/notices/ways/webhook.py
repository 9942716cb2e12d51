"""Posts JSON to the address of a webhook: Slack, Mattermost and what takes Slack's form."""

from urllib.parse import urlsplit

from cluster.driver.ray_access import is_loopback
from cluster.errors import UserError
from cluster.redaction.known_values import remember_secret
from orchestrator.notices.secret_reference import check_reference, read_reference
from orchestrator.notices.way import Notice, NotSent, Way

_WHAT = "the address of the webhook"
_PART_WITHIN_S = 10.0
"""How long each part of a request may take: to connect, to send, to be answered."""
_TRY_AGAIN = frozenset({408, 425, 429})
_LONGEST = 3000
"""Letters of one message; Slack takes some more."""


class Webhook(Way):
    """A POST of `{"text": …}`; whoever knows the address can post, so it is a secret."""

    SUMMARY = "posts to a webhook (Slack and what takes its form)"
    REFERENCE = "env:NAME or a file of mode 600 that holds the address"

    def check(self, reference: str) -> None:
        """Check that the address is named, not written."""
        check_reference(reference, _WHAT)

    def uses(self, reference: str) -> str:
        """Say where the address comes from."""
        return f"posts messages to the address in {reference.removeprefix('env:')}"

    def require(self, reference: str) -> None:
        """Check that the address is there, and one of a server."""
        _address(reference)

    def send(self, reference: str, notice: Notice) -> None:
        """Post once. Redirects are not followed: they would take the message elsewhere."""
        import httpx2

        address = _address(reference)
        try:
            with (
                httpx2.Client(timeout=_PART_WITHIN_S, follow_redirects=False) as client,
                # What it answers beyond the code is not read: it may never end.
                client.stream("POST", address, json={"text": _slack_text(notice)}) as response,
            ):
                code = response.status_code
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as fault:
            # What the client says may hold the address.
            raise NotSent(f"the webhook does not answer ({type(fault).__name__})") from None
        if 200 <= code < 300:
            return
        if 300 <= code < 400:
            raise NotSent(f"the webhook redirects ({code}), which is not followed", is_final=True)
        is_final = 400 <= code < 500 and code not in _TRY_AGAIN
        raise NotSent(f"the webhook answers {code}", is_final=is_final)


def _slack_text(notice: Notice) -> str:
    """Write a notice in Slack's letters: nothing in it is a link, a mention or a command."""
    text = str(notice)
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _address(reference: str) -> str:
    address = read_reference(reference, _WHAT)
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        port = parts.port
    except ValueError:
        host, port = "", None
    is_private = host != "" and is_loopback(f"{host}:{port or 80}")
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_private)):
        raise UserError(
            f"{reference} does not hold an address that begins with https://",
            where="notify",
            hint="http:// is for this machine alone: on the way, others could read the address",
        )
    # The path alone lets one post, and clients print it without the rest.
    if len(parts.path) > 8:
        remember_secret(parts.path, "notify")
    return address
