"""Capture of three layers of one model: ours beside three other ways of doing it.

    make bench-capture        (sets up the other libraries first)

Every way loads the same weights from one folder, gets the same padded batches and hands out the
same thing, the rows of all real tokens after blocks 3, 6 and 9 of 12; results are compared before
anything is timed. They take turns batch by batch, each beginning as often as the others, in one
process. Ours, nnsight and TransformerLens stop after block 9; transformers cannot stop early. None
runs the unembedding. TransformerLens insists on its own attention over hookable scores. Ours passes
no attention mask, which right padding makes needless; the others are given one, as their users
give it, and nnsight is shown without it as well.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.workload import (
    WORKLOADS,
    Workload,
    arguments,
    random_model,
    random_plan,
    settled,
    timed,
)
from jobs.taps.activations import Inputs, read_activations
from jobs.tokens.batches import cut_batches, pad_batch
from jobs.tokens.positions import find_positions

if TYPE_CHECKING:
    from torch import Tensor

Capture = Callable[[Inputs], "list[Tensor]"]
"""Rows [tokens, d] at each of LAYERS."""

LAYERS = (3, 6, 9)
TOLERANCE = 5e-5
"""Largest difference from ours that counts as the same result, in float32."""
OURS = "deltascale"
TOKEN_BUDGETS = (2048, 96)
"""Large batches, where the forward is all that counts, and single prompts."""


def main() -> None:
    """Print one table per size of batch."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    chosen = parser.parse_args()
    print(settled(chosen), flush=True)
    _be_quiet()
    # Few prompts and many turns: the same seconds say more of the difference.
    workload = replace(WORKLOADS["gpt2"], num_prompts=32)
    with tempfile.TemporaryDirectory() as folder:
        random_model(workload, "cpu").save_pretrained(folder)
        ways = _ways(folder, chosen.device)
    for token_budget in TOKEN_BUDGETS:
        sized = replace(workload, token_budget=token_budget)
        batches = _batches(sized, chosen.device)
        print(f"\n{sized}: {len(batches)} batches", flush=True)
        differences = _compared(ways, batches)
        seconds = _seconds(ways, batches, chosen.rounds, chosen.device)
        _print(differences, seconds, sum(int(batch.attention_mask.sum()) for batch in batches))


def _be_quiet() -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()


def _batches(workload: Workload, device: str) -> list[Inputs]:
    plan = random_plan(workload)
    wanted = find_positions(plan, ("all",), 0)
    members = cut_batches(plan, np.arange(workload.num_prompts), workload.token_budget)
    return [Inputs(pad_batch(plan, each, wanted), device) for each in members]


def _ways(folder: str, device: str) -> dict[str, Capture]:
    """Each with a model of its own."""
    from transformers import AutoModelForCausalLM

    def model() -> Any:
        return AutoModelForCausalLM.from_pretrained(folder).to(device).eval()

    return {
        OURS: partial(_ours, model()),
        f"transformers {version('transformers')}": partial(_transformers, model()),
        f"nnsight {version('nnsight')}": _nnsight(model(), _named),
        "... without a mask": _nnsight(model(), _unmasked),
        f"transformer-lens {version('transformer-lens')}": _transformer_lens(model(), folder),
    }


def _ours(model: Any, inputs: Inputs) -> "list[Tensor]":
    places = [("resid_post", layer) for layer in LAYERS]
    found = read_activations(model, inputs, places)
    return [found[place] for place in places]


def _transformers(model: Any, inputs: Inputs) -> "list[Tensor]":
    import torch

    with torch.inference_mode():
        states = model.base_model(**_named(inputs), output_hidden_states=True).hidden_states
        # The first one is the embedding.
        return [inputs.gather(states[layer + 1]) for layer in LAYERS]


def _nnsight(model: Any, named: Callable[[Inputs], dict[str, Any]]) -> Capture:
    import nnsight
    import torch

    backbone = nnsight.NNsight(model.base_model)

    def capture(inputs: Inputs) -> "list[Tensor]":
        with torch.inference_mode():
            with backbone.trace(**named(inputs)) as tracer:
                found = nnsight.save([])
                for layer in LAYERS:
                    found.append(backbone.h[layer].output)
                tracer.stop()
            return [inputs.gather(rows) for rows in found]

    return capture


def _transformer_lens(model: Any, folder: str) -> Capture:
    import torch
    from transformer_lens.model_bridge import TransformerBridge

    device = str(model.device)
    # Raw weights: nothing is folded or centred unless its compatibility mode is asked for.
    bridge = TransformerBridge.boot_transformers(folder, hf_model=model, device=device)
    names = [f"blocks.{layer}.hook_out" for layer in LAYERS]
    asked = {
        "names_filter": names,
        "stop_at_layer": LAYERS[-1] + 1,
        "return_type": None,
        "return_cache_object": False,
        "output_attentions": False,
    }

    def capture(inputs: Inputs) -> "list[Tensor]":
        with torch.inference_mode():
            named = _named(inputs)
            _, cache = bridge.run_with_cache(named.pop("input_ids"), **named, **asked)
            return [inputs.gather(cache[name]) for name in names]

    return capture


def _named(inputs: Inputs) -> "dict[str, Any]":
    return {
        "input_ids": inputs.token_ids,
        "attention_mask": inputs.attention_mask,
        "position_ids": inputs.position_ids,
        "use_cache": False,
    }


def _unmasked(inputs: Inputs) -> "dict[str, Any]":
    return {name: value for name, value in _named(inputs).items() if name != "attention_mask"}


def _compared(ways: Mapping[str, Capture], batches: Sequence[Inputs]) -> dict[str, float]:
    """Largest difference of each from ours, over all batches; a round that warms up as well."""
    largest = dict.fromkeys(ways, 0.0)
    for batch in batches:
        reference = ways[OURS](batch)
        for name, capture in ways.items():
            for own, rows in zip(reference, capture(batch), strict=True):
                difference = float((own - rows).abs().max())
                largest[name] = max(largest[name], difference)
    wrong = [name for name, difference in largest.items() if not difference <= TOLERANCE]
    assert not wrong, f"not the same rows as ours: {wrong}, differences {largest}"
    return largest


def _seconds(
    ways: Mapping[str, Capture], batches: Sequence[Inputs], rounds: int, device: str
) -> dict[str, np.ndarray]:
    """Wall-clock and processor seconds of every round: way -> [rounds, 2]."""
    seconds = {name: np.zeros((rounds, 2)) for name in ways}
    names, turn = list(ways), 0
    for number in range(rounds):
        for batch in batches:
            # Whoever comes after another finds the caches in another state.
            first = turn % len(names)
            turn += 1
            for name in names[first:] + names[:first]:
                seconds[name][number] += timed(partial(ways[name], batch), device)
    return seconds


def _print(
    differences: Mapping[str, float], seconds: Mapping[str, np.ndarray], num_tokens: int
) -> None:
    """Medians over rounds; ratios are of the same round."""
    print(f"{'':28}{'tokens/s':>10}{'ours over it':>14}{'processor':>11}{'difference':>12}")
    for name, taken in seconds.items():
        wall, processor = np.median(taken / seconds[OURS], axis=0)
        print(
            f"{name:28}{num_tokens / np.median(taken[:, 0]):>10,.0f}"
            f"{wall:>14.3f}{processor:>11.3f}{differences[name]:>12.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
