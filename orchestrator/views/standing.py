"""Where one study stands, for who asks once or again and again."""

import os
from typing import TYPE_CHECKING, Any

from cluster.checked_json import read_file
from cluster.locks.holder import Holder
from cluster.storage import Storage
from orchestrator.plan.launched_plan import LaunchedPlan, read_launched, read_running
from orchestrator.records.events import LaunchState
from orchestrator.records.history import HistoryTail
from orchestrator.records.launched_studies import known_studies
from orchestrator.records.lock import current_holder
from orchestrator.views.expected_end import Planned
from orchestrator.views.queued import queue_of
from orchestrator.views.status import status_of

if TYPE_CHECKING:
    from orchestrator.plan.plan import Plan
    from orchestrator.study.study import Study


class Standing:
    """The status of one study; what was read before is not read again.

    While a launch runs, its own plan is shown and no record is read; else the study is planned
    anew and every record is read.
    """

    def __init__(self, root: Storage, study: str) -> None:
        """Remember what is asked about.

        Args:
            root: the output root.
            study: a study file, or the name of a study known in the root.
        """
        self._root = root
        self._text = study
        self._study: Study | None = None
        self._plan: Plan | None = None
        self._launched: LaunchedPlan | None = None
        self._tail: HistoryTail | None = None

    def status(self) -> dict[str, Any]:
        """Return everything that `deltascale status` shows.

        Raises:
            UserError: there is no such study, or something in it is wrong.
        """
        name = self._name_if_as_launched()
        holder = current_holder(self._root, name) if name is not None else None
        status = None
        if name is not None and holder is not None:
            status = self._of_running(name, holder)
        if status is None:
            status = self._planned_anew()
        is_complete = status["state"] == LaunchState.COMPLETE.value
        queue = None if is_complete else queue_of(self._root, status["study"])
        return {**status, "queue": queue}

    def _name_if_as_launched(self) -> str | None:
        """Return the study's name where what is asked about is the study as it was launched."""
        if _is_name(self._text):
            return self._text if self._text in known_studies(self._root) else None
        study = self._find()
        try:
            text = read_file(self._root, f"studies/{study.name}/study.yaml")
        except ValueError:
            return None
        return study.name if text == study.file.text.encode() else None

    def _find(self) -> "Study":
        from orchestrator.plan.decided_plan import find_study

        self._study = find_study(self._root, self._text)
        return self._study

    def _of_running(self, name: str, holder: Holder) -> dict[str, Any] | None:
        """Return the status by the plan of the launch that runs; None where there is none yet."""
        if self._launched is None or self._launched.launch != holder.launch:
            self._launched = read_launched(self._root, name, holder.launch)
        if self._launched is None:
            return None
        past = self._past(name).read()
        status = status_of(
            self._root,
            name,
            self._launched.jobs,
            done=self._launched.done(self._root, past),
            past=past,
            planned={
                job.key: Planned(
                    hours=self._launched.hours.get(job.key),
                    num_gpus=self._launched.num_gpus[job.key],
                )
                for job in self._launched.jobs
            },
            left_out=self._launched.left_out,
        )
        return {**status, "let_go": self._launched.num_let_go, "changed_data": []}

    def _planned_anew(self) -> dict[str, Any]:
        from orchestrator.plan.decided_plan import Purpose, data_changed_since, decide, plan_study
        from orchestrator.plan.decisions import Decision

        study = self._study if self._study and not _is_name(self._text) else self._find()
        past = self._past(study.name).read()
        self._plan = plan_study(self._root, study, self._plan, purpose=Purpose.ASK)
        decided = decide(self._plan, self._root, past)
        done = decided.keys(Decision.REUSE)
        planned = {
            job.key: Planned(num_gpus=job.resources.total.num_gpus) for job in self._plan.jobs
        }
        status = status_of(
            self._root,
            study.name,
            self._plan.jobs,
            done=done,
            past=past,
            planned=planned,
            left_out=self._left_out(study.name),
            changed=decided.keys(Decision.CHANGED),
        )
        return {
            **status,
            "let_go": sum(item.is_let_go for item in decided.by_key.values()),
            "changed_data": data_changed_since(self._root, study),
        }

    def _left_out(self, name: str) -> frozenset[str]:
        """Return what the launch that runs, of another text of the study, is not to run."""
        running = read_running(self._root, name)
        if running is None or self._plan is None:
            return frozenset()
        return running.left_out | (self._plan.by_key.keys() - {job.key for job in running.jobs})

    def _past(self, name: str) -> HistoryTail:
        if self._tail is None or self._tail.study != name:
            self._tail = HistoryTail(self._root, name)
        return self._tail


def _is_name(text: str) -> bool:
    is_path = "/" in text or text.endswith((".yaml", ".yml"))
    return not is_path and not os.path.isfile(text)
