"""The only file that knows W&B, which is a mirror: the metrics of record are our own files.

A job's run has id from (root id, key), group = study, job_type = kind, `resume="allow"`, and its
own step metric (W&B drops rows whose own step goes back after a resume). It is opened at the first
`log`, so a job without curves costs nothing. Offline unless the user is logged in, or when W&B does
not answer (`mirror_outage.py`); `WANDB_MODE=disabled` switches it off.
"""

import hashlib
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cluster.redaction.redactor import redacted
from jobs.worker.mirror_outage import MirrorOutage, within

_logger = logging.getLogger(__name__)

_ANSWERS_WITHIN_S = 5.0
"""A server that has not begun to answer by then is away."""
_OPENS_WITHIN_S = 15.0
_OPENS_OFFLINE_WITHIN_S = 60.0
"""W&B's own process is started for it, on a machine that may be busy."""
_SUMMARY_WITHIN_S = 300.0
_GRACE_S = 10.0
"""What W&B may take beyond its own time limits."""

_KEPT = frozenset(
    f"WANDB_{name}"
    for name in (
        *("MODE", "API_KEY", "IDENTITY_TOKEN_FILE", "CREDENTIALS_FILE", "BASE_URL", "APP_URL"),
        *("ENTITY", "USERNAME", "USER_EMAIL", "TAGS", "NOTES", "SILENT", "QUIET"),
        *("CONFIG_DIR", "CACHE_DIR", "DATA_DIR", "ARTIFACT_DIR", "HTTP_TIMEOUT"),
        *("FILE_PUSHER_TIMEOUT", "INSECURE_DISABLE_SSL", "ERROR_REPORTING", "DEBUG", "CORE_DEBUG"),
    )
)
"""Variables of W&B that say who and where the user is; all others are of one run, one sweep or one
process, and would make all jobs one run."""
_LONGEST_TAG = 64
_LONGEST_REASON = 300
_MODEL_FACTS = ("family", "num_parameters", "num_parameters_non_embedding")


@dataclass(frozen=True, kw_only=True)
class RunName:
    """Where a job's run stands in W&B."""

    root_id: str
    """Identity of the output root, so that two roots never share a run."""
    key: str
    """Key of the job."""
    study: str
    """Study that asked: the run's group."""
    kind: str
    """Kind of the job: the run's job type."""
    label: str
    """How people read it: the run's name."""
    folder: str
    """Local folder for W&B's own files."""
    config: Mapping[str, Any]
    """Params of the job and where it stands in the study; never environment or addresses."""
    tags: Sequence[str] = ()
    """What a person would filter by."""
    root: str = ""
    """URL of the output root, where an outage is noted; empty for nowhere."""
    launch: str = ""
    """Id of the launch, for which an outage is noted."""
    finishes_within_s: float = 15.0
    """Seconds that the end of the run may wait for what is not sent yet."""

    @property
    def id(self) -> str:
        """Stable over attempts."""
        return hashlib.sha256(f"{self.root_id}/{self.key}".encode()).hexdigest()[:16]

    @property
    def outage(self) -> MirrorOutage:
        """Whether W&B is away for this launch."""
        return MirrorOutage(self.root, self.study, self.launch)


class Tracker:
    """Mirrors the curves of a job to one W&B run, which is opened at the first row."""

    def __init__(self, name: RunName | None) -> None:
        """Mirror nothing without a name, or where the user disabled W&B."""
        self._name = None if name is None or _chosen_mode() == "disabled" else name
        self._run: Any = None
        self._is_broken = False
        self._axes: set[str] = set()
        self._about: dict[str, Any] = {}

    def describe(self, *facts: Mapping[str, Any]) -> None:
        """Show a model's family and size in the run's config, where all facts agree on them."""
        # A checkpoint's facts of its model stand one level down, those of measurements do not.
        models = [about for fact in facts for about in (fact, fact.get("model"))]
        for fact in _MODEL_FACTS:
            found = [about.get(fact) for about in models if isinstance(about, dict)]
            values = {value for value in found if isinstance(value, str | int)}
            if len(values) == 1:
                self._about[fact] = values.pop()
        if self._run is not None:
            with suppress(Exception):  # whatever W&B and its network may raise
                self._run.config.update(self._about, allow_val_change=True)

    def log(self, values: Mapping[str, float], *, axis: str, step: float) -> None:
        """Log numbers at `step` of `axis` (`train/step`, `layer`, …), their step metric."""
        if self._name is None or self._is_broken:
            return
        try:
            self._log(self._name, values, axis, step)
        except Exception as fault:  # whatever W&B and its network may raise
            self._give_up(fault)

    def finish(self, exit_code: int) -> None:
        """Close the run and forget it; what is not sent in time stays in W&B's folder."""
        run, self._run = self._run, None
        if run is None or self._name is None:
            return
        try:
            _close(self._name, run, exit_code)
        except Exception as fault:  # as above
            self._give_up(fault)

    def _log(self, name: RunName, values: Mapping[str, float], axis: str, step: float) -> None:
        if self._run is None:
            self._run = open_run(replace(name, config={**name.config, **self._about}))
            if self._run is None:
                self._name = None
                return
        run, new = self._run, [value for value in values if f"{axis} {value}" not in self._axes]
        self._axes |= {f"{axis} {value}" for value in new}

        def send() -> None:
            for value in new:
                run.define_metric(value, step_metric=axis)
            run.log({axis: step, **values})

        within(_GRACE_S, send)

    def _give_up(self, fault: Exception) -> None:
        """Warn once and mirror nothing more: a broken mirror costs the job nothing."""
        if not self._is_broken:
            _logger.warning("W&B broke and is left alone from here on: %s", fault)
        self._is_broken = True


def tracking_mode() -> str:
    """`online`, `offline` or `disabled`: as the user chose, else online where W&B has a login.

    W&B's own client is asked, with all the places that it knows: variables, netrc, settings files.
    """
    if chosen := _chosen_mode():
        return chosen
    try:
        return _mode_of_client()
    except ImportError:
        return "disabled"
    except Exception as fault:  # a login that is no login, a settings file that is none
        _logger.warning("W&B is offline, because its login cannot be used: %s", fault)
        return "offline"


def notes_on_mirror() -> list[str]:
    """Say what of the environment W&B is not given, before a launch; nothing where it is off."""
    names = _left_over() if _chosen_mode() != "disabled" else []
    if not names:
        return []
    return [f"W&B is not given {', '.join(names)}: each job is a run of its own"]


def _chosen_mode() -> str:
    chosen = os.environ.get("WANDB_MODE", "").strip().lower()
    return {"dryrun": "offline", "run": "online"}.get(chosen, chosen)


def _mode_of_client() -> str:
    client = _client()
    from wandb.sdk import wandb_setup
    from wandb.sdk.lib.wbauth import authenticate_session

    settings = wandb_setup.singleton().settings
    if settings.mode not in ("online", "run"):
        return "disabled" if settings.mode == "disabled" else "offline"
    assert client is not None
    login = authenticate_session(
        host=settings.base_url, source="deltascale", prompt=False, update_session=False
    )
    return "online" if login else "offline"


def _client() -> Any:
    """Import W&B; before this process does so first, take away what binds it to another run."""
    global _is_imported
    if not _is_imported:
        for name in _left_over():
            del os.environ[name]
        os.environ.setdefault("WANDB_SILENT", "true")
        # Reports on W&B's own use are sent as a process ends, which waits where W&B is away.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    _is_imported = True
    return wandb


_is_imported = False
"""From then on W&B keeps variables of its own in the environment."""


def _left_over() -> list[str]:
    names = sorted(name for name in os.environ if name.startswith("WANDB_"))
    return [name for name in names if name not in _KEPT]


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
            within(_ANSWERS_WITHIN_S, _require_answer)
            return within(_OPENS_WITHIN_S + _GRACE_S, _opening(name, mode))
        except Exception as fault:  # whatever W&B and its network may raise
            _note(name, fault)
            with suppress(Exception):  # as above; else it keeps the id for the run that hangs
                within(_GRACE_S, _client().teardown)
            mode = "offline"
    return within(_OPENS_OFFLINE_WITHIN_S, _opening(name, mode))


def _opening(name: RunName, mode: str) -> Callable[[], Any]:
    wandb = _client()
    folder = Path(name.folder)
    folder.mkdir(parents=True, exist_ok=True)
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


def _require_answer() -> None:
    """Ask the server what W&B asks: no answer, or one that says that it is out of order, raises."""
    _client()
    from wandb.sdk import wandb_setup

    question = urllib.request.Request(
        f"{wandb_setup.singleton().settings.base_url}/graphql",
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


def _close(name: RunName, run: Any, exit_code: int) -> None:
    try:
        within(name.finishes_within_s + _GRACE_S, lambda: run.finish(exit_code=exit_code))
    except TimeoutError as fault:
        _note(name, fault)


def _note(name: RunName, fault: Exception) -> None:
    """Say that W&B is away, in this job's log, if no other job of the launch has said so."""
    lines = f"{type(fault).__name__}: {fault}".split("\n")
    reason = redacted(" ".join(lines)[:_LONGEST_REASON])
    if name.outage.note(reason):
        _logger.warning(
            "W&B is away (%s): runs of this launch are written offline; "
            "`cd %s && wandb sync --yes` sends them later",
            reason,
            name.folder,
        )


TableRows = tuple[Sequence[str], Sequence[Sequence[object]]]
"""Columns, and cells row by row."""
Line = tuple[str, str, Sequence[tuple[float, float]]]
"""Name, what it is drawn against, and its points."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a study's summary run holds."""

    tables: Mapping[str, TableRows]
    """Title -> table, as shown."""
    figures: Mapping[str, Path]
    """Name -> picture."""
    lines: Sequence[Line]
    """Geometry against layer and against size."""
    verdicts: Mapping[str, str]
    """Question -> verdict."""
    reused: Sequence[str]
    """Labels of the jobs that were not run again."""


def mirror_summary(name: RunName, summary: Summary) -> None:
    """One run that holds a study's outcome."""
    try:
        within(_SUMMARY_WITHIN_S, lambda: _mirror_summary(name, summary))
    except Exception as fault:  # whatever W&B and its network may raise
        _logger.warning("W&B broke; the study's own files have everything: %s", fault)


def _mirror_summary(name: RunName, summary: Summary) -> None:
    run = open_run(name)
    if run is None:
        return
    wandb = _client()
    for title, (columns, rows) in summary.tables.items():
        # W&B wants one type a column: a dash beside numbers makes the column text.
        texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
        run.log({title: wandb.Table(columns=list(columns), data=texts)})
    figures = {
        f"figures/{title}": wandb.Image(str(path)) for title, path in summary.figures.items()
    }
    if figures:
        run.log(figures)
    _log_lines(run, summary.lines)
    run.log({"reused jobs": wandb.Table(columns=["job"], data=[[it] for it in summary.reused])})
    run.summary["num_reused"] = len(summary.reused)
    for question, verdict in summary.verdicts.items():
        run.summary[f"answers/{question}"] = verdict
    _close(name, run, 0)


def _log_lines(run: Any, lines: Sequence[Line]) -> None:
    """One row per place on an axis, with the value of every line there; the axis is their step."""
    for axis in dict.fromkeys(against for _, against, _ in lines):
        rows: dict[float, dict[str, float]] = {}
        for name, against, points in lines:
            if against == axis:
                run.define_metric(f"by {axis}/{name}", step_metric=axis)
                for place, value in points:
                    rows.setdefault(place, {})[f"by {axis}/{name}"] = value
        for place, values in sorted(rows.items()):
            run.log({axis: place, **values})
