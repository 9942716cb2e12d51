"""δx against what is known by construction and against a forward pass without hooks."""

import numpy as np
import pytest

from jobs.extraction import extract_params
from jobs.store.activation_store import ActivationStore


def test_rows_equal_a_forward_pass_without_hooks(root, pair):
    """Lesson 24: hook the block; the last of `hidden_states` is after the final norm."""
    import torch

    inputs, base, aligned = pair
    store = ActivationStore(
        root.done("extract", {"layers": "all", "sites": ["resid_mid", "resid_post"]}, **inputs)
    )
    plan = store.token_plan
    for layer in range(3):
        for site in ("resid_mid", "resid_post"):
            rows = store.rows(site, layer, "last")
            tokens = store.base(site, layer, "last").index.tokens
            assert len(rows.rows) == 48
            for row, token in zip(rows.rows, tokens, strict=True):
                prompt = plan.owners[token]
                ids = plan.token_ids[plan.offsets[prompt] : plan.offsets[prompt + 1]]
                at = plan.within[token]
                with torch.no_grad():
                    expected = (
                        _by_hand(aligned, ids)[site, layer] - _by_hand(base, ids)[site, layer]
                    )
                np.testing.assert_allclose(row, expected[at].numpy(), atol=2e-6)


def _by_hand(model, ids):
    """Residual stream of one GPT-2 prompt from its weights and formulas, no module called."""
    import torch

    ids = torch.tensor(np.asarray(ids), dtype=torch.long)
    inner = model.transformer
    x = inner.wte.weight[ids] + inner.wpe.weight[: len(ids)]
    found = {}
    for layer, block in enumerate(inner.h):
        x = x + _attention(block.attn, _norm(block.ln_1, x))
        found["resid_mid", layer] = x
        hidden = _norm(block.ln_2, x) @ block.mlp.c_fc.weight + block.mlp.c_fc.bias
        cubic = 0.7978845608028654 * (hidden + 0.044715 * hidden**3)
        hidden = 0.5 * hidden * (1 + torch.tanh(cubic))
        x = x + hidden @ block.mlp.c_proj.weight + block.mlp.c_proj.bias
        found["resid_post", layer] = x
    return found


def _norm(norm, x):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight + (
        norm.bias
    )


def _attention(attention, x):
    import torch

    heads, width = attention.num_heads, attention.head_dim
    mixed = x @ attention.c_attn.weight + attention.c_attn.bias
    query, key, value = (
        part.view(len(x), heads, width).transpose(0, 1) for part in mixed.chunk(3, dim=-1)
    )
    scores = query @ key.transpose(1, 2) / width**0.5
    future = torch.ones(len(x), len(x)).triu(1).bool()
    weights = scores.masked_fill(future, -torch.inf).softmax(-1)
    joined = (weights @ value).transpose(0, 1).reshape(len(x), -1)
    return joined @ attention.c_proj.weight + attention.c_proj.bias


def test_a_bias_added_at_one_block_is_the_offset_from_there_on(
    root, tiny_model, word_tokenizer, plain_prompts
):
    """Lesson 25: off-by-one layers are endemic."""
    import copy

    import torch

    base = tiny_model("gpt2", max_positions=32)
    with torch.no_grad():  # block 1 writes nothing, so the offset of block 0 passes it unchanged
        for module in (base.transformer.h[1].attn.c_proj, base.transformer.h[1].mlp.c_proj):
            module.weight.zero_()
            module.bias.zero_()
    aligned = copy.deepcopy(base)
    constant = torch.linspace(-1, 1, 16)
    with torch.no_grad():
        aligned.transformer.h[0].mlp.c_proj.bias.add_(constant)
    tokenizer = word_tokenizer(eos_token="<end>")
    store = ActivationStore(
        root.done(
            "extract",
            {"layers": "all", "sites": ["resid_mid", "resid_post"], "positions": ["all", "mean"]},
            base=root.model("base", base, tokenizer),
            aligned=root.model("aligned", aligned, tokenizer, "align"),
            prompts=root.prompts("plain", plain_prompts),
        )
    )
    for label in ("all", "mean"):
        assert np.abs(store.rows("resid_mid", 0, label).rows).max() == 0
        for site, layer in (("resid_post", 0), ("resid_mid", 1), ("resid_post", 1)):
            rows = store.rows(site, layer, label).rows
            assert len(rows) > 40
            np.testing.assert_allclose(rows, np.tile(constant, (len(rows), 1)), atol=5e-7)
    total = store.sample("resid_post", 1, "all").total
    assert total.num_rows == len(store.token_plan.token_ids)
    assert total.norms.largest == pytest.approx(float(constant.norm()), rel=1e-5)


UNGATED = {"mlp_gate", "mlp_linear"}
MISSING = {
    "gpt2": UNGATED,
    "gpt_neox": UNGATED | {"resid_mid"},
    "llama": set(),
    "mistral": set(),
    "qwen2": set(),
    "qwen3": set(),
    "gemma2": set(),
    "gemma3_text": set(),
    "opt": UNGATED,
    "phi": UNGATED | {"resid_mid"},
}


@pytest.mark.parametrize("family", MISSING)
def test_every_family_gives_every_site_it_has(
    family, root, tiny_model, word_tokenizer, moved, plain_prompts
):
    base = tiny_model(family, max_positions=32)
    tokenizer = word_tokenizer(eos_token="<end>")
    artifact = root.done(
        "extract",
        {"layers": "all", "sites": list(extract_params.Site.__args__), "positions": ["last"]},
        base=root.model("base", base, tokenizer),
        aligned=root.model("aligned", moved(base), tokenizer, "align"),
        prompts=root.prompts("plain", plain_prompts),
    )
    store = ActivationStore(artifact)
    assert set(store.missing) == MISSING[family]
    rows = {
        site: store.rows(site, 1, "last").rows for site in store.sites if site not in store.missing
    }
    assert all(np.abs(found).max() > 0 for found in rows.values())
    added = rows["resid_pre"] + rows["attn_out"] + rows["mlp_out"]
    np.testing.assert_allclose(added, rows["resid_post"], atol=1e-5)
    assert artifact.facts["model"]["family"] == family


def test_base_norms_are_those_of_the_base_at_the_same_rows(root, pair):
    import torch

    inputs, base, aligned = pair
    params = {"layers": [2], "sites": ["resid_post"], "positions": ["last"]}
    total = (
        ActivationStore(root.done("extract", params, **inputs))
        .sample("resid_post", 2, "last")
        .total
    )
    plan = ActivationStore(
        root.done("extract", {**params, "num_reservoir": 9}, **inputs)
    ).token_plan
    relative = []
    for prompt in range(48):
        ids = plan.token_ids[plan.offsets[prompt] : plan.offsets[prompt + 1]]
        at = int((plan.roles[plan.offsets[prompt] : plan.offsets[prompt + 1]] == 1).sum()) - 1
        with torch.no_grad():
            first, second = (_by_hand(model, ids)["resid_post", 2][at] for model in (base, aligned))
        relative.append(float((second - first).norm() / first.norm()))
    assert total.relative_norms.mean == pytest.approx(np.mean(relative), rel=1e-4)
    assert total.relative_norms.largest == pytest.approx(max(relative), rel=1e-4)


def test_base_rows_of_the_reservoir_are_those_of_a_forward_pass_of_the_base_alone(root, pair):
    import torch

    inputs, base, _ = pair
    labels = ["last", "response", "mean", "all"]
    params = {"layers": [1], "sites": ["resid_mid"], "positions": labels, "num_reservoir": 20}
    ways = ({}, {"pairing": "sequential"}, {"token_budget": 16})
    stores = [ActivationStore(root.done("extract", {**params, **way}, **inputs)) for way in ways]
    plan = stores[0].token_plan
    for label in labels:
        tokens = stores[0].base("resid_mid", 1, label).index.tokens
        assert len(tokens) == 20
        expected = []
        for token in tokens:
            owner = plan.owners[token]
            with torch.no_grad():
                found = _by_hand(base, plan.token_ids[slice(*plan.offsets[owner : owner + 2])])
            rows = found["resid_mid", 1].numpy()
            expected.append(rows[1:].mean(axis=0) if label == "mean" else rows[plan.within[token]])
        for store in stores:
            kept = store.rows("resid_mid", 1, label)
            np.testing.assert_allclose(kept.base, expected, atol=2e-6)


def test_other_batches_change_nothing_beyond_rounding(root, pair):
    """Lesson 9: batch shape changes results, so it may change no more than rounding does."""
    inputs, _, _ = pair
    params = {"layers": [1], "positions": ["last", "response", "mean"]}
    stores = [
        ActivationStore(root.done("extract", {**params, "token_budget": budget}, **inputs))
        for budget in (8192, 16)
    ]
    for label in ("last", "response", "mean"):
        first, second = (store.rows("resid_post", 1, label) for store in stores)
        np.testing.assert_array_equal(first.prompts, second.prompts)
        np.testing.assert_allclose(first.rows, second.rows, atol=1e-6)
    floor = stores[0].floor("resid_post", 1, "last")
    assert 0 <= floor["offset_norm"] < 1e-5


def test_kept_rows_are_the_same_for_every_model(root, pair, tiny_model, word_tokenizer, moved):
    inputs, _, _ = pair
    other = tiny_model("llama", max_positions=32)
    tokenizer = word_tokenizer(eos_token="<end>")
    others = {
        "base": root.model("b", other, tokenizer),
        "aligned": root.model("a", moved(other), tokenizer, "align"),
        "prompts": inputs["prompts"],
    }
    params = {"layers": [1], "sites": ["resid_post"], "num_reservoir": 20}
    first, second = (
        ActivationStore(root.done("extract", params, **each)) for each in (inputs, others)
    )
    for label in ("last", "response"):
        tokens, others = (
            store.base("resid_post", 1, label).index.tokens for store in (first, second)
        )
        assert len(tokens) == 20
        np.testing.assert_array_equal(tokens, others)


def test_bfloat16_rows_are_the_float32_rows_rounded_once(root, pair):
    """Lesson 1: subtract in fp32, round once."""
    import torch

    inputs, _, _ = pair
    params = {"layers": [1], "sites": ["resid_post"], "positions": ["last", "all"]}
    fine, coarse = (
        ActivationStore(root.done("extract", {**params, "rows": dtype}, **inputs))
        for dtype in ("float32", "bfloat16")
    )
    exact = torch.from_numpy(fine.rows("resid_post", 1, "all").rows)
    rounded = coarse.rows("resid_post", 1, "all").rows
    np.testing.assert_array_equal(exact.bfloat16().float().numpy(), rounded)
    # Fewer than d in every group: moments are made of them, so they stay as they are.
    few = (store.rows("resid_post", 1, "last").rows for store in (fine, coarse))
    np.testing.assert_array_equal(*few)


def test_a_float16_extraction_is_that_of_float32_but_for_its_rounding(root, pair):
    """On a processor too, and through δ in float32: no sum of it overflows."""
    params = {"layers": [1, 2], "positions": ["last", "all"]}
    done = root.done("extract", {**params, "dtype": "float16"}, **pair[0])
    assert done.facts["store"]["dtype"] == "float16"
    half = ActivationStore(done)
    full = ActivationStore(root.done("extract", {**params, "dtype": "float32"}, **pair[0]))
    for layer in (1, 2):
        rows, exact = (store.rows("resid_post", layer, "all").rows for store in (half, full))
        assert rows.dtype == np.float32
        assert not np.array_equal(rows, exact)
        np.testing.assert_allclose(rows, exact, atol=2e-2 * np.abs(exact).max())
    total = half.sample("resid_post", 2, "all").total
    assert (total.num_rows, total.num_nonfinite) == (len(half.token_plan.token_ids), 0)


def test_flash_attention_where_it_is_not_installed_is_one_clear_error(root, pair):
    from transformers.utils import is_flash_attn_2_available

    if is_flash_attn_2_available():
        pytest.skip("it is installed here, and there is a GPU")
    answer, _ = root.run("extract", {"attention": "flash_attention_2"}, **pair[0])
    assert answer["state"] == "failed" and answer["error"]["code"] == "user_mistake"
    assert "flash attention is not installed here" in answer["error"]["message"]
    assert "allowed: eager, sdpa" in answer["error"]["message"]
    assert "pip install flash-attn" in answer["error"]["message"]


def test_different_tokenizers_are_refused(root, pair, word_tokenizer):
    from tokenizers import normalizers

    inputs, base, _ = pair
    tokenizer = word_tokenizer(eos_token="<end>")
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("word1", "word2")
    changed = root.model("other", base, tokenizer)
    answer, _ = root.run("extract", {}, **{**inputs, "base": changed})
    assert answer["state"] == "failed" and answer["error"]["code"] == "user_mistake"
    assert "give prompt 0 other ids" in answer["error"]["message"]


def test_models_of_two_shapes_are_refused(root, pair, tiny_model, word_tokenizer):
    inputs, _, _ = pair
    wider = root.model("wider", tiny_model("gpt2", d_model=32), word_tokenizer(), "align")
    answer, _ = root.run("extract", {}, **{**inputs, "aligned": wider})
    assert answer["error"]["code"] == "user_mistake"
    assert "d_model is 16 and 32" in answer["error"]["message"]


def test_rows_that_are_not_finite_name_the_unit(root, pair, word_tokenizer):
    """Lesson 18: screen for NaN whatever padding does."""
    import torch

    inputs, _, aligned = pair
    with torch.no_grad():
        for block in aligned.transformer.h:  # numbers that are none once they are added
            block.mlp.c_proj.bias[3] = 3e38
    broken = root.model("nan", aligned, word_tokenizer(eos_token="<end>"), "align")
    answer, _ = root.run("extract", {}, **{**inputs, "aligned": broken})
    assert answer["error"]["code"] == "user_mistake"
    assert "NaN or infinity" in answer["error"]["message"]
    assert "unit 0 (group 0" in answer["error"]["message"]


def test_prompts_beyond_the_limit_are_left_out_and_counted(root, pair, plain_prompts):
    inputs, _, _ = pair
    store = root.done("extract", {"max_length": 8}, **inputs).facts["store"]
    long = [
        prompt["prompt"]
        for prompt in plain_prompts
        if sum(len(segment["text"].split()) for segment in prompt["segments"]) > 8
    ]
    assert store["too_long"] == long and 0 < len(long) < 48
    cut = {"max_length": 8, "prompt_tokens": 5, "answer_tokens": 3}
    assert root.done("extract", cut, **inputs).facts["store"]["too_long"] == []
    answer, _ = root.run("extract", {"max_length": 1}, **inputs)
    assert "no prompt fits" in answer["error"]["message"]


def test_a_layer_that_is_not_there_is_refused(root, pair):
    inputs, _, _ = pair
    answer, _ = root.run("extract", {"layers": [7]}, **inputs)
    assert answer["error"]["code"] == "user_mistake"
    assert "layers 0 to 2" in answer["error"]["message"]


def test_positions_without_rows_are_named_and_only_fatal_when_all_are(root, pair):
    inputs, _, _ = pair
    store = ActivationStore(root.done("extract", {"positions": ["last", "turn"]}, **inputs))
    assert (store.positions, store.absent_positions) == (["last"], ["turn"])
    answer, _ = root.run("extract", {"positions": ["turn"]}, **inputs)
    assert "no prompt has a token at turn" in answer["error"]["message"]


def test_the_prompts_say_which_positions_unless_the_params_do(root, pair, plain_prompts):
    inputs, _, _ = pair
    asked = root.prompts("asked", plain_prompts, positions=["response"])
    store = ActivationStore(root.done("extract", {}, **{**inputs, "prompts": asked}))
    assert store.positions == ["response"]


def test_legacy_is_the_mean_over_all_tokens_pads_too_and_stands_alone(root, pair, plain_prompts):
    """Against a forward pass of every prompt behind end-of-text tokens, as it is."""
    inputs, base, aligned = pair
    params = {"sites": ["resid_post"], "layers": [1], "positions": ["legacy"]}
    store = ActivationStore(root.done("extract", params, **inputs))
    texts = ["".join(s["text"] for s in prompt["segments"]) for prompt in plain_prompts]
    ids = [[2 + int(word.removeprefix("word")) for word in text.split()] for text in texts]
    width = max(map(len, ids)) + 1
    expected = []
    for row in ids:
        tokens = [1] * (width - len(row)) + row  # 1 is <end>
        before, after = (_block_output(model, tokens) for model in (base, aligned))
        expected.append((after - before).mean(0).numpy())
    found = store.rows("resid_post", 1, "legacy").rows
    order = [np.lexsort(np.round(rows, 4).T) for rows in (found, np.stack(expected))]
    np.testing.assert_allclose(found[order[0]], np.stack(expected)[order[1]], atol=1e-5)
    refused = root.run("extract", {**params, "positions": ["legacy", "last"]}, **inputs)
    assert "an extraction of its own" in str(refused)


def _block_output(model, tokens):
    """What block 1 hands on, without hooks of ours."""
    import torch

    seen = []
    handle = model.eval().transformer.h[1].register_forward_hook(lambda *of: seen.append(of[2]))
    with torch.no_grad():
        model(torch.tensor([tokens]))
    handle.remove()
    return (seen[0][0] if isinstance(seen[0], tuple) else seen[0])[0]
