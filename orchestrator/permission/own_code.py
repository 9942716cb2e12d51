"""May the code of this folder run with the user's rights? Never what only a root names.

A study file that the user names is as trusted as a script that the user starts, and so is the
folder of entries beside it, while nobody else can write it. What a root says of a study is written
by whoever can write the root: its folder is taken where the user has launched it before.
"""

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from cluster.checked_json import parse_json
from cluster.errors import UserError
from cluster.storage import Storage
from jobs.worker.mounted_root import ROOT_FILE
from orchestrator.permission.configuration import read_configuration
from orchestrator.permission.own_files import configuration_path, launched_path, require_own
from orchestrator.study.study import Study


def require_permitted(study: Study, root: Storage | None) -> bool:
    """Check that a study's folder of entries may be read as code.

    Args:
        study: it names a folder.
        root: the output root; None where there is none.

    Returns:
        True where the user's configuration lists the folder: then others may write it.

    Raises:
        UserError: it lies below a root, or only a root's record names it.
    """
    assert study.entries is not None, f"{study.name} brings nothing"
    folder, where = study.entries.resolve(), study.where("entries")
    _require_outside(folder, where, root)
    if root is not None and folder in _configured(root):
        return True
    if study.recorded_in is not None and str(folder) not in _launched(root):
        raise UserError(
            f"the record of study {study.name!r} in the root names the folder {folder} for its own "
            "entries: whoever writes to a root must not say what code runs here",
            where=where,
            hint="name the study's own file instead; or, where this folder is meant, write into "
            f"{configuration_path()}:\nentries: [{folder}]",
        )
    return False


def remember_launched(study: Study, root: Storage) -> None:
    """Remember that the user has launched a study with this folder of entries from its own file.

    Where the home takes no file, later commands need the study's own file again.
    """
    if study.entries is None or study.recorded_in is not None:
        return
    folder, known = str(study.entries.resolve()), _launched(root)
    if folder in known:
        return
    path = launched_path()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=path.parent)  # private
        with os.fdopen(descriptor, "w") as stream:
            json.dump([*known, folder], stream, indent=1)
        os.replace(name, path)


def _require_outside(folder: Path, where: str, root: Storage | None) -> None:
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
    return {Path(written).expanduser().resolve() for written in read_configuration(root).entries}


def _launched(root: Storage | None) -> list[str]:
    path = launched_path()
    if root is not None:
        require_own(path, root)
    with suppress(OSError, ValueError):
        content = parse_json(path.read_bytes())
        if isinstance(content, list):
            return [str(folder) for folder in content]
    return []
