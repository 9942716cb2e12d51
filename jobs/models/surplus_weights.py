"""What the weights of a checkpoint hold beyond what its config.json describes, by their names.

Transformers leaves it out in silence: blocks, biases and norms that the model was trained with.
"""

import re
from collections.abc import Iterable, Mapping

from cluster.errors import UserError
from jobs.models.family import Family
from jobs.models.shape import ConfigMapping, Shape

_WITHOUT_EFFECT = re.compile(
    r"(^|\.)(attn|attention)\.(masked_)?bias$|\.rotary_emb\.\w+$|(^|\.)v_head\.|decoder\.version$"
)
"""Masks and frequencies that old checkpoints keep, and the head of values that PPO trained."""
_OTHER_HEAD = re.compile(r"(^|\.)(score|classifier|qa_outputs|regression_head)\.")
_MOST_NAMES_SHOWN = 3


def refuse_surplus(
    sizes: Mapping[str, int], family: Family, config: ConfigMapping, where: str
) -> None:
    """Raise UserError where tensors hold more numbers than a model of this config has.

    Args:
        sizes: name of each tensor -> its number of entries.
        family: of the model.
        config: the mapping in its config.json.
        where: the folder's name in errors.
    """
    shape = family.shape(config)
    expected, _ = family.num_parameters(config)
    held = {name: size for name, size in sizes.items() if not _WITHOUT_EFFECT.search(name)}
    if shape.tie:  # tied weights may be saved twice
        heads = re.compile(rf"(^|\.)({'|'.join(family.HEADS)})\.weight$")
        held = {name: size for name, size in held.items() if not heads.search(name)}
    if (total := sum(held.values())) <= expected:
        return
    names = sorted(_telling(held, family, shape)) or _small(held, family, total - expected)
    more = "" if len(names) <= _MOST_NAMES_SHOWN else f" and {len(names) - _MOST_NAMES_SHOWN} more"
    shown = f": {', '.join(names[:_MOST_NAMES_SHOWN])}{more}" if names else ""
    made = config.get("architectures")
    head = f" ({made[0]})" if isinstance(made, list) and made else ""
    raise UserError(
        f"the weights hold {total:,} numbers and config.json describes {expected:,}; the others "
        f"would be left out in silence{shown}",
        where=where,
        hint=f"use the config.json that was saved with these weights: its model_type{head}, "
        "layers, vocab_size and biases; of a reward model, the language model behind it",
    )


def _telling(sizes: Mapping[str, int], family: Family, shape: Shape) -> Iterable[str]:
    """Yield the tensors that show by name or size that they are of another model."""
    blocks = family.BLOCKS.rpartition(".")[2]
    rows = shape.vocab_size * (shape.d_embedding or shape.d_model)
    for name, size in sizes.items():
        block = re.search(rf"(?:^|\.){blocks}\.(\d+)\.", name)
        is_beyond = block is not None and int(block[1]) >= shape.num_layers
        is_table = name.endswith(f"{family.EMBEDDING.rpartition('.')[2]}.weight")
        if is_beyond or is_table and size != rows or _OTHER_HEAD.search(name):
            yield name


def _small(sizes: Mapping[str, int], family: Family, surplus: int) -> list[str]:
    """Return the biases, the norms that the family lacks, or both: whichever make up a surplus.

    Those of all blocks stand as one name, with `*` for the number of the block.
    """
    own = {name for name in family.NORMS if name} | {family.FINAL_NORM.rpartition(".")[2]}
    biases = [name for name in sizes if name.endswith(".bias")]
    norms = [
        name
        for name in sizes
        if (norm := re.search(r"(\w*norm\w*)\.weight$", name)) is not None and norm[1] not in own
    ]
    others = (biases, norms, [*biases, *norms])
    found = next((group for group in others if sum(sizes[name] for name in group) == surplus), [])
    blocks = family.BLOCKS.rpartition(".")[2]
    return sorted({re.sub(rf"(^|\.){blocks}\.\d+\.", rf"\1{blocks}.*.", name) for name in found})
