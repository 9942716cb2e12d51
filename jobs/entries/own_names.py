"""Has every own entry a name of its own? None may stand in the place of one of the package's.

Values of metrics are known in tables by their names alone, so a metric has no name that any other
measurement has.
"""

from collections.abc import Iterable

from cluster.errors import UserError
from jobs.entries.rooms import door_of, package_of
from jobs.kind import KINDS

_METRICS = ("metrics", "weight_metrics")


def require_own_names(codes: Iterable[str], folder: str) -> None:
    """Refuse an entry with a name that is taken.

    Args:
        codes: path of each entry, such as `metrics/spread.py`.
        folder: the folder of entries, in messages.

    Raises:
        UserError: the name is the package's, or that of another measurement; with both places.
    """
    paths = list(codes)
    for path in paths:
        room, _, file = path.partition("/")
        stem, door = file.removesuffix(".py"), door_of(room)
        name = stem.replace("_", door.separator)
        if name in door.package_names():
            raise _taken(
                f"the {door.what} {name!r} is the package's, and an own entry may not stand in its "
                "place",
                f"{folder}/{path}, and {package_of(room).replace('.', '/')}/{file} of the package",
                stem,
            )
        if room in _METRICS:
            _require_name_of_value(stem, f"{folder}/{path}", {*paths} - {path}, folder)


def _require_name_of_value(stem: str, place: str, others: set[str], folder: str) -> None:
    what = f"an own metric cannot be called {stem!r}: tables know a measurement by its name"
    for room in _METRICS:
        if f"{room}/{stem}.py" in others:
            raise _taken(what, f"{place}, and {folder}/{room}/{stem}.py", stem)
    for kind in KINDS.package_names():
        if stem in KINDS.find(kind).MEASURES:
            file = kind.replace("-", "_")
            raise _taken(what, f"{place}, and jobs/kinds/{file}.py, which measures it", stem)


def _taken(error: str, where: str, stem: str) -> UserError:
    hint = f"call the file something else, such as my_{stem}.py"
    return UserError(error, where=where, hint=hint)
