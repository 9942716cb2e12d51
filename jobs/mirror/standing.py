"""How this machine stands with W&B: logged in and answered, offline, or switched off."""

import os
from collections.abc import Mapping
from typing import Any

from jobs.mirror.client import base_url, require_answer, tracking_mode


def look(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Ask W&B's client for its login, and the server whether it is there.

    Args:
        asked: nothing.

    Returns:
        `mode`: `online`, `offline` or `disabled`, as runs would be; `chosen`: what `WANDB_MODE`
        says, or None; `url`; `fault`: why the server does not answer, or None.
    """
    del asked
    mode = tracking_mode()
    answer: dict[str, Any] = {
        "mode": mode,
        "chosen": os.environ.get("WANDB_MODE") or None,
        "url": None,
        "fault": None,
    }
    if mode == "online":
        answer["url"] = base_url()
        try:
            require_answer()
        except Exception as error:  # whatever W&B and its network may raise
            answer["fault"] = f"{type(error).__name__}: {error}".splitlines()[0]
    return answer
