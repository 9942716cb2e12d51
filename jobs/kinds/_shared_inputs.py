"""Inputs that several kinds take: models, prompts, pairs, and a lexicon of toxic words."""

from collections.abc import Mapping
from functools import lru_cache

from analysis.long_table.circumstances import Origin
from jobs.kind import Input, Upstream
from jobs.kinds.pairs import Pairs
from jobs.kinds.prompts import Prompts
from jobs.text.format import FORMATS
from jobs.text.planned import Planned
from jobs.text.prompt_lines import PromptLine
from jobs.text.reading import Pair

WEIGHTS = Input(kinds=frozenset({"pretrained", "pretrain", "align", "adapter", "snapshot"}))
"""A model whose weights are read or trained further. A base may have been aligned itself, such as
the SFT model that DPO starts from."""
MODEL = Input(kinds=WEIGHTS.kinds | {"export"})
"""A model to run, aligned or not."""
PROMPTS = Input(kinds=frozenset({"prompts", "prompts-of-pairs"}))
"""Prompts to measure models on."""
PAIRS = Input(kinds=frozenset({"pairs", "generated-pairs"}))
"""Preference pairs."""
LEXICON = Input(kinds=PAIRS.kinds | {"labelled-texts"}, dispensable=True)
"""Pairs, or labelled texts, whose toxic words are looked for."""


def planned_pairs(inputs: Mapping[str, Upstream]) -> Planned[Pair]:
    """Return the pairs that a job will read, where a source of data has them; else none."""
    upstream = inputs.get("pairs")
    if upstream is None or upstream.kind != "pairs":
        return Planned()
    kind = Pairs()
    return kind.planned(kind.Params(**upstream.params))


def are_collected_pairs(inputs: Mapping[str, Upstream]) -> bool:
    """Tell whether a job will read pairs that people wrote or compared."""
    upstream = inputs.get("pairs")
    if upstream is None or upstream.kind != "pairs":
        return False
    return FORMATS.find(upstream.params["format"]).ORIGIN is Origin.COLLECTED


def planned_prompts(inputs: Mapping[str, Upstream]) -> Planned[PromptLine]:
    """Return the prompts that a job will read, where a source of data has them; else none."""
    upstream = inputs.get("prompts")
    if upstream is None or upstream.kind != "prompts":
        return Planned()
    kind = Prompts()
    return kind.planned(kind.Params(**upstream.params))


def know_toxic_words(inputs: Mapping[str, Upstream]) -> bool:
    """Tell whether the prompts that a job will read name toxic words, as far as that is known."""
    upstream = inputs.get("prompts")
    if upstream is None or upstream.kind != "prompts":
        return True
    kind = Prompts()
    return kind.knows_toxic_words(kind.Params(**upstream.params))


@lru_cache(maxsize=64)
def num_planned(prompts: Planned[PromptLine]) -> int:
    """Return the number of prompts that a job will read, 0 where that is not known."""
    return prompts.first.count
