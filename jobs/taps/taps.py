"""One context manager that reads named sites of a stock model while it runs, and stops it early.

The stop and the kept tensors are the only effects; weights and modules are never edited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from jobs.models.family import Missing, Tap, family_of_config

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

Place = tuple[str, int]
"""A site and a layer, from 0."""


class StopForward(Exception):  # noqa: N818 - not a fault: the forward pass has shown all it has to
    """Raised inside a model once every wanted place has been read; `reading` swallows it."""


def taps_of(model: Any) -> Mapping[str, Tap | Missing]:
    """Every site of a loaded model -> where it is, or why it does not exist."""
    sites: Mapping[str, Tap | Missing] = family_of_config(model.config).sites(model.config)
    return sites


def blocks_of(model: Any) -> Any:
    """The list of blocks of a loaded model."""
    return model.get_submodule(family_of_config(model.config).BLOCKS)


@contextmanager
def read_sites(
    model: Any, places: Sequence[Place], keep: Callable[[Tensor], Tensor]
) -> Iterator[dict[Place, Tensor]]:
    """While the block runs, one forward pass of `model` fills the yielded dict and ends early.

    Args:
        model: a causal language model, or whatever holds its blocks at the family's paths.
        places: what to read; every site must exist in the family.
        keep: applied to each tensor [batch, width, d] as it passes; its result is kept.
    """
    found: dict[Place, Tensor] = {}
    taps, blocks = taps_of(model), blocks_of(model)
    handles = []

    def keeper(place: Place) -> Callable[[Any], None]:
        def take(value: Any) -> None:
            found[place] = keep(value[0] if isinstance(value, tuple) else value)
            if len(found) == len(wanted):
                raise StopForward

        return take

    wanted = set(places)
    try:
        for site, layer in wanted:
            tap = taps[site]
            assert isinstance(tap, Tap), f"{site} does not exist here: {tap.reason}"
            module = blocks[layer].get_submodule(tap.module)
            handles.append(_hooked(module, tap, keeper((site, layer))))
        with suppress(StopForward):
            yield found
    finally:
        for handle in handles:
            handle.remove()
    assert found.keys() == wanted, f"never reached: {sorted(wanted - found.keys())}"


def _hooked(module: Module, tap: Tap, take: Callable[[Any], None]) -> Any:
    if tap.side == "in":
        return module.register_forward_pre_hook(lambda _, inputs: take(inputs))
    return module.register_forward_hook(lambda _, inputs, output: take(output))
