"""Reads a study file as YAML and remembers the line of everything in it.

Scalars follow YAML 1.2 (`1e-6` is a number, `no` is text). A key that is written twice, a tag and
anything that looks like a secret are refused with file and line.
"""

import math
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster.errors import UserError
from cluster.redaction.redactor import has_credentials
from cluster.redaction.token_shapes import holds_token
from jobs.artifacts.job import Scalar

Place = tuple[str | int, ...]
"""A place inside a document: keys and positions from the top."""

_MOST_BYTES = 4 << 20
"""Bytes of a study file: 100 times the longest study that is known."""
_MOST_NODES = 200_000
"""Keys, values, lists and mappings of a study once its aliases are written out."""
_DEEPEST = 50
"""Lists and mappings inside one another."""
_MOST_DIGITS = 19
"""Digits of a whole number: no seed or count is longer."""
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, kw_only=True)
class StudyFile:
    """A parsed file together with the line of every key and item."""

    name: str
    """Name of the file in messages."""
    text: str
    """Its text."""
    data: Any
    """Its content: mappings, lists and scalars."""
    lines: Mapping[Place, int]
    """Place -> line, from 1."""

    def where(self, *place: str | int) -> str:
        """Return `file:line` of a place, or of the nearest place around it that the file has."""
        while place and place not in self.lines:
            place = place[:-1]
        return f"{self.name}:{self.lines.get(place, 1)}"


def read_study_file(path: Path, what: str = "study") -> StudyFile:
    """Read a file. Raises UserError when it cannot be read, is not UTF-8 or not YAML.

    Args:
        path: the file.
        what: the noun for what it holds, for messages.
    """
    try:
        with open(path, "rb", opener=_open_without_waiting) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise UserError(f"this is not a regular file, so no {what} file", where=str(path))
            data = stream.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise UserError(
                f"the file is too large for a {what}: more than {_MOST_BYTES >> 20} MiB",
                where=str(path),
            )
        text = data.decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"there is no such {what} file", where=str(path)) from None
    except IsADirectoryError:
        raise UserError(f"this is a folder, not a {what} file", where=str(path)) from None
    except OSError as error:
        raise UserError(
            f"the {what} file cannot be read: {error.strerror}", where=str(path)
        ) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError("the file is not UTF-8 text", where=f"{path}:{line}") from None
    return parse_study_file(text, str(path))


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes to must not make us wait."""
    return os.open(path, flags | os.O_NONBLOCK)


def parse_study_file(text: str, name: str) -> StudyFile:
    """Parse a text; messages call it `name`. Raises UserError."""
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise UserError("the text has half a character in it (a lone surrogate)", where=name)
    for number, line in enumerate(text.splitlines(), start=1):
        refuse_secret(line, f"{name}:{number}")
    try:
        _check_size(text, name)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        if mark and "\t" in _indent(text, mark.line):
            problem = "a tab cannot indent: use spaces"
        raise UserError(f"not YAML: {problem}", where=name + place) from None
    except yaml.YAMLError as error:
        raise UserError(f"not YAML: {error}".splitlines()[0], where=name) from None
    reader = _Reader(name)
    data = None if root is None else reader.value(root, ())
    return StudyFile(name=name, text=text, data=data, lines=reader.lines)


def _indent(text: str, line: int) -> str:
    """Return what a line begins with: spaces and tabs; of the one before it where it is empty."""
    start = (text.splitlines() or [""])[: line + 1][-1:]
    return "".join(re.findall(r"^\s*", "".join(start)))


def _check_size(text: str, name: str) -> None:
    """Refuse what would take all memory, or more nesting than libyaml's composer can stand.

    Looks at the events of the parser, of which a text of any kind makes few at a time.
    """
    sizes: dict[str, int] = {}
    """Anchor -> nodes that an alias of it stands for."""
    opened: list[tuple[str | None, int]] = [(None, 0)]
    """Anchor, and nodes so far, of each list or mapping that is open."""
    for event in yaml.parse(text, Loader=_Loader):
        mark = event.start_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        num_nodes, anchor = 1, getattr(event, "anchor", None)
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append((anchor, 1))
            if len(opened) > _DEEPEST + 1:
                raise UserError(f"nested more than {_DEEPEST} levels deep", where=where)
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, num_nodes = opened.pop()
        elif isinstance(event, yaml.AliasEvent):
            # An alias of a node that is still open contains itself: refused when it is read.
            anchor, num_nodes = None, sizes.get(str(anchor), 1)
        elif not isinstance(event, yaml.ScalarEvent):
            continue
        if anchor is not None:
            sizes[anchor] = num_nodes
        around, so_far = opened[-1]
        opened[-1] = (around, so_far + num_nodes)
        if so_far + num_nodes > _MOST_NODES:
            raise UserError(
                f"the study has more than {_MOST_NODES:,} values once its aliases are written out",
                where=where,
            )


def refuse_secret(text: str, where: str) -> None:
    """Raise UserError when a text holds what looks like credentials: records would copy them."""
    if has_credentials(text) or holds_token(text):
        raise UserError(
            "this looks like a secret, which would be copied into records",
            where=where,
            hint="give credentials to the storage or the hub through the environment",
        )


class _Loader(yaml.CSafeLoader):
    """The loader of libyaml, with the scalars of YAML 1.2's core schema only."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), _first)


class _Reader:
    """Turns YAML nodes into values and keeps their lines."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Place, int] = {}
        self._open: set[int] = set()

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            raise self._fault(node, "an anchor contains itself")
        self._open.add(id(node))
        value: Any
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            value = self._mapping(node, place)
        elif isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            value = [self.value(item, (*place, i)) for i, item in enumerate(node.value)]
        else:
            raise self._fault(node, f"the tag {node.tag!r} is not allowed")
        self._open.discard(id(node))
        return value

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._fault(key, "a key must be a scalar, not a list or a mapping")
            if key.value == "<<" and not key.style:
                raise self._fault(key, "merge keys (`<<`) are of YAML 1.1: write the entries out")
            if key.value in value:
                first = self.lines[(*place, key.value)]
                raise self._fault(key, f"{key.value!r} is written twice (first on line {first})")
            self.lines[(*place, key.value)] = key.start_mark.line + 1
            value[key.value] = self.value(item, (*place, key.value))
        return value

    def _scalar(self, node: yaml.ScalarNode) -> Scalar:
        if "\0" in node.value:
            raise self._fault(node, "a text may not hold a NUL character")
        try:
            return _construct(node.tag, node.value)
        except ValueError as error:
            raise self._fault(node, str(error)) from None

    def _fault(self, node: yaml.Node, error: str) -> UserError:
        mark = node.start_mark
        return UserError(error, where=f"{self.name}:{mark.line + 1}:{mark.column + 1}")


def parse_scalar(text: str) -> Scalar:
    """Read one scalar as in a study file; what is nothing else is text."""
    for tag, pattern in _Loader.yaml_implicit_resolvers.get(text[:1], ()):
        if pattern.match(text):
            return _construct(tag, text)
    return text


def _construct(tag: str, text: str) -> Scalar:
    match tag.removeprefix(_TAG):
        case "str":
            return text
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            digits = text.lstrip("+-").lstrip("0") or "0"
            if len(digits) > _MOST_DIGITS:
                raise ValueError(f"a whole number of more than {_MOST_DIGITS} digits")
            return -int(digits) if text.startswith("-") else int(digits)
        case "float":
            number = float(text)
            if not math.isfinite(number):
                raise ValueError(f"{text[:40]} is larger than any number that a computer can hold")
            return number
    raise ValueError(f"the tag {tag!r} is not allowed")
