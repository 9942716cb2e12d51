"""`Footprint`: the memory one rank of a training run takes, in closed form from a model's sizes.

Imports no torch. What autograd keeps of a block is the family's own count (`Saved` there).
"""

from dataclasses import dataclass

from jobs.forecast.passes import uses_math_kernel
from jobs.models.family import attention_kernel
from jobs.models.sizes import ModelSizes
from jobs.training.engine import ENGINES, Held
from jobs.training.layout import Layout
from jobs.training.recipe import MOST_TOGETHER
from jobs.training.zero import BUCKET

SINGLE, HALF = 4, 2
"""Bytes of a float32 and of a bfloat16."""
_TILE_ROWS, _TILE_COLUMNS = 4096, 32768
"""Largest piece of the logits at a time: TRL 1.16 never holds them all."""
_TILES_ON_CPU = 7
"""float32 copies of a piece that the processor's code for it holds at once; a GPU's holds none."""
_NF4 = 0.53
"""Bytes of a weight in 4-bit NormalFloats whose scales are quantised again."""
_MOST_GATHERED = 10**9
"""Weights that zero3 has gathered at once, at most; see `jobs.training.zero`."""
_BLOCK_GRADIENTS = 0.5
"""Of what one block keeps: the gradients that its backward pass holds at a time."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """What decides memory beside the layout: none of it changes from rung to rung."""

    model: ModelSizes
    """What is trained."""
    dtype: str
    """Computed in; weights are float32 either way."""
    attention: str
    """The kernel asked for."""
    optimizer: str
    """`rmsprop` or `adamw`."""
    decays: bool
    """True where weights decay."""
    sequence_length: int
    """Tokens of the longest sequence."""
    sequences_per_row: int
    """2 for a pair, 1 where only one side is trained on."""
    global_batch: int
    """Rows per optimizer step."""
    adapter_rank: int | None = None
    """Rank of an adapter that is trained instead of the weights."""
    quantised: bool = False
    """True where the weights beside an adapter are held in 4 bits."""
    keeps_best: bool = False
    """True where the weights of the lowest validation loss are kept."""
    snapshot_bytes: float = 0.0
    """In host memory of the first rank for the models that are kept on the way."""

    @property
    def num_trained(self) -> int:
        """Number of weights with a gradient; an adapter's, beside all linear layers at most."""
        if self.adapter_rank is None:
            return self.model.num_parameters
        shape = self.model.shape
        query, key = shape.num_heads * shape.d_head, shape.num_key_value_heads * shape.d_head
        widths = 2 * (shape.d_model + query) + 2 * (shape.d_model + key)
        return shape.num_layers * self.adapter_rank * (widths + 3 * (shape.d_model + shape.d_mlp))

    @property
    def weight_bytes(self) -> float:
        """Bytes of all weights, an adapter's too."""
        model = self.model
        if self.adapter_rank is None:
            return SINGLE * model.num_parameters
        inside = (_NF4 if self.quantised else SINGLE) * model.num_inside
        outside = SINGLE * (model.num_parameters - model.num_inside)
        return inside + outside + SINGLE * self.num_trained


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Bytes on the device that computes, of one rank."""

    states: float
    """Weights, moments, and the gradients that stand while a batch is computed."""
    working: float
    """The rest of a forward and backward pass: activations, copies in 16 bits, pieces of logits."""
    step: float
    """All that is held in the optimizer's step, or in a validation."""
    moments: float
    """The part of `states` that the optimizer keeps, which comes with the first step."""
    host: float
    """In host memory beside a GPU: the snapshot for a checkpoint, what is offloaded, and what the
    first rank writes from there; the most at any time."""

    @property
    def peak(self) -> float:
        """The most at any time."""
        return max(self.states + self.working, self.step)


def footprint(training: Training, layout: Layout) -> Footprint:
    """Compute what one rank takes."""
    engine = ENGINES.find(layout.engine)
    ranks = {held: layout.num_ranks if held in engine.SHARDED else 1 for held in Held}
    # Engines that can move their optimizer to host memory are DeepSpeed's.
    trained, is_zero = SINGLE * training.num_trained, engine.CAN_OFFLOAD
    weights = training.weight_bytes / ranks[Held.WEIGHTS]
    # DeepSpeed steps on a copy of the rank's share of the weights, fp32 though they are already.
    master = trained / ranks[Held.MOMENTS] if is_zero else 0.0
    moments = trained * (2 if training.optimizer == "adamw" else 1) / ranks[Held.MOMENTS]
    gradients = trained / ranks[Held.GRADIENTS]
    sent = _sent(training, layout, is_zero)
    temporary = _temporary(training, layout, is_zero) / ranks[Held.MOMENTS]
    kept = _kept_aside(training, layout, is_zero)
    host = kept
    if layout.offload:
        host, moments, temporary = kept + moments + _offloaded(training, layout, master), 0.0, 0.0
        master = 0.0
        if Held.WEIGHTS in engine.SHARDED:
            host, weights = host + weights, 0.0
    host = max(host, _written_from_host(training, layout, Held.WEIGHTS in engine.SHARDED))
    if Held.WEIGHTS in engine.SHARDED:
        weights += min(training.weight_bytes, SINGLE * _MOST_GATHERED)
    fixed = weights + master + moments + (0.0 if layout.num_gpus else kept)
    working = _working(training, layout)
    standing, working = _with_gradients(training, layout, gradients + sent, working)
    return Footprint(
        states=fixed + standing,
        working=working,
        step=fixed + max(gradients + sent + temporary, _scoring(training, layout)),
        moments=moments,
        host=host,
    )


def _offloaded(training: Training, layout: Layout, master: float) -> float:
    """Return bytes in host memory in place of a rank's master weights.

    DeepSpeed keeps the weights, a buffer to send them from and their gradient there, each in one
    piece; and where passes are accumulated, their sum.
    """
    accumulates = layout.accumulation(training.global_batch) > 1
    return (4 if accumulates else 3) * master


def _kept_aside(training: Training, layout: Layout, is_zero: bool) -> float:
    """Return a rank's share of copies in host memory: for a checkpoint, and the best weights."""
    trained = SINGLE * training.num_trained
    copies = 1 + (2 if training.optimizer == "adamw" else 1)
    if is_zero:  # DeepSpeed's first rank writes all weights once more, beside everybody's shards
        copies += layout.num_nodes
    if training.keeps_best:  # those before may be on their way to disk
        copies += 2
    return (copies * trained + training.snapshot_bytes * layout.num_nodes) / layout.num_ranks


def _written_from_host(training: Training, layout: Layout, divided: bool) -> float:
    """Return a rank's share of what the first rank has in host memory, beside a GPU's.

    That is the whole model: a divided one as it is read and as it is put together in the end, or a
    base that an adapter is merged with. All other ranks read weights straight to their GPU.
    """
    if not divided and training.adapter_rank is None:
        return 0.0
    return SINGLE * training.model.num_parameters * layout.num_nodes / layout.num_ranks


def _with_gradients(
    training: Training, layout: Layout, gradients: float, working: float
) -> tuple[float, float]:
    """Return (gradients that are held all through a batch, the rest of it).

    With nothing accumulated and no rank to send to, gradients come while activations go.
    """
    if layout.num_ranks > 1 or layout.accumulation(training.global_batch) > 1:
        return gradients, working
    return 0.0, max(working, gradients + _block(training, layout))


def _sent(training: Training, layout: Layout, is_zero: bool) -> float:
    """Return bytes of buffers through which ranks exchange gradients."""
    trained = SINGLE * training.num_trained
    if is_zero:
        # One bucket is filled while another is sent.
        return min(2 * SINGLE * BUCKET, 2 * trained)
    return trained if layout.num_ranks > 1 else 0.0


def _scoring(training: Training, layout: Layout) -> float:
    """Return bytes of a validation: all logits, copies of one sequence's, and 16-bit weights.

    A validation takes both sides of as many pairs as a training pass; gradients are gone by then.
    """
    wide = SINGLE if training.dtype == "float32" else HALF
    logits = 2 * layout.micro_batch * training.sequence_length * training.model.shape.vocab_size
    copied = 2 * SINGLE * training.sequence_length * training.model.shape.vocab_size
    copies = 0.0 if training.dtype == "float32" else HALF * training.model.num_inside
    return wide * logits + copied + copies


def _temporary(training: Training, layout: Layout, is_zero: bool) -> float:
    """Return bytes of a step's temporaries: for the largest weight, or for all at once.

    A GPU steps on few weights at once; DeepSpeed's are all in one piece.
    """
    if training.optimizer == "adamw":
        return 0.0
    copies = 2 if training.decays else 1
    if is_zero or (layout.num_gpus and training.num_trained <= MOST_TOGETHER):
        return copies * SINGLE * training.num_trained
    shape = training.model.shape
    return copies * SINGLE * shape.d_model * max(shape.vocab_size, shape.d_mlp)


def _num_tokens(training: Training, layout: Layout) -> int:
    """Return tokens of a forward pass, padding included."""
    return layout.micro_batch * training.sequences_per_row * training.sequence_length


def _block(training: Training, layout: Layout) -> float:
    """Return bytes that autograd keeps of one block."""
    model, shape = training.model, training.model.shape
    saved = model.saved(training.dtype)
    per_token = (
        saved.stream * shape.d_model
        + saved.queries * shape.num_heads * shape.d_head
        + saved.key_values * shape.num_key_value_heads * shape.d_head
        + saved.neurons * shape.d_mlp
    )
    kernel = attention_kernel({"family": model.family}, training.attention)
    if kernel == "eager" or (layout.num_gpus and uses_math_kernel(model, training.dtype, kernel)):
        per_token += saved.scores * shape.num_heads * training.sequence_length
    return _num_tokens(training, layout) * per_token


def _working(training: Training, layout: Layout) -> float:
    """Return bytes of activations, 16-bit copies of the weights, pieces of the logits."""
    model, shape = training.model, training.model.shape
    tokens, block = _num_tokens(training, layout), _block(training, layout)
    copies = 0.0 if training.dtype == "float32" else HALF * model.num_inside
    around = tokens * shape.d_model * 3 * SINGLE + _head(training, layout)
    if not layout.activation_checkpointing:
        return copies + shape.num_layers * block + _BLOCK_GRADIENTS * block + around
    kept = shape.num_layers * tokens * shape.d_model * SINGLE
    backward = (1 + _BLOCK_GRADIENTS) * block + copies / shape.num_layers
    # Autocast keeps its copies to the end of the forward pass; the backward makes a block's again.
    return kept + around + max(copies, backward)


def _head(training: Training, layout: Layout) -> float:
    """Return bytes of the unembedding: a piece of the logits, the gradient, what enters it."""
    shape, tokens = training.model.shape, _num_tokens(training, layout)
    wide = SINGLE if training.dtype == "float32" else HALF
    columns = min(shape.vocab_size, _TILE_COLUMNS)
    piece = min(tokens, _TILE_ROWS) * columns
    tiles = piece * (wide if layout.num_gpus else wide + _TILES_ON_CPU * SINGLE)
    cast = columns * shape.d_model * wide if training.dtype != "float32" else 0
    accumulates = layout.accumulation(training.global_batch) > 1
    trained = training.adapter_rank is None and (shape.tie or accumulates)
    gradient = SINGLE * shape.vocab_size * shape.d_model if trained else 0
    return tiles + cast + gradient + tokens * shape.d_model * SINGLE


def flops_per_row(training: Training) -> float:
    """Count operations of training on one row, nothing computed twice: 6 per weight and token."""
    model, shape = training.model, training.model.shape
    tokens = training.sequences_per_row * training.sequence_length
    weights = model.num_inside + shape.vocab_size * shape.d_model
    attended = shape.num_layers * shape.num_heads * shape.d_head * training.sequence_length
    forward = 2 * weights + 2 * attended
    backward = 2 if training.adapter_rank is None else 1
    return float(tokens * forward * (1 + backward))
