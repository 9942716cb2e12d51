"""The source files of packages: copied for processes elsewhere, and digested to tell them apart.

A checkout and an installed wheel give the same: modules and the few files beside them that they
read. Data, `.git`, secrets, and whatever else a folder may hold, stay where they are.
"""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.machinery import PathFinder
from importlib.util import cache_from_source, find_spec
from pathlib import Path

COMMIT = ".deltascale-commit"
"""File beside a kept copy that says what it is a copy of."""
_SUFFIXES = frozenset({".py", ".html", ".css", ".js"})
"""What modules are, and what they read beside them; a wheel holds the same."""


def package_files(packages: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Yield every source file of packages, sorted: its name below the package's folder, and path.

    Args:
        packages: names of importable packages; none of them is imported.

    Raises:
        ModuleNotFoundError: there is no such package.
    """
    for package in sorted(packages):
        top = _folder(package)
        for folder, below, files in os.walk(top):
            below[:] = sorted(name for name in below if _is_ours(name))
            for name in sorted(files):
                path = Path(folder, name)
                if _is_ours(name) and path.suffix in _SUFFIXES and not path.is_symlink():
                    yield f"{package}/{path.relative_to(top).as_posix()}", path


def copy_packages(packages: Sequence[str], into: Path, *, compiled: bool) -> None:
    """Copy the source files of packages below a folder.

    Args:
        packages: names of importable packages.
        into: the folder, which is there.
        compiled: whether what Python compiled of them goes along: right on this machine alone.
    """
    folders: set[Path] = set()
    for name, path in package_files(packages):
        copy = into / name
        if copy.parent not in folders:
            folders.add(copy.parent)
            (copy.parent / "__pycache__").mkdir(parents=True)
        copy.write_bytes(path.read_bytes())
        written = path.stat()
        os.utime(copy, ns=(written.st_atime_ns, written.st_mtime_ns))
        if compiled and path.suffix == ".py":
            _copy_compiled(path, copy)


def archive_packages(packages: Sequence[str], archive: Path) -> None:
    """Write the source files of packages into a zip archive: the same files give the same bytes.

    Args:
        packages: names of importable packages.
        archive: the file to write.
    """
    with zipfile.ZipFile(archive, "w") as file:
        for name, path in package_files(packages):
            member = zipfile.ZipInfo(name)  # of the earliest time that an archive can hold
            member.external_attr = 0o644 << 16
            file.writestr(member, path.read_bytes())


def keep_packages(packages: Sequence[str], place: Path, note: str) -> Path:
    """Copy packages into a folder named by their digest, once; return it.

    Args:
        packages: names of importable packages.
        place: where such folders are kept.
        note: what its file `.deltascale-commit` says.

    Raises:
        OSError: the place cannot be written.
    """
    kept = place / digest_packages(packages)[:16]
    if not kept.is_dir():
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place, prefix=".new-") as folder:
            whole = Path(folder, kept.name)
            whole.mkdir()
            copy_packages(packages, whole, compiled=False)
            (whole / COMMIT).write_text(f"{note}\n", encoding="utf-8")
            try:
                whole.rename(kept)
            except OSError:
                if not kept.is_dir():  # else another process was first
                    raise
    return kept


def digest_packages(packages: Sequence[str]) -> str:
    """Return the SHA-256 of the names and bytes of all source files, 64 hex digits."""
    digest = hashlib.sha256()
    for name, path in package_files(packages):
        data = path.read_bytes()
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def _folder(package: str) -> Path:
    """Return the folder of a package, where a search from the front of `sys.path` finds it."""
    spec = PathFinder.find_spec(package) or find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"there is no package {package!r}", name=package)
    return Path(next(iter(spec.submodule_search_locations)))


def _is_ours(name: str) -> bool:
    return not name.startswith(".") and name != "__pycache__"


def _copy_compiled(source: Path, copy: Path) -> None:
    """Copy what Python compiled; it knows its source by time and size, which the copy keeps."""
    with suppress(FileNotFoundError):
        data = Path(cache_from_source(str(source))).read_bytes()
        Path(cache_from_source(str(copy))).write_bytes(data)
