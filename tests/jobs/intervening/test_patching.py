"""Edits of a running model against models whose weights really were changed, in every family."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from jobs.behaviour.decoding import decode
from jobs.intervening.intervention import INTERVENTIONS, KEYS, Edit, Target
from jobs.intervening.patching import patched, why_missing
from jobs.models.family import Missing, family_of, names
from jobs.taps.taps import blocks_of, read_sites, taps_of

IDS = torch.tensor([[2, 3, 4, 5, 6], [7, 8, 9, 10, 11]])
FOLLOWING = {
    "resid_pre": ("attn_out", "mlp_out"),
    "resid_mid": ("mlp_out",),
    "attn_out": ("mlp_out",),
    "mlp_out": (),
}
"""What a block still adds to the stream after each site."""
GATED = [name for name in names() if family_of(name).MLP.gate is not None]
NEURONS = {0: np.array([1, 4]), 1: np.array([3])}


def logits(model):
    with torch.no_grad():
        return model(IDS).logits


def read(model, *places):
    with torch.no_grad(), read_sites(model, places, lambda x: x.clone()) as found:
        model(IDS)
    return [found[place] for place in places]


def adding(place, layer, size=0.5):
    vector = size * torch.randn(16, generator=torch.Generator().manual_seed(2))
    return vector, Edit(place=place, layer=layer, shift=lambda x: vector.to(x).expand_as(x))


def on_neurons(model, name, dose):
    target = Target(
        site="resid_post",
        layer=0,
        neurons=NEURONS,
        num_neurons=int(blocks_of(model)[0].get_submodule(mlp_of(model).down).weight.numel() / 16),
    )
    return INTERVENTIONS.find(name).edits(target, dose)


def mlp_of(model):
    return family_of(model.config.model_type).MLP


def scaled(model, path, factor):
    """A copy whose weights into the neurons, not their biases, are multiplied."""
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for layer, neurons in NEURONS.items():
            weight = blocks_of(changed)[layer].get_submodule(path).weight
            rows = weight.T if mlp_of(model).inputs_first else weight
            rows[neurons] *= factor
    return changed


@pytest.fixture(params=names())
def model(request, tiny_model):
    made = tiny_model(request.param).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)  # so that every change shows
            else:  # biases start at 0
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator()))
    return made


@pytest.mark.parametrize("site", FOLLOWING)
def test_the_stream_takes_a_shift_and_all_that_follows_sees_it(model, site):
    """The stream itself moves, not only what a norm reads of it."""
    if why_missing(model, site):
        assert isinstance(taps_of(model)[site], Missing)
        return
    parallel = why_missing(model, "resid_mid") is not None
    following = () if parallel and site == "attn_out" else FOLLOWING[site]
    vector, edit = adding(site, 0)
    wanted = vector.expand(2, 5, 16)
    for part in ("resid_post", *following):
        (before,) = read(model, (part, 0))
        with patched(model, [edit]):
            (after,) = read(model, (part, 0))
        moved = (after - before).reshape(2, 5, 16)
        if part == "resid_post":
            found = moved
        else:
            wanted = wanted + moved
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=0)


def test_what_a_block_hands_on_is_what_the_next_is_handed(model):
    plain = logits(model)
    with patched(model, [adding("resid_post", 0)[1]]):
        after = logits(model)
    with patched(model, [adding("resid_pre", 1)[1]]):
        torch.testing.assert_close(logits(model), after)
    assert not torch.allclose(after, plain)


def test_scaled_keys_are_those_of_a_model_whose_keys_were_multiplied(model):
    mlp = mlp_of(model)
    truth = logits(scaled(model, mlp.gate or mlp.up, 10.0))
    with patched(model, on_neurons(model, "scale-keys", 10.0)):
        torch.testing.assert_close(logits(model), truth, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(logits(model), truth, atol=1e-3)


@pytest.mark.parametrize("family", GATED)
def test_a_scaled_linear_part_is_that_of_a_model_whose_weights_were_multiplied(family, tiny_model):
    model = tiny_model(family).eval()
    truth = logits(scaled(model, mlp_of(model).up, 3.0))
    with patched(model, on_neurons(model, "scale-linear", 3.0)):
        torch.testing.assert_close(logits(model), truth, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", GATED)
def test_set_gates_are_open_whatever_they_were(family, tiny_model):
    model = tiny_model(family).eval()
    plain = read(model, ("mlp_act", 0), ("mlp_linear", 0))
    with patched(model, on_neurons(model, "set-gates", 1.0)):
        act, linear = read(model, ("mlp_act", 0), ("mlp_linear", 0))
    torch.testing.assert_close(act[..., NEURONS[0]], linear[..., NEURONS[0]])
    others = np.setdiff1d(np.arange(act.shape[-1]), NEURONS[0])
    torch.testing.assert_close(act[..., others], plain[0][..., others])


@pytest.mark.parametrize("family", [name for name in names() if name not in GATED])
def test_families_without_a_gate_say_so(family, tiny_model):
    model = tiny_model(family)
    assert "no gate" in why_missing(model, "mlp_gate")
    assert "no gate" in why_missing(model, "mlp_linear")
    assert why_missing(model, KEYS) is None


@pytest.mark.parametrize("family", names())
def test_a_cache_and_padding_change_nothing_of_what_a_changed_model_says(
    family, decided_model, said_alone
):
    model = decided_model(family)
    prompts = [[3, 7, 5], [9], [4, 4, 8, 11, 2, 6], [12, 3]]
    site = "attn_out" if why_missing(model, "resid_mid") else "resid_mid"
    edits = [adding(site, 1, size=3.0)[1], *on_neurons(model, "scale-keys", 10.0)]
    plain = decode(model, prompts, 5, token_budget=1000)
    with patched(model, edits):
        cached = decode(model, prompts, 5, token_budget=1000)
        assert cached == said_alone(model, prompts, 5)
    assert cached != plain


def test_an_adapter_has_a_part_in_the_keys_that_are_scaled(tiny_model):
    from peft import LoraConfig, get_peft_model

    from jobs.models.adapters import Switched

    with torch.random.fork_rng():
        torch.manual_seed(7)
        settings = LoraConfig(r=2, target_modules=["c_fc"], init_lora_weights=False)
        adapted = get_peft_model(tiny_model("gpt2"), settings).eval()
    aligned = Switched(adapted, adapter_on=True)
    with torch.no_grad(), patched(aligned, on_neurons(aligned, "scale-keys", 10.0)):
        found = aligned(input_ids=IDS).logits
    merged = copy.deepcopy(adapted).merge_and_unload()
    torch.testing.assert_close(
        found, logits(scaled(merged, "mlp.c_fc", 10.0)), atol=1e-4, rtol=1e-4
    )


def test_projecting_out_leaves_the_bases_mean_along_the_direction(tiny_model):
    model = tiny_model("gpt2").eval()
    direction = np.eye(16)[3]
    target = Target(
        site="resid_mid",
        layer=1,
        direction=direction,
        base_mean=0.25 * direction,
        neurons={},
        num_neurons=64,
    )
    (plain,) = read(model, ("resid_mid", 1))
    for dose, wanted in ((1.0, torch.full((2, 5), 0.25)), (0.5, plain[..., 3] / 2 + 0.125)):
        with patched(model, INTERVENTIONS.find("project-out").edits(target, dose)):
            (found,) = read(model, ("resid_mid", 1))
        torch.testing.assert_close(found[..., 3], wanted)
        others = [column for column in range(16) if column != 3]
        torch.testing.assert_close(found[..., others], plain[..., others])


def test_hooks_are_gone_afterwards_whatever_happened(tiny_model):
    model = tiny_model("gpt2").eval()
    before = logits(model)
    with pytest.raises(RuntimeError, match="mine"), patched(model, [adding("resid_mid", 0)[1]]):
        raise RuntimeError("mine")
    torch.testing.assert_close(logits(model), before, atol=0, rtol=0)


def test_random_controls_are_as_long_and_as_many_and_none_of_the_toxic():
    toxic = {0: np.arange(10), 2: np.array([63])}
    target = Target(site="resid_post", layer=1, neurons=toxic, num_neurons=64)
    drawn = target.randomised(np.random.default_rng(0)).neurons
    assert {layer: len(set(chosen)) for layer, chosen in drawn.items()} == {0: 10, 2: 1}
    assert not set(drawn[0]) & set(toxic[0])
    assert set(drawn[2]) != {63}
    along = Target(
        site="resid_post", layer=1, direction=np.eye(8)[0], step=3.0, neurons={}, num_neurons=64
    )
    first, second = (along.randomised(np.random.default_rng(seed)) for seed in (0, 1))
    assert np.linalg.norm(first.direction) == pytest.approx(1.0)
    assert first.step == 3.0
    assert not np.allclose(first.direction, second.direction)


def newest(edit):
    return replace(edit, newest_only=True)


PROMPTS = [[2, 3, 4, 5, 6], [7, 8], [9, 10, 11]]


def test_at_the_last_block_the_newest_token_alone_is_as_good_as_all(decided_model):
    model = decided_model("gpt2")
    _, edit = adding("resid_post", 1, size=8)
    plain = decode(model, PROMPTS, 6, token_budget=64)
    with patched(model, [edit]):
        everywhere = decode(model, PROMPTS, 6, token_budget=64)
    with patched(model, [newest(edit)]):
        alone = decode(model, PROMPTS, 6, token_budget=64)
    assert alone == everywhere != plain


def test_an_edit_of_the_newest_token_alone_leaves_earlier_ones_as_they_are(decided_model):
    """Against decoding without a cache, in which only the last token of each pass is shifted."""
    model = decided_model("gpt2")
    vector, edit = adding("resid_post", 0, size=2)
    expected = []
    for prompt in PROMPTS:
        row = list(prompt)
        kept = []  # the shift stays with the token that was the newest once: caches hold it
        for _ in range(6):
            kept.append(len(row) - 1)

            def shift(module, inputs, output, kept=tuple(kept)):
                hidden = output[0] if isinstance(output, tuple) else output
                hidden[:, list(kept)] += vector
                return output

            handle = blocks_of(model)[0].register_forward_hook(shift)
            with torch.no_grad():
                row.append(int(model(torch.tensor([row])).logits[0, -1].argmax()))
            handle.remove()
        expected.append(row[len(prompt) :])
    with patched(model, [newest(edit)]):
        assert decode(model, PROMPTS, 6, token_budget=64) == expected
    with patched(model, [edit]):
        assert decode(model, PROMPTS, 6, token_budget=64) != expected


def on_keys(model):
    return on_neurons(model, "scale-keys", 10.0)[0]


def decoded_logits(model, edit, words):
    """After each prompt, and after each of `words` that it is made to go on with."""
    rows = []

    def choose(logits, prompts, num_decoded):
        rows.append(logits)
        return torch.full((len(logits),), words[num_decoded])

    with patched(model, [newest(edit)]):
        decode(model, PROMPTS, len(words), token_budget=64, choose=choose)
    return torch.stack(rows, dim=1)


@pytest.mark.parametrize("site", ["resid_post", "mlp_out", KEYS])
def test_every_family_is_edited_at_the_newest_token_alone(model, site):
    """Against the whole text in one pass, edited from the prompt's last token on."""
    if site != KEYS and why_missing(model, site):
        return
    edit = on_keys(model) if site == KEYS else adding(site, 0)[1]
    words = [12, 13, 14]
    found = decoded_logits(model, edit, words)
    for row, prompt in enumerate(sorted(PROMPTS, key=len, reverse=True)):  # as decoded
        text = torch.tensor([[*prompt, *words[:-1]]])
        since = torch.arange(text.shape[1])[:, None] >= len(prompt) - 1

        def shift(x, since=since):
            return edit.shift(x) * since

        with torch.no_grad(), patched(model, [replace(edit, shift=shift)]):
            expected = model(text).logits[0, len(prompt) - 1 :]
        torch.testing.assert_close(found[row], expected, atol=1e-4, rtol=1e-4)


def test_texts_that_are_read_in_one_pass_are_changed_at_every_token(model):
    _, edit = adding("mlp_out", 0)
    with patched(model, [edit]):
        everywhere = logits(model)
    with patched(model, [newest(edit)]):
        torch.testing.assert_close(logits(model), everywhere)
    assert not torch.allclose(logits(model), everywhere)
