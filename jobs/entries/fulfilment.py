"""Does an own entry keep its door's contract? Signatures, values, and names that it reports.

The package's entries are held to their contracts by mypy; an own one is held when it is planned.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from analysis.door import Door, class_name
from cluster.errors import UserError
from jobs.entries.own_code import OwnCode
from jobs.entries.rooms import contract_of


def check_fulfilment(entry: object, door: Door[Any], code: OwnCode, folder: str) -> None:
    """Hold a loaded entry against the contract of its door.

    Args:
        entry: the module or instance.
        door: where it stands.
        code: its source.
        folder: the folder of entries, in messages.

    Raises:
        UserError: a function takes other arguments than it is given, a value is of another type,
            or a value that it reports or gives a range is none of its own; with file and line.
    """
    contract, name = contract_of(code.room), code.stem.replace("_", door.separator)
    see = f"see {contract.__module__.replace('.', '/')}.py"
    for part, problem in _problems(entry, contract):
        raise UserError(
            f"own {door.what} {name!r}: {part} {problem}",
            where=f"{folder}/{code.path}:{defining_line(code, part)}",
            hint=see,
        )
    reports = getattr(entry, "REPORTS", ())
    for value in reports:
        if value != code.stem and not value.startswith(f"{code.stem}_"):
            raise UserError(
                f"own {door.what} {name!r}: REPORTS names {value!r}, which other entries "
                "may report",
                where=f"{folder}/{code.path}:{defining_line(code, 'REPORTS')}",
                allowed=[code.stem, f"{code.stem}_…"],
            )
    for value in getattr(entry, "RANGES", ()):
        if value not in reports:
            raise UserError(
                f"own {door.what} {name!r}: RANGES names {value!r}, which it does not report",
                where=f"{folder}/{code.path}:{defining_line(code, 'RANGES')}",
                allowed=list(reports),
            )


def _problems(entry: object, contract: type) -> Iterator[tuple[str, str]]:
    """Yield the names that do not keep the contract, each with what is wrong."""
    for name, wanted in _functions(contract):
        given = getattr(entry, name)
        if not callable(given):
            yield name, f"is {given!r}, not a function"
            continue
        why = _why_unfit(wanted, given)
        if why is not None:
            yield name, why
    for name, hint in _values(contract):
        if not hasattr(entry, name):
            continue
        value = getattr(entry, name)
        why = _why_wrong(hint, value)
        if why is not None:
            yield name, why


def _functions(contract: type) -> Iterator[tuple[str, Any]]:
    for base in contract.__mro__:
        for name, member in vars(base).items():
            if not name.startswith("_") and inspect.isfunction(member):
                yield name, member


def _why_unfit(wanted: Any, given: Any) -> str | None:
    """Say why a function cannot be called as its contract's is; None where it can."""
    try:
        parameters = list(inspect.signature(wanted).parameters.values())[1:]  # without self
        signature = inspect.signature(given)
    except (TypeError, ValueError):
        return None
    named = {p.name: None for p in parameters if p.kind is p.KEYWORD_ONLY}
    placed = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    required = [p for p in placed if p.default is p.empty]
    for arguments in (required, placed):
        try:
            signature.bind(*(p.name for p in arguments), **named)
        except TypeError as error:
            names = ", ".join(p.name for p in parameters)
            return f"is called with ({names}), and takes {signature}: {error}"
    by_name = {p.name: None for p in placed} | named
    try:
        signature.bind(**by_name)
    except TypeError as error:
        return f"may be called with its arguments by name, and takes {signature}: {error}"
    return None


def _values(contract: type) -> Iterator[tuple[str, Any]]:
    """Yield the values that a contract declares, with their types where these can be read."""
    for base in contract.__mro__:
        try:
            hints = get_type_hints(base)
        except (NameError, TypeError):
            continue
        for name in inspect.get_annotations(base):
            if not name.startswith("_") and name in hints:
                hint = hints[name]
                yield name, get_args(hint)[0] if get_origin(hint) is ClassVar else hint
        if Protocol in base.__bases__:
            for name, member in vars(base).items():
                if isinstance(member, property) and member.fget and not name.startswith("_"):
                    try:
                        hint = get_type_hints(member.fget).get("return")
                    except (NameError, TypeError):
                        continue
                    if hint is not None:
                        yield name, hint


def _why_wrong(hint: Any, value: object) -> str | None:
    """Say why a value is not of a type; None where it is, or nobody can tell."""
    if isinstance(value, property):
        return None
    adapter = _adapter(hint)
    if adapter is None:
        return None
    try:
        adapter.validate_python(_plain(value), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        wanted = getattr(hint, "__name__", None) if not get_args(hint) else None
        return f"is {value!r:.60}, not {wanted or str(hint).replace('typing.', '')}: " + str(
            first["msg"]
        ).replace("Input should be", "should be")
    except Exception:
        return None
    return None


def _adapter(hint: Any) -> TypeAdapter[Any] | None:
    """Return what holds values against a type; None for a type that has no such thing."""
    try:
        try:
            return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True, strict=True))
        except (PydanticUserError, TypeError):  # a model or dataclass has settings of its own
            return TypeAdapter(hint)
    except Exception:  # pydantic and what it asks raise many kinds here
        return None


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value


def defining_line(code: OwnCode, name: str) -> int:
    """Return the line of the entry's file that defines a name; that of its class, or 1."""
    lines: dict[str, int] = {}
    for node in ast.walk(ast.parse(code.modules[code.path])):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            lines.setdefault(node.name, node.lineno)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            lines |= {name: node.lineno for name in names if name not in lines}
    return lines.get(name) or lines.get(class_name(code.stem)) or 1
