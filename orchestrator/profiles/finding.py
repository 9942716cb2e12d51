"""Finds the profile that `--on` names: a path, beside the study, or in the user's own folder.

A name that two folders have is refused, never shadowed.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from cluster.disk.written_path import expanded
from cluster.errors import UserError, unknown_name
from orchestrator.permission.own_files import profiles_folder
from orchestrator.profiles.kind import PROFILE_KINDS
from orchestrator.profiles.profile_file import (
    NEW_HINT,
    ChosenProfile,
    default_profile,
    read_profile,
)

_SUFFIXES = (".yaml", ".yml")
FOLDER = "profiles"
"""Name of the folder of profiles beside a study."""


def find_profile(text: str, studies: Iterable[str]) -> ChosenProfile:
    """Find and read a profile.

    Args:
        text: what `--on` says: a name, or a path.
        studies: the words that name studies on this command line; files among them may have
            profiles beside them.

    Raises:
        UserError: there is none, there are several, or it is wrong.
    """
    if "/" in text or text.endswith(_SUFFIXES):
        path = expanded(text, where="the profile")
        if not path.is_file():
            folder = path.parent
            near = [str(file) for file in sorted(folder.glob("*.y*ml"))] if folder.is_dir() else []
            raise UserError("there is no such profile file", where=text, allowed=near)
        return read_profile(path)
    folders = profile_folders(studies)
    files = [file for file in profile_files(folders) if file.stem == text]
    if len(files) > 1:
        raise UserError(
            f"there are {len(files)} profiles {text!r}, and neither takes the place of the other",
            where=", ".join(map(str, files)),
            hint=f"name the one that you mean: --on {files[0]}; or give one of them another name",
            code="ambiguous-profile",
        )
    if files:
        chosen = read_profile(files[0])
        if text in PROFILE_KINDS.names() and chosen.profile.kind != text:
            raise UserError(
                f"a profile that is called {text!r} is of that kind, not {chosen.profile.kind!r}",
                where=chosen.where("kind"),
                hint="give the file another name",
            )
        return chosen
    if text in built_in_names():
        return default_profile(text)
    names = {*built_in_names(), *(file.stem for file in profile_files(folders))}
    fault = unknown_name("profile", text, names, where=", ".join(map(str, folders)))
    if text in PROFILE_KINDS.names():
        fault.hint = f"`deltascale profile new {text} --kind {text}` writes one to start from"
    elif fault.hint is None:
        fault.hint = NEW_HINT
    raise fault


def built_in_names() -> list[str]:
    """List the kinds whose names `--on` takes without a file."""
    return [name for name in PROFILE_KINDS.names() if not PROFILE_KINDS.find(name).NEEDS_FILE]


def profile_folders(studies: Iterable[str]) -> list[Path]:
    """List the folders where profiles may be, each once: beside the studies, then the user's own.

    Where no file of a study is named, the folder `profiles` in the current one counts as beside it.
    """
    files = [Path(text) for text in studies if "::" not in text and _names_file(text)]
    beside = [file.parent / FOLDER for file in files] or [Path(FOLDER)]
    folders = {folder.resolve(): folder for folder in [*beside, profiles_folder()]}
    return list(folders.values())


def _names_file(text: str) -> bool:
    return text.endswith(_SUFFIXES) or "/" in text or os.path.isfile(text)


def profile_files(folders: Sequence[Path]) -> list[Path]:
    """List the profile files of folders, in order."""
    return [
        file
        for folder in folders
        for file in sorted(folder.glob("*"))
        if file.suffix in _SUFFIXES and file.is_file()
    ]
