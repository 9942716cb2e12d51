"""Sends one alert through W&B, in a process of its own: `python -m jobs.mirror.alert`.

Its own run carries it (group: the study), so that no run of a job or study is opened twice.
"""

import json
import sys
import tempfile
from typing import Any

from jobs.mirror.client import close_run, open_run, tracking_mode
from jobs.mirror.run_name import RunName

_LONGEST_TITLE = 63
SENT, OFFLINE, FAILED = 0, 3, 1
"""Exit codes: sent; W&B is off or offline here; it broke."""


def main() -> int:
    """Send the alert that standard input describes: study, title, text, level."""
    alert: dict[str, Any] = json.load(sys.stdin)
    if tracking_mode() != "online":
        return OFFLINE
    study = alert["study"]
    with tempfile.TemporaryDirectory(prefix="deltascale-alert-") as folder:
        name = RunName(
            root_id="notices",
            key=f"notices of {study}",
            study=study,
            kind="notices",
            label=f"{study} notices",
            folder=folder,
            config={"stage": "notices", "study": study},
            tags=[study, "notices"],
        )
        run = open_run(name)
        if run is None or run.settings._offline:
            return OFFLINE
        run.alert(alert["title"][:_LONGEST_TITLE], alert["text"], level=alert["level"])
        close_run(name, run, 0)
    return SENT


if __name__ == "__main__":
    sys.exit(main())
