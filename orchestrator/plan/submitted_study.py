"""A study as it was when it was handed over: a later edit does not change what is queued."""

from dataclasses import replace
from pathlib import Path

from cluster.checked_json import damaged_file, read_file
from cluster.errors import UserError
from cluster.storage import Storage
from orchestrator.plan.own_code import own_entries_of
from orchestrator.records.detached import read_handed_over
from orchestrator.records.submissions import HINT
from orchestrator.study.study import Study, study_of
from orchestrator.study.study_file import parse_study_file


def open_submitted(root: Storage, name: str, submission: str) -> Study:
    """Open a study as it was submitted; its paths resolve as they did then.

    Raises:
        UserError: there is no such submission, or the study's own entries have changed since.
        SurroundingsError: what was kept of it is damaged.
    """
    document, place = read_handed_over(root, name, submission)
    try:
        text = (read_file(root, place) or b"").decode()
        study = study_of(parse_study_file(text, document["file"]), Path(document["folder"]))
    except ValueError as reason:
        raise damaged_file(root, place, reason, HINT) from None
    except UserError as fault:  # it was read when it was written
        raise damaged_file(root, place, f"{fault.error} ({fault.where})", HINT) from None
    study = replace(study, recorded_in=root.url)
    now = {path: code.digests[path] for path, code in own_entries_of(study, root).codes.items()}
    changed = sorted(
        path
        for path in now.keys() | document["entries"]
        if now.get(path) != document["entries"].get(path)
    )
    if changed:
        raise UserError(
            f"the study's own {', '.join(changed[:3])} changed after it was submitted, so this "
            "would be another study than the one that was handed over",
            where=study.where("entries"),
            hint="launch it again, as it is now",
        )
    return study
