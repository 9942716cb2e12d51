"""Where a planned extraction will have rows, as far as params say, and whether that is enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cluster.errors import UserError
from jobs.forecast.upstream_models import config_of
from jobs.kind import Upstream
from jobs.models.family import Missing, family_of_config
from jobs.tokens.position_policy import DEFAULT, Policy, expanded


def planned_positions(own: Sequence[Policy] | None, prompts: Upstream | None) -> Sequence[Policy]:
    """Return the positions of an extraction: those of its params, else of its prompts."""
    of_prompts = None if prompts is None else prompts.params.get("positions")
    return expanded(own or of_prompts or DEFAULT)


def positions_of(delta: Upstream) -> Sequence[Policy]:
    """Return the positions of an extraction that another job reads."""
    return planned_positions(delta.params.get("positions"), delta.inputs.get("prompts"))


def require_place(
    inputs: Mapping[str, Upstream], names: Sequence[str], site: str, position: Policy
) -> None:
    """Refuse a place that an extraction will have no rows at.

    Args:
        inputs: what the plan knows of the inputs that the stage gives.
        names: those that are extractions and are read there.
        site: where in a block.
        position: at which tokens.

    Raises:
        UserError: one of them is of other sites or positions.
    """
    for name in names:
        if name in inputs:
            delta = inputs[name]
            _require_one("site", site, delta.params.get("sites") or (site,), name)
            _require_one("position", position, positions_of(delta), name)


def require_site(model: Upstream | None, site: str) -> None:
    """Refuse a model that has no such site, as far as its config is known.

    Raises:
        UserError: the family lacks it.
    """
    config = config_of(model)
    tap = None if config is None else family_of_config(config).sites(config)[site]
    if isinstance(tap, Missing):
        raise UserError(
            f"there is no {site} in it: {tap.reason}",
            where="input model",
            hint="leave this model out of the stage (`where`), and out of those that read it",
        )


def _require_one(what: str, wanted: str, kept: Sequence[str], name: str) -> None:
    if wanted not in kept:
        raise UserError(
            f"the extraction under {name!r} has no rows at {what} {wanted!r}, where this reads it",
            where=what,
            allowed=kept,
        )
