"""Named sites of a stock model, read while the model runs; the forward pass ends at the last one.

Kept tensors and the early end are the only effects: weights and modules are never edited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias, cast

from jobs.models.family import Missing, Tap, family_of_config

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module, ModuleList
    from torch.utils.hooks import RemovableHandle

    from jobs.models.language_model import LanguageModel

ModuleValue: TypeAlias = "Tensor | tuple[Tensor, ...]"
"""What a module takes or returns: the tensor of interest comes first."""
Place = tuple[str, int]
"""A site and a layer, from 0."""


class StopForward(Exception):  # noqa: N818 - not a fault: every wanted site has been read
    """Raised inside a model once every wanted place has been read; `read_sites` catches it."""


def first_of(value: ModuleValue) -> Tensor:
    """Return the tensor of interest of what a module returns."""
    return value[0] if isinstance(value, tuple) else value


def with_first(value: ModuleValue, first: Tensor) -> ModuleValue:
    """Return what a module returns, with another tensor of interest."""
    return (first, *value[1:]) if isinstance(value, tuple) else first


def taps_of(model: LanguageModel) -> Mapping[str, Tap | Missing]:
    """Return where each site of a loaded model is, or why the site does not exist."""
    sites: Mapping[str, Tap | Missing] = family_of_config(model.config).sites(model.config)
    return sites


def blocks_of(model: LanguageModel) -> ModuleList:
    """Return the list of blocks of a loaded model."""
    return cast("ModuleList", model.get_submodule(family_of_config(model.config).BLOCKS))


@contextmanager
def read_sites(
    model: LanguageModel, places: Sequence[Place], keep: Callable[[Tensor], Tensor]
) -> Iterator[dict[Place, Tensor]]:
    """Fill the yielded dict by the forward pass that the `with` block runs, and end the pass early.

    Args:
        model: a causal language model, or any module that has blocks at the family's paths.
        places: the sites and layers to read; every site must exist in the family.
        keep: applied to each tensor [batch, width, d], in OPT [batch * width, d]; its result is
            stored.
    """
    values: dict[Place, Tensor] = {}
    taps, blocks = taps_of(model), blocks_of(model)
    handles: list[RemovableHandle] = []
    wanted = set(places)

    def reader(place: Place) -> Callable[[ModuleValue], None]:
        def read(value: ModuleValue) -> None:
            values[place] = keep(first_of(value))
            if len(values) == len(wanted):
                raise StopForward

        return read

    try:
        for site, layer in wanted:
            tap = taps[site]
            assert isinstance(tap, Tap), f"{site} does not exist here: {tap.reason}"
            module = blocks[layer].get_submodule(tap.module)
            handles.append(_hook(module, tap, reader((site, layer))))
        with suppress(StopForward):
            yield values
    finally:
        for handle in handles:
            handle.remove()
    assert values.keys() == wanted, f"never reached: {sorted(wanted - values.keys())}"


def _hook(module: Module, tap: Tap, read: Callable[[ModuleValue], None]) -> RemovableHandle:
    if tap.side == "in":
        return module.register_forward_pre_hook(lambda _, inputs: read(inputs))
    return module.register_forward_hook(lambda _, inputs, output: read(output))
