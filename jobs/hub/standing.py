"""How this machine stands with the hub: reached, logged in, or told to leave it alone."""

from collections.abc import Mapping
from typing import Any

from jobs.hub.client import unusable_settings

_WITHIN_S = 8.0


def look(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the hub who this is, or a mirror that knows nobody for anything at all.

    Args:
        asked: nothing.

    Returns:
        `endpoint`; `offline`: the variable that keeps libraries from asking, or None; `token`:
        `none`, `valid`, `refused` or `unknown`; `fault`: why nothing answers, or None.
    """
    del asked
    from huggingface_hub import constants, get_token

    answer: dict[str, Any] = {
        "endpoint": constants.ENDPOINT,
        "offline": "HF_HUB_OFFLINE" if constants.HF_HUB_OFFLINE else None,
        "token": "unknown" if get_token() else "none",
        "fault": None,
    }
    if answer["offline"]:
        return answer
    if (why := unusable_settings()) is not None:
        answer["fault"] = why
        return answer
    import httpx2 as httpx

    token = get_token()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    path = "/api/whoami-v2" if token else "/api/models?limit=1"
    try:
        status = httpx.get(
            f"{constants.ENDPOINT}{path}", headers=headers, timeout=_WITHIN_S, trust_env=True
        ).status_code
    except httpx.HTTPError as error:
        answer["fault"] = f"{type(error).__name__}: {error}"
        return answer
    if status >= 500:
        answer["fault"] = f"it answers with {status}"
    elif token:
        answer["token"] = {200: "valid", 401: "refused", 403: "refused"}.get(status, "unknown")
    return answer
