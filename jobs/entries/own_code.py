"""`OwnCode`: one entry's source with the own modules that it imports, and how it is imported.

The bytes that were read are what is digested, sent and run. What runs is named by its digest, so
that two versions of an entry are two packages, in one process too.
"""

import ast
import hashlib
import importlib.abc
import linecache
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.machinery import ModuleSpec
from pathlib import PurePosixPath
from types import ModuleType

from cluster.errors import UserError

_PACKAGE = "own_entries"
"""Package under which own modules are imported: `own_entries.<digest>.metrics.spread`."""
_INIT = "__init__.py"


@dataclass(frozen=True, kw_only=True)
class OwnCode:
    """The source of one entry, whole: equal digests are equal code."""

    path: str
    """File of the entry in the folder of entries, such as `metrics/spread.py`."""
    modules: Mapping[str, bytes]
    """Path -> bytes of the entry's file and of every own module that it imports."""

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OwnCode) and self.digest == other.digest

    @property
    def room(self) -> str:
        """Folder of its door, such as `metrics`."""
        return self.path.partition("/")[0]

    @property
    def stem(self) -> str:
        """Name of its file, without suffix."""
        return PurePosixPath(self.path).stem

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """Path -> SHA-256 of the bytes of each module, 64 hex digits."""
        return {path: sha256(data) for path, data in sorted(self.modules.items())}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the entry's path and the paths and digests of its modules."""
        lines = [self.path, *(f"{digest} {path}" for path, digest in self.digests.items())]
        return sha256("\n".join(lines).encode())

    def load(self) -> ModuleType:
        """Import the entry's module; what it raises passes through."""
        _Finder.install()
        top = f"{_PACKAGE}.d{self.digest[:16]}"
        _Finder.codes[top] = self
        return import_module(f"{top}.{self.room}.{self.stem}")


def code_of(path: str, modules: Mapping[str, bytes]) -> OwnCode:
    """Take an entry with the own modules that it imports, at any depth.

    Args:
        path: of its file.
        modules: path -> bytes of every own module that there is.

    Raises:
        UserError: a module is not Python, or imports what is not there; with file and line.
    """
    needed: dict[str, bytes] = {}
    waiting = [path]
    while waiting:
        module = waiting.pop()
        if module not in needed:
            needed[module] = modules[module]
            waiting += _imported(module, modules)
    return OwnCode(path=path, modules=needed)


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def _imported(path: str, modules: Mapping[str, bytes]) -> Iterator[str]:
    """Yield the own modules that one imports, and the `__init__.py` of the folders it lies in."""
    for folder in PurePosixPath(path).parents:
        if (init := _join(folder, _INIT)) in modules:
            yield init
    for node in ast.walk(_parsed(path, modules[path])):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield from _relative(path, node, modules)
        elif isinstance(node, ast.ImportFrom):
            _refuse_absolute(path, node.lineno, node.module or "", modules)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                _refuse_absolute(path, node.lineno, alias.name, modules)
        elif isinstance(node, ast.Name) and node.id == "__file__":
            raise UserError(
                "an entry cannot read files beside itself: no digest tells when they change, "
                "and a worker has the code alone",
                where=f"{path}:{node.lineno}",
                hint="name the file in the study, with a param declared by `data_path`",
            )


def _parsed(path: str, data: bytes) -> ast.Module:
    try:
        data.decode("utf-8")
        return ast.parse(data, path)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError("the file is not UTF-8 text", where=f"{path}:{line}") from None
    except SyntaxError as error:
        raise UserError(f"not Python: {error.msg}", where=f"{path}:{error.lineno or 1}") from None
    except (ValueError, RecursionError, MemoryError) as error:  # NUL bytes, or deep nesting
        raise UserError(f"not Python: {error}", where=f"{path}:1") from None


def _relative(path: str, node: ast.ImportFrom, modules: Mapping[str, bytes]) -> Iterator[str]:
    """Yield what `from .x import y` of a module needs."""
    folders = list(PurePosixPath(path).parents)
    if node.level > len(folders):
        raise UserError(
            "this imports from beyond the folder of entries", where=f"{path}:{node.lineno}"
        )
    base = _join(folders[node.level - 1], *(node.module or "").split("."))
    if node.module:
        is_package = _is_folder(base, modules)
        if f"{base}.py" in modules:
            yield f"{base}.py"
        elif not is_package:
            raise _no_module(path, node, base, modules)
        if not is_package:
            return
    init = _join(PurePosixPath(base), _INIT)
    if init in modules:
        yield init
    for alias in node.names:
        name = _join(PurePosixPath(base), alias.name)
        if f"{name}.py" in modules:
            yield f"{name}.py"
        elif _join(PurePosixPath(name), _INIT) in modules:
            yield _join(PurePosixPath(name), _INIT)
        elif init not in modules and f"{base}.py" not in modules:
            raise _no_module(path, node, name, modules)


def _no_module(
    path: str, node: ast.ImportFrom, wanted: str, modules: Mapping[str, bytes]
) -> UserError:
    return UserError(
        f"there is no own module {wanted}.py",
        where=f"{path}:{node.lineno}",
        allowed=[other for other in modules if other != path],
    )


def _refuse_absolute(path: str, line: int, name: str, modules: Mapping[str, bytes]) -> None:
    """Refuse `import spectra` of an own module: what it finds, no digest would hold."""
    first = name.partition(".")[0]
    depth = len(PurePosixPath(path).parents)
    beside = _join(PurePosixPath(path).parent, f"{first}.py") in modules
    if beside or f"{first}.py" in modules or _is_folder(first, modules):
        dots = "." * (1 if beside else depth)
        raise UserError(
            f"own modules are imported by their place: `import {name}` finds none",
            where=f"{path}:{line}",
            hint=f"from {dots}{name} import …"
            if "." in name or beside
            else f"from {dots} import {first}, or from {dots}{first} import …",
        )


def _is_folder(path: str, modules: Mapping[str, bytes]) -> bool:
    return any(other.startswith(f"{path}/") for other in modules) or path in ("", ".")


def _join(folder: PurePosixPath, *names: str) -> str:
    return folder.joinpath(*names).as_posix()


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds own modules among the sources that were read, and nowhere else."""

    codes: dict[str, OwnCode] = {}  # noqa: RUF012  (one for the process, as sys.modules is)
    _installed: "_Finder | None" = None

    @classmethod
    def install(cls) -> None:
        """Put the one finder of this process in force."""
        if cls._installed not in sys.meta_path or cls._installed is None:
            cls._installed = cls()
            sys.meta_path.append(cls._installed)

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        """Return the spec of an own module or of a folder of them."""
        if name == _PACKAGE or name in self.codes:
            return ModuleSpec(name, self, is_package=True)
        source = self._source(name)
        if source is None:
            return None
        file, code = source
        is_package = file.endswith(f"/{_INIT}") or file not in code.modules
        return ModuleSpec(name, self, origin=f"entries/{file}", is_package=is_package)

    def _source(self, name: str) -> tuple[str, OwnCode] | None:
        """Return path and code of a module: its file, its `__init__.py`, or its folder."""
        package, _, rest = name.partition(".")
        digest, _, inside = rest.partition(".")
        code = self.codes.get(f"{package}.{digest}") if package == _PACKAGE and inside else None
        if code is None:
            return None
        path = inside.replace(".", "/")
        for file in (f"{path}.py", f"{path}/{_INIT}"):
            if file in code.modules:
                return file, code
        return (path, code) if _is_folder(path, code.modules) else None

    def is_package(self, fullname: str) -> bool:
        """Tell whether a name is a folder."""
        spec = self.find_spec(fullname, None)
        return spec is not None and spec.submodule_search_locations is not None

    def get_source(self, fullname: str) -> str | None:
        """Return the text of a module, for tracebacks."""
        if fullname in self.codes and _INIT in self.codes[fullname].modules:
            return self.codes[fullname].modules[_INIT].decode()
        file, code = self._source(fullname) or ("", None)
        return code.modules[file].decode() if code and file in code.modules else None

    def exec_module(self, module: ModuleType) -> None:
        """Run a module's text; a folder without `__init__.py` has none."""
        source = self.get_source(module.__name__)
        if source is None:
            return
        spec = module.__spec__
        file = (spec and spec.origin) or f"entries/{_INIT}"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        exec(compile(source.encode(), file, "exec", dont_inherit=True), module.__dict__)
