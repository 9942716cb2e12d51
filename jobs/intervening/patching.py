"""Activation patching: hooks edit the activations of a stock model inside a `with` block.

Hooks see every position that is forwarded, each time: prompts, continuations out of a cache, pads
(which attention masks). An edit of the newest token alone leaves out all others of a forward pass
that keeps a cache, which is how continuations are decoded. Weights and modules are never edited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import Module
from torch.utils.hooks import RemovableHandle

from jobs.intervening.intervention import KEYS, Edit
from jobs.models.family import Missing, Mlp, Tap, family_of_config
from jobs.models.language_model import LanguageModel
from jobs.taps.taps import ModuleValue, blocks_of, first_of, taps_of, with_first


def why_missing(model: LanguageModel, place: str) -> str | None:
    """Say why this family cannot be edited at a place; None where it can."""
    if place == KEYS:
        return None
    tap = taps_of(model)[place]
    return tap.reason if isinstance(tap, Missing) else None


@contextmanager
def patched(model: LanguageModel, edits: Sequence[Edit]) -> Iterator[None]:
    """Apply the edits to every forward pass inside the block; each place must exist."""
    handles: list[RemovableHandle] = []
    try:
        if any(edit.newest_only for edit in edits):
            newest = _NewestTokens()
            whole = cast(Module, model)
            handles.append(whole.register_forward_pre_hook(newest.look, with_kwargs=True))
            edits = [newest.confine(edit) if edit.newest_only else edit for edit in edits]
        for edit in edits:
            handles += _add_hooks(model, edit)
        yield
    finally:
        for handle in handles:
            handle.remove()


class _NewestTokens:
    """Marks the last token of each row of a forward pass that keeps a cache."""

    def __init__(self) -> None:
        self._mask: Tensor | None = None

    def look(self, model: Module, inputs: object, given: dict[str, Any]) -> None:
        """Read what a forward pass is given by name: input_ids, attention_mask, use_cache."""
        self._mask = None
        if given.get("use_cache"):
            tokens, real = given["input_ids"], given.get("attention_mask")
            real = torch.ones_like(tokens) if real is None else real[:, -tokens.shape[1] :]
            places = torch.arange(tokens.shape[1], device=real.device)
            last = (real * (places + 1)).argmax(dim=1)
            self._mask = (places == last[:, None])[..., None]

    def confine(self, edit: Edit) -> Edit:
        """Return the edit, nothing but the marked tokens shifted where any are."""

        def shift(x: Tensor) -> Tensor:
            shifted = edit.shift(x)
            if self._mask is None:
                return shifted
            # OPT flattens batch and width before its MLP.
            return shifted * self._mask.to(shifted).view(*x.shape[:-1], 1)

        return replace(edit, shift=shift)


def _add_hooks(model: LanguageModel, edit: Edit) -> list[RemovableHandle]:
    block = blocks_of(model)[edit.layer]
    if edit.place == KEYS:
        return [_hook_keys(block, family_of_config(model.config).MLP, edit)]
    taps = taps_of(model)
    if edit.place == "resid_pre":
        return [block.register_forward_pre_hook(_edit_input(edit))]
    if edit.place == "resid_mid":
        return _hook_middle(block, taps, edit)
    tap = taps[edit.place]
    assert isinstance(tap, Tap) and tap.side == "out", f"{edit.place} cannot be edited here"

    def after(module: Module, inputs: object, output: ModuleValue) -> ModuleValue:
        return with_first(output, _edit(first_of(output), edit))

    return [block.get_submodule(tap.module).register_forward_hook(after)]


def _edit_input(edit: Edit) -> Callable[[Module, tuple[object, ...]], tuple[object, ...]]:
    def before(module: Module, inputs: tuple[object, ...]) -> tuple[object, ...]:
        assert inputs, "the block was not handed its residual stream by position"
        return (_edit(cast("Tensor", inputs[0]), edit), *inputs[1:])

    return before


def _hook_middle(
    block: Module, taps: Mapping[str, Tap | Missing], edit: Edit
) -> list[RemovableHandle]:
    """Shift attn_out: resid_mid = resid_pre + attn_out is no module's own output."""
    stream: list[Tensor] = []

    def before(module: Module, inputs: tuple[object, ...]) -> None:
        stream[:] = [cast("Tensor", inputs[0])]

    def after(module: Module, inputs: object, output: ModuleValue) -> ModuleValue:
        added = first_of(output)
        return with_first(output, added + _shift(stream.pop() + added, edit))

    entry, attention = taps["resid_pre"], taps["attn_out"]
    assert isinstance(entry, Tap) and entry.side == "in", "resid_pre is not read at a module's door"
    assert isinstance(attention, Tap) and attention.side == "out", "attn_out is no module's output"
    return [
        block.get_submodule(entry.module).register_forward_pre_hook(before),
        block.get_submodule(attention.module).register_forward_hook(after),
    ]


def _hook_keys(block: Module, mlp: Mlp, edit: Edit) -> RemovableHandle:
    """Shift k.x, the output of a projection less its bias, an adapter's part included."""
    module = block.get_submodule(mlp.gate or mlp.up)

    def after(module: Module, inputs: object, output: Tensor) -> Tensor:
        bias = getattr(module, "bias", None)
        return output + _shift(output if bias is None else output - bias, edit)

    return module.register_forward_hook(after)


def _edit(x: Tensor, edit: Edit) -> Tensor:
    return x + _shift(x, edit)


def _shift(x: Tensor, edit: Edit) -> Tensor:
    """Compute the addition to `x` in float32; zero outside the columns."""
    if edit.columns is None:
        return edit.shift(x.float()).to(x)
    columns = torch.from_numpy(edit.columns).to(x.device)
    whole = torch.zeros_like(x)
    whole[..., columns] = edit.shift(x[..., columns].float()).to(x)
    return whole
