"""The roofline, and what passes count, held against figures worked out by hand."""

import pytest

from cluster.machine.accelerators import find_accelerator
from jobs.forecast.effort import KERNEL_S, MATRIX_SHARE, MEMORY_SHARE, Effort
from jobs.forecast.lengths import Lengths, pair_lengths, prompt_lengths
from jobs.forecast.passes import decoding, forward
from jobs.forecast.upstream_models import model_of_config
from jobs.kind import Upstream
from jobs.text.planned import Planned
from jobs.text.reading import Pair
from jobs.training.layout import Layout
from jobs.training.planning.footprint import Training
from jobs.training.planning.step_effort import pass_effort, step_effort
from tests.jobs.training.planning.published_configs import MISTRAL_7B

H100, H200 = find_accelerator("H100"), find_accelerator("H200")
MISTRAL = model_of_config(MISTRAL_7B)


def test_the_slower_of_operations_and_bytes_decides():
    flops = Effort(flops=1e15, operand_bytes=1e9)
    assert flops.seconds(H100, "bfloat16") == pytest.approx(1e15 / 989e12 / MATRIX_SHARE)
    assert flops.seconds(H100, "float32") > 10 * flops.seconds(H100, "bfloat16")
    read = Effort(flops=1e12, operand_bytes=1e12)
    assert read.seconds(H100, "bfloat16") == pytest.approx(1e12 / 3.35e12 / MEMORY_SHARE)
    assert read.seconds(H200, "bfloat16") < read.seconds(H100, "bfloat16")


def test_kernels_that_only_move_bytes_come_on_top_and_launches_bound_all():
    both = Effort(flops=1e15, moved_bytes=1e12)
    alone = Effort(flops=1e15).seconds(H100, "bfloat16")
    moved = Effort(moved_bytes=1e12).seconds(H100, "bfloat16")
    assert both.seconds(H100, "bfloat16") == pytest.approx(alone + moved)
    assert Effort(kernels=1e6).seconds(H100, "bfloat16") == pytest.approx(1e6 * KERNEL_S)
    assert Effort(stored_bytes=1e10).seconds(H100, "bfloat16") == pytest.approx(10)


def test_two_forwards_of_a_7b_pair_take_what_its_bytes_and_operations_say():
    """16,384 tokens: 0.457 PFLOP of products, 0.76 TB between them (worked out by hand)."""
    pair = forward(MISTRAL, dtype="bfloat16", tokens=16384, length=1024, passes=1, outputs=0).times(
        2
    )
    assert pair.flops == pytest.approx(0.457e15, rel=0.05)
    assert pair.moved_bytes == pytest.approx(0.76e12, rel=0.05)
    assert 0.7 < pair.seconds(H200, "bfloat16") < 1.0


def test_decoding_reads_the_weights_for_every_token():
    once = decoding(MISTRAL, dtype="bfloat16", prompts=8, length=16, new_tokens=1, budget=8192)
    more = decoding(MISTRAL, dtype="bfloat16", prompts=8, length=16, new_tokens=21, budget=8192)
    each = (more.operand_bytes - once.operand_bytes) / 20
    assert each == pytest.approx(2 * MISTRAL.num_parameters, rel=0.03)


def training(**changes):
    given = {
        "model": MISTRAL,
        "dtype": "bfloat16",
        "attention": "sdpa",
        "optimizer": "rmsprop",
        "decays": False,
        "sequence_length": 1024,
        "sequences_per_row": 2,
        "global_batch": 4,
    }
    return Training(**{**given, **changes})


def test_a_step_of_few_tokens_is_bound_by_the_bytes_of_weights_and_optimizer():
    """On four H100 with ZeRO 2 and one short row: some 0.3 s by bytes, a tenth by operations."""
    layout = Layout(
        engine="zero2", num_ranks=4, num_gpus=4, micro_batch=1, activation_checkpointing=True
    )
    effort = step_effort(training(), layout, 30)
    by_operations = effort.flops / H100.flops("bfloat16")
    assert effort.seconds(H100, "bfloat16") > 5 * by_operations
    assert 0.1 < effort.seconds(H100, "bfloat16") < 0.4


def test_logits_are_computed_twice_and_again_in_no_checkpoint():
    def counted(again, **changes):
        layout = Layout(
            engine="ddp", num_ranks=1, num_gpus=1, micro_batch=1, activation_checkpointing=again
        )
        return pass_effort(training(**changes), layout, 64).flops

    blocks = forward(MISTRAL, dtype="bfloat16", tokens=128, length=64, passes=1).flops
    head = 2 * 128 * MISTRAL.shape.vocab_size * MISTRAL.shape.d_model
    assert counted(again=False) == pytest.approx(3 * blocks + 4 * head)
    assert counted(again=True) == pytest.approx(4 * blocks + 4 * head)
    assert counted(again=False, adapter_rank=8) == pytest.approx(2 * blocks + 3 * head)


def test_what_ranks_send_grows_with_what_is_divided():
    def sent(engine, ranks=4):
        layout = Layout(engine=engine, num_ranks=ranks, num_gpus=ranks, micro_batch=1)
        return step_effort(training(global_batch=8), layout, 64).sent_bytes

    assert sent("ddp", 1) == 0
    gradients = 4 * MISTRAL.num_parameters * 3 / 4
    assert sent("ddp") == pytest.approx(2 * gradients)
    assert sent("zero2") == pytest.approx(3 * gradients)  # two passes of a rank a step
    assert sent("zero3") == pytest.approx(6 * gradients)


def test_rows_are_padded_to_the_longest_of_their_pass():
    lengths = Lengths(count=100, sample=(10, 20, 30, 40), whence="tokenised")
    assert lengths.padded(1) == pytest.approx(lengths.mean) == 25
    assert lengths.mean < lengths.padded(2) < lengths.padded(8) < 40
    assert lengths.cut(25).longest == 25 and lengths.cut(99) is lengths


def test_the_longest_text_is_sought_by_bytes_and_says_nothing_of_the_mean():
    def lengths(texts):
        pairs = [Pair(row=n, prompt="", chosen=text, rejected=text) for n, text in enumerate(texts)]
        return pair_lengths(Planned(params=str(texts), read=lambda: pairs), None, None, 4096)

    plain = lengths(["word " * 6] * 600)
    assert plain.longest == plain.mean == 10
    texts = ["word " * 6] * 600
    texts[301] = "\N{THINKING FACE}" * 60  # as many characters as two plain ones, 240 bytes
    texts[305] = "word " * 20  # more characters
    mixed = lengths(texts)
    assert mixed.longest == 80 and 240 <= mixed.limit < 256
    assert mixed.mean < 11 and mixed.cut(50).longest == 50


def test_lengths_are_those_of_the_data_that_are_here_and_else_a_bound():
    pairs = [Pair(row=1, prompt="You are", chosen=" kind", rejected=" not kind at all")] * 30
    here = Planned(params="here", read=lambda: pairs)
    known = pair_lengths(here, None, None, 256)
    assert known.count == 60 and known.longest < 12 and known.whence == "guessed from bytes"
    bound = pair_lengths(
        Planned(),
        Upstream(kind="pairs", params={"max_pairs": 5}, facts=None, files={}, inputs={}),
        None,
        256,
    )
    assert (bound.count, bound.longest, bound.whence) == (10, 256, "at most")
    assert pair_lengths(Planned(), None, None, 256) is None
    secret = Upstream(
        kind="prompts", params={"transform": "base64"}, facts=None, files={}, inputs={}
    )
    plain = Upstream(kind="prompts", params={"transform": "plain"}, facts=None, files={}, inputs={})
    line = {"prompt": 0, "group": 0, "segments": [{"role": "prompt", "text": "eW91IGFyZQ=="}]}
    read = Planned(params="line", read=lambda: [line])
    ciphered = prompt_lengths(read, secret, None, 256)
    assert ciphered.longest == 2 * prompt_lengths(read, plain, None, 256).longest
