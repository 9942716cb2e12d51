"""Inputs that several kinds take: models, prompts, pairs, and a lexicon of toxic words."""

from jobs.kind import Input

WEIGHTS = Input(kinds=frozenset({"pretrained", "pretrain", "align", "adapter"}))
"""A model whose weights are read or trained further. A base may have been aligned itself, such as
the SFT model that DPO starts from."""
MODEL = Input(kinds=WEIGHTS.kinds | {"export"})
"""A model to run, aligned or not."""
PROMPTS = Input(kinds=frozenset({"prompts"}))
"""Prompts to measure models on."""
PAIRS = Input(kinds=frozenset({"pairs", "generated-pairs"}))
"""Preference pairs."""
LEXICON = Input(kinds=PAIRS.kinds, dispensable=True)
"""Pairs whose toxic words are looked for."""
