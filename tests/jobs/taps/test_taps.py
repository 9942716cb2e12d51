"""Reading sites of a stock model: what is read, what is left behind, and where it stops."""

import pytest
import torch

from jobs.taps.taps import StopForward, blocks_of, read_sites

IDS = torch.tensor([[2, 3, 4, 5], [6, 7, 8, 9]])


@pytest.fixture
def model(tiny_model):
    return tiny_model("gpt2", num_layers=4).eval()


def num_hooks(model):
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()
    )


def test_what_is_read_is_what_the_block_returns(model):
    with torch.no_grad():
        states = model(IDS, output_hidden_states=True).hidden_states
        with read_sites(model, [("resid_pre", 2), ("resid_post", 2)], lambda x: x) as found:
            model(IDS)
    # Entry l is the input of block l; only the very last entry is normed.
    torch.testing.assert_close(found["resid_pre", 2], states[2])
    torch.testing.assert_close(found["resid_post", 2], states[3])


def test_the_pass_ends_once_everything_is_read(model):
    """Lesson 42: stop early, and never compute logits that nobody reads."""
    reached = []
    blocks_of(model)[2].register_forward_pre_hook(lambda *_: reached.append(2))
    with read_sites(model, [("resid_mid", 1)], lambda x: x[:, -1]) as found:
        model(IDS)
        pytest.fail("the forward pass went on")
    assert reached == []
    assert found["resid_mid", 1].shape == (2, 16)


def test_hooks_are_gone_afterwards_whatever_happened(model):
    before = num_hooks(model)
    with read_sites(model, [("mlp_act", 0)], lambda x: x):
        model(IDS)
    assert num_hooks(model) == before
    with pytest.raises(RuntimeError, match="mine"):  # noqa: SIM117
        with read_sites(model, [("mlp_act", 0)], lambda x: x):
            raise RuntimeError("mine")
    assert num_hooks(model) == before


def test_a_stop_raised_by_nobody_is_noticed(model):
    with pytest.raises(AssertionError, match="never reached"):  # noqa: SIM117
        with read_sites(model, [("mlp_act", 0)], lambda x: x):
            raise StopForward
    assert num_hooks(model) == 0


def test_a_block_that_returns_a_tuple_is_read_all_the_same(model):
    """Lesson 31: what a layer returns changed between versions of the library."""
    blocks_of(model)[1].register_forward_hook(lambda module, inputs, output: (output, "more"))
    with read_sites(model, [("resid_post", 1)], lambda x: x.shape) as found:
        model(IDS)
    assert found["resid_post", 1] == (2, 4, 16)
