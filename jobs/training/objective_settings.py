"""Hyper-parameters of an objective as a study gives them: judged, and defaults written out."""

from collections.abc import Mapping

from cluster.errors import UserError
from jobs import lookup


def settings_of(objective: str, given: Mapping[str, float | None]) -> Mapping[str, float]:
    """Every setting that the objective has, by name.

    Args:
        objective: its name.
        given: what the study says of each setting that some objective has; None where nothing.

    Raises:
        UserError: a value is given for a setting that the objective would ignore, or is 0 where
            the objective does not allow it.
    """
    declared = lookup.find("objectives", objective, where="objective").SETTINGS
    for name, value in given.items():
        if value is not None and name not in declared:
            raise _not_a_setting(objective, name, declared)
        if value == 0 and not declared[name].may_be_zero:
            raise UserError(f"{name} of objective {objective!r} must be above 0", where=name)
    return {
        name: setting.default if given[name] is None else float(given[name] or 0.0)
        for name, setting in declared.items()
    }


def _not_a_setting(objective: str, name: str, declared: Mapping[str, object]) -> UserError:
    having = [
        other
        for other in lookup.names("objectives")
        if name in lookup.find("objectives", other).SETTINGS
    ]
    return UserError(
        f"objective {objective!r} has no {name}: it would be ignored",
        where=name,
        allowed=declared,
        hint=f"leave {name} out, or null for this objective; these have it: {', '.join(having)}",
    )
