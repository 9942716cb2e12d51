"""`View`: which measurements a comparison shows, and how it lays them out."""

import re
from collections.abc import Mapping, Sequence

from pydantic import Field, field_validator

from analysis.contrasts.contrast import split_contrast
from analysis.dose.doses import SCALES, STEP_AT_DOSE, Dose
from analysis.tables.reference import REFERENCES
from cluster.errors import UserError, unknown_name
from jobs.comparing.measuring_kinds import value_names
from jobs.models.family import SITES
from jobs.params import Params, added
from jobs.tokens.position_policy import NAMED


class View(Params):
    """Params of the kind `compare`; options of the verb `compare` override single ones."""

    title: str = Field("Comparison across model sizes", description="heading of the table")
    rows: Sequence[str] = Field(("model",), description="axes down the side")
    columns: Sequence[str] | None = Field(
        None, description="axes across, under the metric; null = every other axis that varies"
    )
    metrics: Sequence[str] | None = Field(
        None,
        description="metrics shown, in this order, where measured; null = the headline one of each",
    )
    where: Mapping[str, Sequence[str] | str] = Field(
        {}, description="axis -> values shown; numbers without the axis are kept"
    )
    seeds: str | None = Field("seed", description="axis that is averaged over")
    site: str | None = Field(None, description="site shown; null = resid_mid where it was measured")
    position: str | None = Field(
        None, description="position policy shown; null = last where it was measured"
    )
    depth: float = Field(0.75, ge=0, le=1, description="relative depth shown")
    controls: bool = Field(
        False, description="show interval, noise floor and null bands beside each value"
    )
    at: Mapping[str, float | Sequence[float]] | None = added(
        None,
        "dose -> value, or values, at which every number is read in place of the snapshots: kl, "
        "margin, margin_per_token (nats), toxic_mass_fall",
    )
    references: Sequence[str] = Field(
        (), description="published numbers shown below, such as lee2024; they enter no fit"
    )
    figures: bool = Field(True, description="draw the figures too")
    contrasts: Sequence[str] = added(
        (),
        "differences shown and judged together, each `axis=first-second`, such as "
        "`objective=dpo-sft`; those said here are one family",
    )

    @field_validator("metrics")
    @classmethod
    def _check_metrics(cls, metrics: Sequence[str] | None) -> Sequence[str] | None:
        """Refuse an unknown name before anything runs; a metric reports `NAME` and `NAME_…`."""
        values = [*value_names(), STEP_AT_DOSE]
        for name in metrics or ():
            if not any(name == value or name.startswith(f"{value}_") for value in values):
                raise unknown_name("metric", name, values)
        return metrics

    @field_validator("site")
    @classmethod
    def _check_site(cls, site: str | None) -> str | None:
        if site is not None and site not in SITES:
            raise unknown_name("site", site, SITES)
        return site

    @field_validator("position")
    @classmethod
    def _check_position(cls, position: str | None) -> str | None:
        """Check that it is a policy, or a numbered place: `turn-2`, `output-1`, `response-0`."""
        if position is not None:
            numbered = re.fullmatch(r"(turn|output|response)-[0-9]+", position)
            if numbered is None and position not in NAMED:
                raise unknown_name(
                    "position", position, [*NAMED, "turn-1", "output-1", "response-0"]
                )
        return position

    @field_validator("at")
    @classmethod
    def _check_doses(
        cls, at: Mapping[str, float | Sequence[float]] | None
    ) -> Mapping[str, float | Sequence[float]] | None:
        for name, values in (at or {}).items():
            if name not in SCALES:
                raise _unknown_dose(name)
            if not _listed(values):
                raise ValueError(f"dose {name}: give a value, or leave the name out")
            for value in _listed(values):
                Dose.named(name, value)
        return at

    @field_validator("contrasts")
    @classmethod
    def _check_contrasts(cls, contrasts: Sequence[str]) -> Sequence[str]:
        for text in contrasts:
            split_contrast(text)
        return contrasts

    @field_validator("references")
    @classmethod
    def _check_references(cls, references: Sequence[str]) -> Sequence[str]:
        for name in references:
            if name not in REFERENCES.names():
                raise unknown_name("reference", name, REFERENCES.names())
        return references

    @property
    def doses(self) -> list[Dose]:
        """The doses at which numbers are read; none: they are shown at the snapshots."""
        named = (self.at or {}).items()
        doses = (Dose.named(name, value) for name, values in named for value in _listed(values))
        return list(dict.fromkeys(doses))

    def filters(self) -> dict[str, list[str]]:
        """Return `where` with every value a list."""
        return {
            axis: [values] if isinstance(values, str) else list(values)
            for axis, values in self.where.items()
        }


def _unknown_dose(name: str) -> UserError:
    """Make the fault for a dose that does not exist; one named by its value is told its name."""
    meant = next((dose for dose, scale in SCALES.items() if scale.metric == name), None)
    hint = f"did you mean {meant!r}, which is read from {name}?" if meant else None
    fault = unknown_name("dose", name, SCALES)
    return fault.at(None, hint=hint)


def _listed(values: float | Sequence[float]) -> Sequence[float]:
    return [values] if isinstance(values, int | float) else values
