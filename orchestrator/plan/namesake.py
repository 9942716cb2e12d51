"""Whether another study of a root has the name of this one: a launch takes what is known by it."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cluster.errors import UserError
from cluster.storage import Storage
from orchestrator.plan.plan import Plan
from orchestrator.plan.study_folder import launched_from, read_index
from orchestrator.study.study import Study
from orchestrator.study.study_file import read_study_file
from orchestrator.text import pluralize


def notes_on_namesake(root: Storage, plan: Plan) -> Iterator[str]:
    """Yield a note where the name was launched last from another file, and jobs are its alone.

    A file that is not there any more was moved; one that has another name by now is none. Of a
    study that was asked for by its name, tell that its file has been edited since.
    """
    study = plan.study
    other = launched_from(root, study.name)
    own = study.folder / Path(study.file.name).name
    if other is not None and study.recorded_in is not None and _is_edited(other, study):
        yield (
            f"{other} has changed since {study.name!r} was launched from it, and this goes by what "
            "was launched then: name the file, not the study, to have it as it is now"
        )
    if other is None or study.recorded_in is not None or _is_same_or_gone(other, own, study.name):
        return
    superseded = set(read_index(root, study.name).values()) - plan.by_key.keys()
    if superseded:
        yield (
            f"{study.where('study')}: {other} is a study {study.name!r}, too, and was launched "
            f"last on this root; a launch of this one takes its place: `gc` may delete what is of "
            f"{pluralize(len(superseded), 'job')} of the other alone. Give one of them another "
            "name, unless it is an earlier state of this one"
        )


def _is_edited(file: Path, study: Study) -> bool:
    with suppress(UserError):  # it was moved, or is elsewhere
        now = read_study_file(file)
        is_its = isinstance(now.data, dict) and now.data.get("study") == study.name
        return is_its and now.text != study.file.text
    return False


def _is_same_or_gone(other: Path, own: Path, name: str) -> bool:
    with suppress(OSError, UserError):
        if other.samefile(own):
            return True
        data = read_study_file(other).data
        return not isinstance(data, dict) or data.get("study") != name
    return True
