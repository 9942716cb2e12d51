"""What a reference and the job that reads it must have in common, at planning and in the job."""

from collections.abc import Mapping, Sequence

from cluster.errors import UserError
from jobs.kind import Upstream
from jobs.training.reference_params import PairScoringParams

AGREED = ("dtype", "attention", "template", "end_of_text")
"""Params that both must have alike."""
_INPUT = "reference"
_OF_TOKENS = frozenset({"template", "end_of_text"})


def require_agreement(params: PairScoringParams, there: Mapping[str, object]) -> None:
    """Require that a reference is computed as the job that reads it computes.

    Args:
        params: of the job that reads it.
        there: params of the reference, or the facts in its record.

    Raises:
        UserError: one of them differs.
    """
    for name in AGREED:
        here, of_reference = getattr(params, name), there.get(name, False)  # end_of_text was added
        if here != of_reference:
            why = "they see other tokens" if name in _OF_TOKENS else "a model differs by rounding"
            raise UserError(
                f"the reference was computed with {name} {of_reference!r}, this job has {here!r}",
                where=f"input {_INPUT}",
                hint=f"give both stages the same {name}: else {why}, and margins start away "
                "from zero",
            )


def notes_on_reference(params: PairScoringParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
    """Say where a reference may see other tokens than the job, which would then refuse it.

    Raises:
        UserError: it is surely computed in another way.
    """
    reference, pairs = inputs.get(_INPUT), inputs.get("pairs")
    if reference is None:
        return ()
    require_agreement(params, reference.params)
    notes, length = [], reference.params.get("max_length")
    if length != params.max_length:
        notes.append(
            f"max_length is {params.max_length or 'the positions of the model'} here and "
            f"{length or 'the positions of the model'} on the reference, which is refused where "
            "that cuts a pair to other tokens"
        )
    scored = reference.inputs.get("pairs")
    if scored and pairs and (scored.kind, scored.params) != (pairs.kind, pairs.params):
        notes.append(
            "the reference scores pairs of another stage, and is refused where these are not the "
            "same"
        )
    return notes
