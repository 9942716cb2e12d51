"""May the code of this folder run with the user's rights? Never what only a root names.

A study file that the user names is as trusted as a script that the user starts, and so is the
folder of entries beside it, while nobody else can write it; at a terminal the user is asked the
first time, for `plan` looks as if it only looked. What a root says of a study is written by whoever
can write the root: its folder is taken where it is known from a study's own file.
"""

from pathlib import Path

from cluster.errors import UserError
from cluster.storage import Storage
from jobs.worker.mounted_root import ROOT_FILE
from orchestrator.permission.configuration import configured_paths
from orchestrator.permission.confirmation import Ask, ask_at_terminal
from orchestrator.permission.own_files import (
    configuration_path,
    known_entries_path,
    remember,
    remembered,
)
from orchestrator.study.study import Study


def require_permitted(study: Study, root: Storage | None) -> bool:
    """Check that a study's folder of entries may be read as code.

    Args:
        study: it names a folder.
        root: the output root; None where there is none.

    Returns:
        True where the user's configuration lists the folder: then others may write it.

    Raises:
        UserError: it lies below a root, only a root's record names it, or the user said no.
    """
    assert study.entries is not None, f"{study.name} brings nothing"
    folder, where = study.entries.resolve(), study.where("entries")
    require_outside_roots(folder, where, root)
    if root is not None and folder in _configured(root):
        return True
    if str(folder) in _known(root):
        return False
    if study.recorded_in is None:
        ask = ask_at_terminal()
        if ask is not None:
            _ask(ask, study, folder)
            _remember(folder, root)
    else:
        raise UserError(
            f"the record of study {study.name!r} in the root names the folder {folder} for its own "
            "entries: whoever writes to a root must not say what code runs here",
            where=where,
            hint="name the study's own file instead; or, where this folder is meant, write into "
            f"{configuration_path()}:\nentries: [{folder}]",
            code="permission-needed",
        )
    return False


def _ask(ask: Ask, study: Study, folder: Path) -> None:
    question = (
        f"study {study.name!r} brings code of its own, which runs with your rights to plan it:\n"
        f"  {folder}\nRun it, now and whenever a study names this folder?"
    )
    if not ask(question):
        raise UserError(
            f"study {study.name!r} brings code of its own in {folder}, and you did not allow it",
            where=study.where("entries"),
            hint="read it first: it may do whatever you may",
            code="permission-needed",
        )


def remember_launched(study: Study, root: Storage) -> None:
    """Remember that the user has launched a study with this folder of entries from its own file.

    Where the home takes no file, later commands need the study's own file again.
    """
    if study.entries is None or study.recorded_in is not None:
        return
    folder = study.entries.resolve()
    if str(folder) not in _known(root):
        _remember(folder, root)


def _remember(folder: Path, root: Storage | None) -> None:
    remember(known_entries_path(), [*_known(root), str(folder)])


def require_outside_roots(folder: Path, where: str, root: Storage | None) -> None:
    """Refuse a folder of code below a root: this one, or any that a launch made.

    Raises UserError.
    """
    roots = [Path(root.url).resolve()] if root is not None and root.is_local else []
    roots += [above for above in (folder, *folder.parents) if (above / ROOT_FILE).is_file()]
    for inside in roots:
        if folder.is_relative_to(inside):
            raise UserError(
                f"the folder of entries {folder} lies in the output root {inside}: whoever writes "
                "to a root could run code as you",
                where=where,
                hint="move it beside the study file, out of the root",
            )


def _configured(root: Storage) -> set[Path]:
    return set(configured_paths(root, "entries"))


def _known(root: Storage | None) -> list[str]:
    return [str(folder) for folder in remembered(known_entries_path(), root)]
