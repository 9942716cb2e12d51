"""Verb `profile`: write, show or check a profile: where launches run, and what that costs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.disk.new_file import write_new_file
from cluster.errors import UserError, unknown_name
from orchestrator.console import say, say_json
from orchestrator.verb import chosen_root

if TYPE_CHECKING:
    from orchestrator.profiles.profile_file import ChosenProfile

ORDER = 25
HELP = "write, show or check a profile: where launches run, and what that costs"


_CHECKS = ("ray", "nodes", "queue", "root")
"""What a profile names; `doctor` looks at the rest of the place."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what to do, and with which profile."""
    parser.add_argument(
        "action",
        metavar="new|show|check",
        help="new: write one to start from; show: list all, or print one; check: read it, and "
        "look at what it names",
    )
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="name or path of a profile (new: of the file)"
    )
    parser.add_argument("--kind", help="new: kind of the profile (default: NAME, if it is one)")


def run(options: argparse.Namespace) -> int:
    """Do what is asked.

    Args:
        options: the words of the command line.

    Returns:
        0, or 1 where `check` finds something that is not as it should be.

    Raises:
        UserError: there is no such profile, or it is wrong.
        SurroundingsError: the file cannot be written.
    """
    actions = {"new": _new, "show": _show, "check": _check}
    if options.action not in actions:
        raise unknown_name("action", options.action, actions, where="deltascale profile")
    if options.action == "show" and options.name is None:
        return _list(options)
    if options.name is None:
        raise UserError("missing argument: NAME", where=f"deltascale profile {options.action}")
    if options.kind is not None and options.action != "new":
        raise UserError("--kind is for `profile new`", where="--kind")
    return actions[options.action](options)


def _new(options: argparse.Namespace) -> int:
    from orchestrator.permission.own_files import profiles_folder
    from orchestrator.profiles.kind import PROFILE_KINDS
    from orchestrator.study.names import require_name

    path = Path(options.name)
    name = path.stem if path.suffix in (".yaml", ".yml") else options.name
    if name == options.name and "/" not in name:
        path = profiles_folder() / f"{name}.yaml"
    require_name("profile", name, "NAME")
    kind_name = options.kind or (name if name in PROFILE_KINDS.names() else None)
    if kind_name is None:
        raise UserError(
            f"of which kind is the profile {name!r} to be?",
            where="--kind",
            allowed=PROFILE_KINDS.names(),
        )
    kind = PROFILE_KINDS.find(kind_name, where="--kind")
    is_listed = path.parent == profiles_folder()
    write_new_file(path, kind.TEMPLATE, folder_mode=0o700 if is_listed else None)
    if options.json:
        say_json({"profile": name, "kind": kind_name, "file": str(path)})
    else:
        say(f"{path}: edit it, then `deltascale profile check {options.name}`")
    return 0


def _list(options: argparse.Namespace) -> int:
    from orchestrator.profiles.finding import built_in_names, profile_files, profile_folders
    from orchestrator.profiles.kind import PROFILE_KINDS

    folders = profile_folders([])
    files = profile_files(folders)
    taken = {file.stem for file in files}
    built_in = [name for name in built_in_names() if name not in taken]
    if options.json:
        listed = [{"name": name, "file": None} for name in built_in]
        say_json({"profiles": [*listed, *({"name": f.stem, "file": str(f)} for f in files)]})
        return 0
    for name in built_in:
        say(f"{name:<16} (no file needed) {PROFILE_KINDS.find(name).SUMMARY}")
    for file in files:
        say(f"{file.stem:<16} {file}")
    say(f"looked in: {', '.join(map(str, folders))}")
    return 0


def _show(options: argparse.Namespace) -> int:
    from orchestrator.profiles.finding import find_profile

    chosen = find_profile(options.name, [])
    fields = chosen.profile.model_dump(mode="json")
    if options.json:
        say_json({"profile": chosen.name, "file": _place(chosen), "fields": fields})
        return 0
    say(f"# {_place(chosen) or 'no file: the defaults of its kind'}")
    if chosen.file is not None:
        say(chosen.file.text.rstrip("\n"))
    else:
        say(f"kind: {chosen.profile.kind}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from orchestrator.doctor.check import Verdict
    from orchestrator.doctor.examination import examine, is_fit
    from orchestrator.doctor.opening import opened
    from orchestrator.doctor.page import shown
    from orchestrator.profiles.finding import find_profile

    chosen = find_profile(options.name, [])
    options.on, options.study, options.address = options.name, None, None
    with opened(chosen, chosen_root(options), options) as site:
        findings = list(examine(site, _CHECKS))
    is_good = is_fit(findings)
    if options.json:
        say_json(
            {
                "profile": chosen.name,
                "file": _place(chosen),
                "kind": chosen.profile.kind,
                "is_good": is_good,
                "findings": [
                    {
                        "is_good": finding.line.verdict is not Verdict.BAD,
                        "text": f"{finding.check}: {finding.line.value}",
                        **finding.as_json(),
                    }
                    for finding in findings
                ],
            }
        )
        return 0 if is_good else 1
    say(f"{chosen.name}: kind {chosen.profile.kind}, read without fault\n")
    for finding in findings:
        say(shown(finding))
    say(f"\n`deltascale doctor --on {options.name}` looks at all else")
    return 0 if is_good else 1


def _place(chosen: "ChosenProfile") -> str | None:
    return None if chosen.path is None else str(chosen.path)
