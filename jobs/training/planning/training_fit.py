"""How a training job is to lie on the machines at hand, from its model's config alone."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from cluster.machine.resources import Resources
from jobs.forecast.lengths import Lengths, pair_lengths
from jobs.forecast.upstream_models import config_of
from jobs.kind import Fit, Situation, Upstream
from jobs.models.sizes import ModelSizes
from jobs.text.planned import Planned
from jobs.text.reading import Pair
from jobs.training.align_params import Params
from jobs.training.layout import Layout
from jobs.training.objective import OBJECTIVES
from jobs.training.planning.correction import memory_facts
from jobs.training.planning.expectation import Expected, forbidden, with_layout
from jobs.training.planning.footprint import Training
from jobs.training.planning.ladder import rungs
from jobs.training.planning.placement import described, have_gpus, lacking
from jobs.training.planning.snapshot_costs import host_bytes
from jobs.training.reference_params import Params as ReferenceParams

_MOST_ALIKE = 1024
"""Equal nodes, or GPUs of one node, that a layout is looked for on."""
UNKNOWN_LENGTH = 1024
"""Tokens of the longest sequence, where no length is given and the model has more positions."""


def fit_training(params: Params, at: Situation, planned: Planned[Pair] | None = None) -> Fit:
    """Choose the first rung of the ladder that is expected to fit, after those that did not.

    Args:
        params: of the job.
        at: what else decides.
        planned: the pairs, where a source of data has them.
    """
    before = [Layout(**execution) for execution in at.tried]
    machines = _that_matter(at.machines, params.global_batch)
    layouts = list(_ladder(params, machines, before))
    config = config_of(at.inputs.get("model"))
    if config is None:
        return _unknown(params, layouts, machines)
    model = ModelSizes.of(config)
    longest, lengths = sequence_lengths(params, at, planned, model.shape.max_positions)
    training = training_with(params, model, longest)
    expected = Expected(
        params=params,
        training=training,
        num_steps=_num_steps(params, at.inputs, lengths),
        machines=machines,
        tried=before,
        done=memory_facts(at.done),
        lengths=lengths,
        calibration=at.calibration,
    )
    # Host memory is slow: at first it is for what no GPUs at hand hold. After a failure the ladder
    # decides, and it would rather wait for a step than for more GPUs.
    in_order = layouts if before else sorted(layouts, key=lambda layout: layout.offload)
    for layout in in_order:
        if expected.holds(layout, machines) and not forbidden(params, layout):
            return expected.fit(layout)
    return _refuse(params, expected, layouts, machines)


def _that_matter(machines: Sequence[Resources], global_batch: int) -> list[Resources]:
    """Leave out nodes that no layout has use for: of equal ones, more than there are rows."""
    most = min(global_batch, _MOST_ALIKE)
    return [node for node, number in Counter(machines).items() for _ in range(min(number, most))]


def training_with(params: Params, model: ModelSizes, sequence_length: int) -> Training:
    """Return what decides the job's memory, for a model and a length that are known."""
    lora = params.lora
    training = Training(
        model=model,
        dtype=params.dtype,
        attention=params.attention,
        optimizer=params.optimizer,
        decays=params.weight_decay > 0,
        sequence_length=sequence_length,
        sequences_per_row=OBJECTIVES.find(params.objective).SEQUENCES_PER_ROW,
        global_batch=params.global_batch,
        adapter_rank=None if lora is None else lora.rank,
        quantised=lora is not None and lora.quantised is not None,
        keeps_best=params.early_stopping is not None,
    )
    return replace(training, snapshot_bytes=host_bytes(params, training))


def _num_steps(
    params: Params, inputs: Mapping[str, Upstream], lengths: Lengths | None
) -> int | None:
    if params.steps is not None:
        return int(params.steps)
    facts = inputs["pairs"].facts if "pairs" in inputs else None
    if facts is None and lengths is not None:  # two sequences a pair; what is held out is not known
        facts = {"num_pairs": lengths.count // 2}
    if facts is None or "num_pairs" not in facts:
        return None
    held_out = facts.get("num_validation", 0) + facts.get("num_test", 0)
    rows = float(params.epochs or 1.0) * int(facts["num_pairs"] - held_out)
    return max(1, round(rows / int(params.global_batch)))


def sequence_lengths(
    params: Params | ReferenceParams, at: Situation, planned: Planned[Pair] | None, positions: int
) -> tuple[int, Lengths | None]:
    """Return (tokens that memory is planned for, lengths of the sequences that hours are of).

    Memory is for the most tokens that a sequence may have: the longest of a sample is no bound.
    That is `max_length`, or what the reference had, and never more than the bytes of the texts that
    are here. Where no length is given it is the longest of the sample, and no less than a guess.

    Args:
        params: of the job.
        at: what else decides.
        planned: the pairs, where a source of data has them.
        positions: of the model.
    """
    reference = at.inputs.get("reference")
    given = params.max_length or (reference and (reference.facts or {}).get("max_length"))
    most = min(positions, int(given or positions))
    lengths = pair_lengths(
        planned or Planned(), at.inputs.get("pairs"), at.inputs.get("model"), most
    )
    if not given:
        is_sampled = lengths is not None and lengths.whence != "at most"
        # One token more where answers end with an end of text.
        sampled = lengths.longest + 1 if is_sampled and lengths is not None else 0
        most = min(positions, max(UNKNOWN_LENGTH, sampled))
    if lengths is None:
        return most, None
    if lengths.limit is not None and params.template == "none":
        most = min(most, lengths.limit)
    return most, lengths.cut(most)


def _ladder(
    params: Params, machines: Sequence[Resources], before: Sequence[Layout]
) -> Iterable[Layout]:
    """Return the rungs after the last one that was tried."""
    layouts = list(rungs(params, machines))
    last = max((layouts.index(layout) for layout in before if layout in layouts), default=-1)
    return [layout for layout in layouts[last + 1 :] if layout not in before]


def _unknown(params: Params, layouts: Sequence[Layout], machines: Sequence[Resources]) -> Fit:
    """Choose the first rung: nothing says yet which model it is."""
    why = "the model's sizes are not known yet"
    held = [layout for layout in layouts if not machines or have_gpus(layout, machines)]
    allowed = [layout for layout in held if not forbidden(params, layout)]
    if allowed:
        first = allowed[0]
        return Fit(
            resources=with_layout(params, first).resources(),
            execution=first.execution,
            why=f"{described(first)}: {why}",
        )
    return Fit(
        resources=params.resources(),
        execution={},
        why=why,
        refusal=_exhausted(params, held) if held else lacking(params.layout(), machines, None),
    )


def _refuse(
    params: Params, expected: Expected, layouts: Sequence[Layout], machines: Sequence[Resources]
) -> Fit:
    """Refuse: say what would fit, had a node more GPUs; else what is needed of one at least."""
    wanted = _with_more_gpus(params, expected, machines) or _smallest(expected, layouts)
    if wanted is None:
        why = _exhausted(params, layouts)
        return Fit(resources=params.resources(), execution={}, why=why, refusal=why)
    peak_gb = round(expected.peak_gb(wanted), 3)
    return Fit(
        resources=expected.resources(wanted),
        execution={},
        peak_memory_gb=peak_gb,
        why=described(wanted),
        refusal=lacking(wanted, machines, peak_gb),
    )


def _exhausted(params: Params, layouts: Sequence[Layout]) -> str:
    """Say why none is left: what the params forbid of the first, or that all were tried."""
    forbidding = forbidden(params, layouts[0]) if layouts else None
    return forbidding or "every layout was tried and ran out of memory"


def _with_more_gpus(
    params: Params, expected: Expected, machines: Sequence[Resources]
) -> Layout | None:
    """Return the first rung that would fit if the largest node had a GPU for each row.

    Or as many as a node may ever have, where there are more rows.
    """
    largest = max(machines, key=lambda node: node.num_gpus, default=None)
    if largest is None or not largest.num_gpus:
        return None
    wide = [replace(largest, num_gpus=min(params.global_batch, _MOST_ALIKE))]
    for layout in _ladder(params, wide, ()):
        if (
            layout.num_gpus > largest.num_gpus
            and expected.holds(layout, wide)
            and not forbidden(params, layout)
        ):
            return layout
    return None


def _smallest(expected: Expected, layouts: Sequence[Layout]) -> Layout | None:
    """Return the rung that takes the least memory; the last of several."""
    allowed = [layout for layout in layouts if not forbidden(expected.params, layout)]
    return min(reversed(allowed), key=expected.peak_gb, default=None)
