"""Which variables of the environment may be why a library cannot be imported?

Libraries read numbers and switches out of the environment as they are imported, and raise a plain
ValueError for what they cannot read, mostly without the variable's name. Names are told by how they
begin, which is the library's own name or one of few others; no list of variables is kept here.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType

from cluster.errors import DeltascaleError
from cluster.machine.left_over_variables import OPTIMIZE
from cluster.redaction.secret_names import is_secret_name

_ALSO: Mapping[str, tuple[str, ...]] = {
    "accelerate": ("FSDP_",),
    "bitsandbytes": ("BNB_",),
    "datasets": ("HF_",),
    "deepspeed": ("DS_",),
    "huggingface_hub": ("HF_",),
    "matplotlib": ("MPL",),
    "torch": ("TORCH", "PYTORCH_"),
    "transformers": ("HF_", "USE_"),
}
"""Library -> how its variables begin that do not begin with its own name."""
_OURS = frozenset({"analysis", "cluster", "jobs", "orchestrator", "__main__"})
_OF_VALUES = (ValueError, KeyError)
"""Errors that say what a value is that cannot be read; others, of any version clash, say paths."""
_SHORTEST_WORD = 3
"""Characters of a value that is looked for among the words of a message; shorter ones are looked
for in quotes."""


@dataclass(frozen=True, kw_only=True)
class ImportFault:
    """An error that came up while a library was imported."""

    library: str
    """The innermost package."""
    variables: tuple[str, ...]
    """Names of the variables of that library, and of those that import it, that are set."""
    is_certain: bool
    """Whether the error names them, or what they are set to."""

    def __str__(self) -> str:
        names = ", ".join(self.variables)
        if self.is_certain:
            return f"{self.library} cannot be imported with what the environment says in {names}"
        return f"as {self.library} was imported, of whose variables these are set: {names}"


def import_fault(error: BaseException, environment: Mapping[str, str]) -> ImportFault | None:
    """Return what is known where an error came from the import of a library.

    Args:
        error: the error.
        environment: name -> value.

    Returns:
        None where nothing was being imported, or no variable of that library is set.
    """
    if isinstance(error, DeltascaleError | OSError | MemoryError):
        return None
    link: BaseException | None = error
    while link is not None:
        libraries = list(dict.fromkeys(_imported(link.__traceback__)))
        if libraries:
            return _fault(libraries, error, str(error) + str(link), environment)
        link = link.__cause__ or link.__context__
    return None


def _fault(
    libraries: list[str], error: BaseException, message: str, environment: Mapping[str, str]
) -> ImportFault | None:
    prefixes = tuple(
        prefix
        for library in libraries
        for prefix in (f"{library.upper()}_", *_ALSO.get(library, ()))
    )
    names = sorted(
        name for name in environment if name.startswith(prefixes) and not is_secret_name(name)
    )
    certain = [
        name
        for name in names
        if re.search(rf"\b{re.escape(name)}\b", message)
        or (isinstance(error, _OF_VALUES) and _is_told(environment[name], message))
    ]
    names = [name for name in names if environment[name]]  # most read an empty one as none
    if not certain and sys.flags.optimize > 1:
        names.append(OPTIMIZE)
    if not certain and not names:
        return None
    return ImportFault(
        library=libraries[-1], variables=tuple(certain or names), is_certain=bool(certain)
    )


def _is_told(value: str, message: str) -> bool:
    if f"'{value}'" in message or f'"{value}"' in message:
        return True
    if not value.strip():
        return False
    word = rf"(?<!\w){re.escape(value)}(?!\w)"
    return len(value) >= _SHORTEST_WORD and re.search(word, message) is not None


def _imported(traceback: TracebackType | None) -> Iterator[str]:
    """Yield the libraries that were at work since the first one was imported, the innermost last.

    Code of a module itself runs while that is imported.
    """
    is_importing = False
    while traceback is not None:
        frame = traceback.tb_frame
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        is_library = package not in _OURS and package not in sys.stdlib_module_names
        if is_library and frame.f_code.co_name == "<module>":
            is_importing = True
        if is_library and is_importing:
            yield package
        traceback = traceback.tb_next
