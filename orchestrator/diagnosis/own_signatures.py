"""Signatures that people bring along: `signatures.yaml` beside a study, and in their own folder.

    nccl-of-this-cluster:
      pattern: "NET/IB : Got async event : port error"
      class: network
      remedy: "ask the cluster's people about leaf 3; sinfo -R"

Strict, as all that people write: every fault is one message with file and line. They are read
before anything runs, and searched for with a limit of time, whatever the expression.
"""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cluster.errors import UserError, unknown_name
from cluster.fault_classes import FaultClass
from orchestrator.diagnosis.signature import SIGNATURES, KnownFailure
from orchestrator.permission.own_files import configuration_path
from orchestrator.study.study_file import StudyFile, read_study_file

FILE = "signatures.yaml"
_FIELDS = ("pattern", "class", "remedy")
_LONGEST_PATTERN = 2000
_EXAMPLE = f"{FILE} holds NAME: {{pattern: …, class: …, remedy: …}}"


def own_signatures(study_folder: Path | None = None) -> list[KnownFailure]:
    """Read the signatures beside a study, and those of the user; the study's go first.

    Args:
        study_folder: folder of the study's file; None where there is none.

    Raises:
        UserError: a file is wrong; says where.
    """
    folders = [] if study_folder is None else [study_folder]
    files = [folder / FILE for folder in [*folders, configuration_path().parent]]
    found: dict[str, KnownFailure] = {}
    for file in dict.fromkeys(file.resolve() for file in files if file.is_file()):
        for failure in _read(file):
            if failure.name in found:
                raise UserError(
                    f"there are two signatures {failure.name!r}",
                    where=f"{found[failure.name].origin}, {file}",
                    hint="give one of them another name",
                )
            found[failure.name] = failure
    return list(found.values())


def _read(path: Path) -> Iterator[KnownFailure]:
    file = read_study_file(path, "signature")
    written = file.data if file.data is not None else {}
    if not isinstance(written, dict):
        raise UserError("it is no mapping of names", where=file.where(), hint=_EXAMPLE)
    for name, fields in written.items():
        if not isinstance(name, str):
            raise UserError(f"{name!r} is no name", where=file.where(name), hint=_EXAMPLE)
        if name in SIGNATURES.package_names():
            raise UserError(
                f"there is a signature {name!r} in the package already",
                where=file.where(name),
                hint="give yours another name: both are searched for, and yours goes first",
            )
        yield _one(file, name, fields)


def _one(file: StudyFile, name: str, fields: Any) -> KnownFailure:
    if not isinstance(fields, dict):
        raise UserError(f"signature {name!r} is no mapping", where=file.where(name), hint=_EXAMPLE)
    for field in fields:
        if field not in _FIELDS:
            raise unknown_name("field", str(field), _FIELDS, where=file.where(name, field))
    for field in _FIELDS:
        if not isinstance(fields.get(field), str) or not fields[field].strip():
            raise UserError(
                f"the signature {name!r} wants a text for {field!r}",
                where=file.where(name, field),
                hint=_EXAMPLE,
            )
    return KnownFailure(
        name=name,
        pattern=_pattern(fields["pattern"], file.where(name, "pattern")),
        fault_class=_fault_class(fields["class"], file.where(name, "class")),
        remedy=fields["remedy"].strip(),
        origin=str(file.name),
    )


def _pattern(text: str, where: str) -> str:
    import regex

    if len(text) > _LONGEST_PATTERN:
        raise UserError(f"the pattern is longer than {_LONGEST_PATTERN} characters", where=where)
    try:
        matches_nothing_said = regex.compile(text).search("", timeout=1.0)
    except regex.error as fault:
        raise UserError(
            f"the pattern is no regular expression: {fault.msg}"
            + (f" (at character {fault.pos + 1})" if fault.pos is not None else ""),
            where=where,
            hint=r"a bracket that is meant as itself is written \[ and \(",
        ) from None
    if matches_nothing_said:
        raise UserError(
            "the pattern is found in an empty line, so it would be found in every failure",
            where=where,
            hint="write words that only this failure has",
        )
    return text


def _fault_class(word: str, where: str) -> FaultClass:
    words = [member.value for member in FaultClass if member is not FaultClass.UNKNOWN]
    if word in words:
        return FaultClass(word)
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    raise UserError(
        f"unknown class {word!r}",
        where=where,
        allowed=words,
        hint=f"did you mean {near[0]!r}?"
        if near
        else "docs/states.md says what follows each class",
    )
