"""Checks how the stages of a study depend on one another, and puts them in order.

Every stage must name a kind that exists, give that kind's inputs from stages of kinds it accepts,
and no stage may wait for itself.
"""

from graphlib import CycleError, TopologicalSorter

from cluster.errors import UserError, unknown_name
from jobs.kind import KINDS, Kind, Params
from orchestrator.study.study import Stage, Study


def ordered_stages(study: Study) -> list[tuple[Stage, Kind[Params]]]:
    """Return the stages, each after all it reads, with its kind. Raises UserError."""
    kinds = {
        name: KINDS.find(stage.kind, where=study.where("stages", name, "kind"))
        for name, stage in study.stages.items()
    }
    for stage in study.stages.values():
        _check_names(stage, study)
        _check_keep(stage, kinds[stage.name], study)
        if kinds[stage.name].GATHERS:
            _check_gathering(stage, kinds[stage.name], study)
        else:
            _check_inputs(stage, kinds[stage.name], study)
    return [(study.stages[name], kinds[name]) for name in _in_order(study)]


def _check_names(stage: Stage, study: Study) -> None:
    place = ("stages", stage.name)
    for name in stage.gather:
        if name not in study.stages:
            raise unknown_name("stage", name, study.stages, where=study.where(*place, "gather"))
    for name, source in stage.inputs.items():
        if source.stage not in study.stages:
            where = study.where(*place, "inputs", name)
            raise unknown_name("stage", source.stage, study.stages, where=where)


def _check_keep(stage: Stage, kind: Kind[Params], study: Study) -> None:
    if stage.keep == "until-read" and not kind.large_files:
        raise UserError(
            f"`keep: until-read` is for stages that leave models or activation stores; jobs of "
            f"kind {stage.kind!r} leave nothing large",
            where=study.where("stages", stage.name, "keep"),
            allowed=["always"],
        )


def _check_gathering(stage: Stage, kind: Kind[Params], study: Study) -> None:
    for unwanted in ("inputs", "over"):
        if getattr(stage, unwanted):
            raise UserError(
                f"the kind {stage.kind!r} gathers: it takes `gather` and `per`, not `{unwanted}`",
                where=study.where("stages", stage.name, unwanted),
            )
    if not stage.gather:
        raise UserError(
            f"the kind {stage.kind!r} gathers: name its stages with `gather: [...]`",
            where=study.where("stages", stage.name),
            allowed=[name for name in study.stages if name != stage.name],
        )
    accepted = kind.gathered_kinds()
    for name in stage.gather:
        given = study.stages[name].kind
        if given not in accepted:
            raise UserError(
                f"the kind {stage.kind!r} cannot gather jobs of kind {given!r} (stage {name!r})",
                where=study.where("stages", stage.name, "gather"),
                allowed=accepted,
                hint=_stages_of(accepted, study),
            )


def _check_inputs(stage: Stage, kind: Kind[Params], study: Study) -> None:
    place = ("stages", stage.name)
    for unwanted in ("gather", "per"):
        if getattr(stage, unwanted):
            raise UserError(
                f"the kind {stage.kind!r} takes `inputs`, not `{unwanted}`",
                where=study.where(*place, unwanted),
                allowed=kind.INPUTS,
            )
    for name, source in stage.inputs.items():
        where = study.where(*place, "inputs", name)
        if name not in kind.INPUTS:
            raise unknown_name(f"input of kind {stage.kind!r}", name, kind.INPUTS, where=where)
        given = study.stages[source.stage].kind
        if given not in kind.INPUTS[name].kinds:
            raise UserError(
                f"the input {name!r} of kind {stage.kind!r} cannot be a job of kind {given!r}",
                where=where,
                allowed=kind.INPUTS[name].kinds,
                hint=_stages_of(kind.INPUTS[name].kinds, study),
            )
    for name, declared in kind.INPUTS.items():
        if declared.required and name not in stage.inputs:
            raise missing_input(stage, name, declared.kinds, study)


def missing_input(stage: Stage, name: str, kinds: frozenset[str], study: Study) -> UserError:
    """Make the fault for a stage that lacks an input which its kind needs."""
    return UserError(
        f"the stage {stage.name!r} (kind {stage.kind!r}) needs the input {name!r}, "
        f"a job of kind {' or '.join(sorted(kinds))}",
        where=study.where("stages", stage.name, "inputs"),
        hint=_stages_of(kinds, study),
    )


def _stages_of(kinds: frozenset[str], study: Study) -> str:
    fitting = [name for name, stage in study.stages.items() if stage.kind in kinds]
    return f"stages of such a kind in this study: {', '.join(fitting) or 'none'}"


def _in_order(study: Study) -> list[str]:
    """List the stages, each after all it reads; otherwise in the file's order."""
    try:
        TopologicalSorter({name: stage.upstream for name, stage in study.stages.items()}).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        raise UserError(
            f"the stages form a cycle: {' -> '.join(cycle)}",
            where=study.where("stages", cycle[0]),
            hint="`a -> b` means: b takes a as an input",
        ) from None
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        if name not in ordered:
            for upstream in study.stages[name].upstream:
                visit(upstream)
            ordered[name] = None

    for name in study.stages:
        visit(name)
    return list(ordered)
