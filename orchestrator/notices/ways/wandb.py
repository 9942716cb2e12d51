"""Sends an alert through W&B, which mails it or posts it to Slack as the user has set there."""

import json
import os
import subprocess
import sys
from pathlib import Path

from cluster.errors import UserError
from jobs.mirror.variables import chosen_mode
from orchestrator.notices.way import Notice, NotSent, Occasion, Way

_ENDS_WITHIN_S = 90.0
_OFFLINE = 3
_TOP = Path(__file__).parents[3]
_LEVELS = {Occasion.FAILURE: "ERROR", Occasion.WAIT: "WARN", Occasion.QUARANTINE: "WARN"}


class Wandb(Way):
    """An alert of a run of its own, sent by a process of its own."""

    SUMMARY = "sends an alert through W&B, to the user who is logged in there"

    def uses(self, reference: str) -> str:
        """Say whose account it uses."""
        return "sends alerts through your W&B account"

    def require(self, reference: str) -> None:
        """Check that W&B is not switched off."""
        if (mode := chosen_mode()) in ("disabled", "offline"):
            name = "WANDB_MODE" if os.environ.get("WANDB_MODE") else "WANDB_DISABLED"
            raise UserError(
                f"{name}={os.environ[name]}: W&B is {mode}, and sends nothing from here",
                where="notify",
                hint="unset it, or be told in another way",
            )

    def send(self, reference: str, notice: Notice) -> None:
        """Send the alert; what W&B prints stays in its process."""
        code = "import sys; sys.path.insert(0, sys.argv[1]); from jobs.mirror.alert import main; "
        alert = {
            "study": notice.study,
            "title": notice.title,
            "text": str(notice),
            "level": _LEVELS.get(notice.occasion, "INFO"),
        }
        try:
            ended = subprocess.run(
                [sys.executable, "-P", "-c", f"{code}sys.exit(main())", str(_TOP)],
                input=json.dumps(alert),
                text=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_ENDS_WITHIN_S,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise NotSent("W&B does not answer") from None
        if ended.returncode == _OFFLINE:
            raise NotSent("W&B is off or offline here (`wandb login`)", is_final=True)
        if ended.returncode:
            raise NotSent(f"W&B did not take it (its process ended with {ended.returncode})")
