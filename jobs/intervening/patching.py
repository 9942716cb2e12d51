"""One context manager under which a stock model runs with its activations edited by hooks.

Hooks see every position that is forwarded, each time: prompts, continuations out of a cache, pads
(which attention masks). Weights and modules are never edited.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jobs.intervening.intervention import KEYS, Edit
from jobs.models.family import Missing, Tap, family_of_config
from jobs.taps.taps import blocks_of, taps_of

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


def why_missing(model: Any, place: str) -> str | None:
    """Why this family cannot be edited there; None where it can."""
    if place == KEYS:
        return None
    tap = taps_of(model)[place]
    return tap.reason if isinstance(tap, Missing) else None


@contextmanager
def patched(model: Any, edits: Sequence[Edit]) -> Iterator[None]:
    """While this runs, every forward pass of `model` has the edits in it; each place must exist."""
    handles: list[Any] = []
    try:
        for edit in edits:
            handles += _hooked(model, edit)
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hooked(model: Any, edit: Edit) -> list[Any]:
    block = blocks_of(model)[edit.layer]
    if edit.place == KEYS:
        return [_on_keys(block, family_of_config(model.config).MLP, edit)]
    taps = taps_of(model)
    if edit.place == "resid_pre":
        return [block.register_forward_pre_hook(_before_block(edit))]
    if edit.place == "resid_mid":
        return _on_middle(block, taps, edit)
    tap = taps[edit.place]
    assert isinstance(tap, Tap) and tap.side == "out", f"{edit.place} cannot be edited here"

    def after(module: Module, inputs: Any, output: Any) -> Any:
        return _replaced(output, _edited(_first(output), edit))

    return [block.get_submodule(tap.module).register_forward_hook(after)]


def _before_block(edit: Edit) -> Any:
    def before(module: Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        assert inputs, "the block was not handed its residual stream by position"
        return (_edited(inputs[0], edit), *inputs[1:])

    return before


def _on_middle(block: Any, taps: Any, edit: Edit) -> list[Any]:
    """resid_mid = resid_pre + attn_out is no module's own output: attn_out takes the shift."""
    stream: list[Tensor] = []

    def before(module: Module, inputs: tuple[Any, ...]) -> None:
        stream[:] = [inputs[0]]

    def after(module: Module, inputs: Any, output: Any) -> Any:
        added = _first(output)
        return _replaced(output, added + _shift(stream.pop() + added, edit))

    entry, attention = taps["resid_pre"], taps["attn_out"]
    assert isinstance(entry, Tap) and entry.side == "in", "resid_pre is not read at a module's door"
    assert isinstance(attention, Tap) and attention.side == "out", "attn_out is no module's output"
    return [
        block.get_submodule(entry.module).register_forward_pre_hook(before),
        block.get_submodule(attention.module).register_forward_hook(after),
    ]


def _on_keys(block: Any, mlp: Any, edit: Edit) -> Any:
    """What the projection gives less its bias is k.x, of an adapter in it too."""
    module = block.get_submodule(mlp.gate or mlp.up)

    def after(module: Module, inputs: Any, output: Tensor) -> Tensor:
        bias = getattr(module, "bias", None)
        return output + _shift(output if bias is None else output - bias, edit)

    return module.register_forward_hook(after)


def _edited(x: Tensor, edit: Edit) -> Tensor:
    return x + _shift(x, edit)


def _shift(x: Tensor, edit: Edit) -> Tensor:
    """What is added to `x`, formed in float32; zero outside the columns."""
    import torch

    if edit.columns is None:
        return edit.shift(x.float()).to(x)
    columns = torch.from_numpy(edit.columns).to(x.device)
    whole = torch.zeros_like(x)
    whole[..., columns] = edit.shift(x[..., columns].float()).to(x)
    return whole


def _first(output: Any) -> Any:
    return output[0] if isinstance(output, tuple) else output


def _replaced(output: Any, first: Tensor) -> Any:
    return (first, *output[1:]) if isinstance(output, tuple) else first
