"""Kind `reference`: what the base gives every pair, once for all objectives, betas and seeds."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from cluster.resources import Resources
from jobs.kind import Fit, Input, Upstream, execution
from jobs.kind import Params as KindParams
from jobs.worker.work import Stopped, Work

VERSION = 2
INPUTS: Mapping[str, Input] = {
    "model": Input(kinds=frozenset({"pretrained", "pretrain", "align", "adapter"})),
    "pairs": Input(kinds=frozenset({"pairs", "generated-pairs"})),
}
GATHERS = False
USES_TORCH = True


class Params(KindParams):
    """How to score. Must agree with the `align` jobs that read it, in all but execution."""

    max_length: int | None = Field(
        None,
        ge=2,
        description="Longest prompt with completion, in tokens; longer ones are cut. "
        "Null: the model's positions.",
    )
    template: Literal["none", "chat"] = Field(
        "none",
        description="`chat`: pairs stand in the model's chat template, the prompt as what the user "
        "says.",
    )
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="Computed in; the weights are fp32 either way."
    )
    attention: Literal["sdpa", "eager"] = Field("sdpa", description="Attention kernel.")
    micro_batch: int | None = execution(
        None, "Sequences per forward pass. Null: chosen by what fits, or 16.", ge=1
    )
    num_cpus: float = execution(1, "Processor cores.", gt=0)
    num_gpus: float | None = execution(
        None,
        "GPUs; 0 computes on the processor, several hold one model together. Null: as few of one "
        "node's as hold it; none where there are none.",
        ge=0,
    )
    memory_gb: float = execution(0, "Host memory to set aside, in 10^9 bytes; 0: none.", ge=0)


def uses(params: Params) -> frozenset[str]:
    """Both."""
    return frozenset(INPUTS)


def pins(params: Params, known: Mapping[str, str]) -> Mapping[str, str]:
    """It reads nothing from outside."""
    return {}


def resources(params: Params) -> Resources:
    """As the params say."""
    return Resources(
        num_cpus=params.num_cpus, num_gpus=params.num_gpus or 0, memory_gb=params.memory_gb
    )


def fit(
    params: Params,
    inputs: Mapping[str, Upstream],
    machines: Sequence[Resources],
    tried: Sequence[Mapping[str, Any]],
    done: Sequence[Mapping[str, Any]],
) -> Fit:
    """GPUs and rows at a time, from the model's config and the machines."""
    from jobs.training.planning.scoring import fit_scoring

    return fit_scoring(params, inputs, machines, tried)


def run(work: Work) -> dict[str, Any]:
    """Write `reference.parquet`: sums of log-probability over the tokens of both completions."""
    from jobs.training.memory import out_of_memory_is_ours

    with out_of_memory_is_ours("scoring pairs"):
        return _scored(work)


def _scored(work: Work) -> dict[str, Any]:
    import pyarrow
    import pyarrow.parquet as parquet

    from jobs.models.loading import load_model, load_tokenizer
    from jobs.models.spreading import place_of
    from jobs.training.alignment import length_limit
    from jobs.training.chat_pairs import template_digest, template_for
    from jobs.training.reference_scores import CHUNK, scored_in_chunks
    from jobs.training.tokenized_pairs import read_tokenized_pairs, tokens_digest
    from jobs.worker.chunks import Chunks

    params: Params = work.params
    work.progress(None, "loading")
    folder = work.input("model").directory("model")
    place = place_of(folder, params.num_gpus or 0)
    model = load_model(folder, dtype="float32", device=place, attention=params.attention)
    max_length = length_limit(model.config, params.max_length)
    path = work.input("pairs").path("pairs.parquet")
    tokenizer = load_tokenizer(folder)
    template = template_for(params.template, tokenizer, work.input("model"))
    pairs = read_tokenized_pairs(path, tokenizer, max_length, template)
    digest = tokens_digest(pairs)

    def after_batch(done: int) -> None:
        if work.stop_requested:
            raise Stopped
        work.progress(done / (2 * len(pairs)), f"{done // 2} of {len(pairs)} pairs")

    chunks = Chunks(work.attempt, f"{digest} {CHUNK}")
    scored, batch_size = scored_in_chunks(
        model,
        pairs,
        chunks,
        batch_size=params.micro_batch or 16,
        dtype=params.dtype,
        after_batch=after_batch,
    )
    columns = {
        "pair": pyarrow.array([pair.pair for pair in pairs], pyarrow.int64()),
        "ref_chosen_logps": pyarrow.array(scored.chosen, pyarrow.float64()),
        "ref_rejected_logps": pyarrow.array(scored.rejected, pyarrow.float64()),
    }
    parquet.write_table(pyarrow.table(columns), work.folder / "reference.parquet")
    return {
        "num_pairs": len(pairs),
        "num_truncated": sum(pair.truncated for pair in pairs),
        "max_length": max_length,
        "tokens_digest": digest,
        "template": params.template,
        "template_digest": template_digest(template),
        "dtype": params.dtype,
        "attention": params.attention,
        "weights": work.input("model").key,
        "micro_batch": batch_size,
        "chunks_taken_over": chunks.num_taken_over,
    }
