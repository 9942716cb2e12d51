"""The only file that knows W&B's client: the login, and runs that are opened and closed.

Runs are offline unless the user is logged in, or when W&B does not answer (`outage.py`);
`WANDB_MODE=disabled` switches the mirror off (`variables.py`).
"""

import logging
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cluster.errors import SurroundingsError
from cluster.redaction.redactor import redacted
from jobs.mirror.outage import within
from jobs.mirror.run_name import RunName
from jobs.mirror.variables import (
    chosen_mode,
    keep_tables_beside,
    left_over,
    make_readable,
    notes_on_variables,
)

_logger = logging.getLogger(__name__)

_ANSWERS_WITHIN_S = 5.0
"""A server that has not begun to answer by then is away."""
_OPENS_WITHIN_S = 15.0
_OPENS_OFFLINE_WITHIN_S = 60.0
"""W&B's own process is started for it, on a machine that may be busy."""
GRACE_S = 10.0
"""What W&B may take beyond its own time limits."""

_LONGEST_TAG = 64
_LONGEST_REASON = 300


def tracking_mode() -> str:
    """`online`, `offline` or `disabled`: as the user chose, else online where W&B has a login.

    W&B's own client is asked, with all the places that it knows: variables, netrc, settings files.
    """
    if chosen := chosen_mode():
        return chosen
    try:
        return _mode_of_client()
    except ImportError:
        return "disabled"
    except Exception as fault:  # a login that is no login, a settings file that is none
        _logger.warning("W&B is offline, because its login cannot be used: %s", fault)
        return "offline"


def notes_on_mirror() -> list[str]:
    """Say what of the environment W&B is not given, before a launch."""
    return [] if _is_imported else notes_on_variables()


def is_disabled() -> bool:
    """Tell, without W&B's client, whether the user switched the mirror off."""
    return chosen_mode() == "disabled"


def _mode_of_client() -> str:
    client()
    from wandb.sdk import wandb_setup

    settings = wandb_setup.singleton().settings
    if settings.mode not in ("online", "run"):
        return "disabled" if settings.mode == "disabled" else "offline"
    return "online" if _has_login() else "offline"


def _has_login() -> bool:
    client()
    from wandb.sdk import wandb_setup
    from wandb.sdk.lib.wbauth import authenticate_session

    login = authenticate_session(
        host=wandb_setup.singleton().settings.base_url,
        source="deltascale",
        prompt=False,
        update_session=False,
    )
    return bool(login)


def require_server() -> str:
    """Return the address of the W&B that the user is logged in to, once it has answered.

    Raises:
        SurroundingsError: there is no login that can be used, or it does not answer.
    """
    client()
    from wandb.sdk import wandb_setup

    try:
        server, has_login = str(wandb_setup.singleton().settings.base_url), _has_login()
    except Exception as fault:  # a login that is no login, a settings file that is none
        raise SurroundingsError(f"W&B's login cannot be used: {redacted(str(fault))}") from None
    if not has_login:
        raise SurroundingsError(
            f"there is no login to W&B at {server}",
            hint="`wandb login`, or the variable WANDB_API_KEY",
        )
    try:
        within(_ANSWERS_WITHIN_S, require_answer)
    except Exception as fault:  # whatever its network may raise
        raise SurroundingsError(
            f"W&B at {server} is away: {redacted(str(fault))[:_LONGEST_REASON]}",
            hint="nothing was sent; the same command does it later",
        ) from None
    return server


def sending_environment() -> dict[str, str]:
    """Return the variables for a process that sends what was written offline."""
    unwanted = {*left_over(), "WANDB_MODE", "WANDB_SILENT", "WANDB_QUIET"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {**kept, "WANDB_ERROR_REPORTING": "false"}


def client() -> Any:
    """Import W&B; before this process does so first, take away what binds it to another run."""
    global _is_imported
    if not _is_imported:
        for name in left_over():
            del os.environ[name]
        os.environ.setdefault("WANDB_SILENT", "true")
        # Reports on W&B's own use are sent as a process ends, which waits where W&B is away.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    if not _is_imported:
        for text in make_readable(lambda given: wandb.Settings().update_from_env_vars(given)):
            _logger.warning("%s", text)
    _is_imported = True
    return wandb


_is_imported = False
"""From then on W&B keeps variables of its own in the environment."""


_QUIET = (
    *("silent", "x_disable_stats", "x_disable_meta"),
    *("disable_git", "disable_code", "disable_job_creation"),
)
"""Settings of W&B that keep it from printing and from reading more than it is given."""


def open_run(name: RunName) -> Any:
    """Start or resume the W&B run of this name; offline where W&B is away; None where it is off.

    Raises whatever W&B raises when not even an offline run can be opened.
    """
    mode, outage = tracking_mode(), name.outage
    if mode == "disabled":
        return None
    if mode == "online":
        mode = "offline" if outage.reason else mode
    if mode == "online":
        try:
            within(_ANSWERS_WITHIN_S, require_answer)
            return within(_OPENS_WITHIN_S + GRACE_S, _opening(name, mode))
        except Exception as fault:  # whatever W&B and its network may raise
            note_outage(name, fault)
            with suppress(Exception):  # as above; else it keeps the id for the run that hangs
                within(GRACE_S, client().teardown)
            mode = "offline"
    return within(_OPENS_OFFLINE_WITHIN_S, _opening(name, mode))


def _opening(name: RunName, mode: str) -> Callable[[], Any]:
    wandb = client()
    folder = Path(name.folder)
    folder.mkdir(parents=True, exist_ok=True)
    keep_tables_beside(folder)
    of_user = os.environ.get("WANDB_TAGS", "").split(",")
    tags = dict.fromkeys(tag.strip()[:_LONGEST_TAG] for tag in (*name.tags, *of_user))
    settings = wandb.Settings(
        console="off",
        reinit="create_new",  # one that hangs is not taken for the next job's
        init_timeout=_OPENS_WITHIN_S,
        finish_timeout=name.finishes_within_s,
        finish_timeout_raises=True,
        **dict.fromkeys(_QUIET, True),
    )

    def open_it() -> Any:
        return wandb.init(
            project="deltascale",
            id=name.id,
            group=name.study,
            job_type=name.kind,
            name=name.label,
            config=dict(name.config),
            tags=[tag for tag in tags if tag],
            resume="allow",
            mode=mode,
            dir=str(folder),
            settings=settings,
        )

    return open_it


def base_url() -> str:
    """Return the address of the server that W&B's client would speak to."""
    client()
    from wandb.sdk import wandb_setup

    return str(wandb_setup.singleton().settings.base_url)


def require_answer() -> None:
    """Ask the server what W&B asks: no answer, or one that says that it is out of order, raises."""
    question = urllib.request.Request(
        f"{base_url()}/graphql",
        data=b'{"query": "query { __typename }"}',
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(question, timeout=_ANSWERS_WITHIN_S):
            return
    except urllib.error.HTTPError as answer:
        if answer.code >= 500:
            raise
    except urllib.error.URLError as fault:
        # A certificate that only W&B's own client knows how to check is no outage.
        if "CERTIFICATE" not in str(fault.reason).upper():
            raise


def close_run(name: RunName, run: Any, exit_code: int) -> None:
    """Close a run; what is not sent in time stays in its folder, and is noted for the launch."""
    try:
        within(name.finishes_within_s + GRACE_S, lambda: run.finish(exit_code=exit_code))
    except TimeoutError as fault:
        note_outage(name, fault)


def note_outage(name: RunName, fault: Exception) -> None:
    """Say that W&B is away, in this job's log, if no other job of the launch has said so."""
    lines = f"{type(fault).__name__}: {fault}".split("\n")
    reason = redacted(" ".join(lines)[:_LONGEST_REASON])
    if name.outage.note(reason):
        _logger.warning(
            "W&B is away (%s): runs of this launch are written offline; "
            "`deltascale sync %s` sends them later",
            reason,
            name.study,
        )
