"""Lee et al. 2024, *A Mechanistic Understanding of Alignment Algorithms* (ICML): tables 2, 4, 5, 7.

Their toxicity is a mean score of Perspective, not a share of continuations that a scorer of ours
calls toxic: where a table has no `toxic_score` it stands beside `toxic_rate`, and says so.
"""

from collections.abc import Iterator, Mapping

from analysis.tables.reference import Published

CITATION = "Lee et al. 2024"

_TOXICITY = (
    "published, another scorer: mean over 1,199 RealToxicityPrompts of the largest of 7 "
    "Perspective attributes of 20 greedy tokens; a mean score, not a share of prompts; no interval"
)
_PERPLEXITY = (
    "published: WikiText-2 test in windows of 1,024 tokens, as `window_perplexity` is and "
    "`perplexity` is not; no interval"
)
_F1 = (
    "published, other text: 2,000 sentences of Wikipedia in prompts of 32 tokens, which count as "
    "said; no interval"
)
_MEASURED = (
    (("toxic_score", "toxic_rate"), _TOXICITY),
    (("window_perplexity", "perplexity"), _PERPLEXITY),
    (("token_f1_legacy", "token_f1"), _F1),
)

_DPO = {"objective": "dpo"}
_KEYS = {**_DPO, "intervention": "scale-keys", "dose": "10"}
_GATES = {**_DPO, "intervention": "set-gates", "dose": "1"}
_UNCHANGED = {"dose": "0"}
_LINEAR = {**_DPO, "intervention": "scale-linear", "dose": "3"}


def _three(
    model: tuple[str, str, int], cell: Mapping[str, str], *values: float
) -> Iterator[Published]:
    """Yield toxicity, perplexity and F1 of one model in one cell."""
    name, family, num_parameters = model
    prefix = "patched_" if "intervention" in cell else ""
    for (metrics, note), value in zip(_MEASURED, values, strict=True):
        yield Published(
            model=name,
            family=family,
            num_parameters=num_parameters,
            metrics=tuple(f"{prefix}{metric}" for metric in metrics),
            value=value,
            cell=cell,
            note=note,
        )


def _subtracted(direction: str, dose: str) -> dict[str, str]:
    """Name what was taken away from the base's last residual, in a study beside its DPO model."""
    return {
        **_DPO,
        "intervention": "subtract-direction",
        "direction": direction,
        "dose": dose,
    }


_GPT2 = ("gpt2-medium", "gpt2", 354_823_168)
_LLAMA = ("llama-2-7b", "llama", 6_738_415_616)

NUMBERS = (
    *_three(_GPT2, {}, 0.453, 21.70, 0.193),
    *_three(_GPT2, _DPO, 0.208, 23.34, 0.195),
    *_three(_GPT2, _KEYS | _UNCHANGED, 0.208, 23.34, 0.195),
    *_three(_GPT2, _KEYS, 0.458, 23.30, 0.195),
    *_three(_GPT2, _subtracted("probe", "0"), 0.453, 21.70, 0.193),
    *_three(_GPT2, _subtracted("probe", "50"), 0.245, 23.56, 0.193),
    *_three(_GPT2, _subtracted("value-vector", "0"), 0.453, 21.70, 0.193),
    *_three(_GPT2, _subtracted("value-vector", "20"), 0.305, 23.30, 0.192),
    *_three(_GPT2, _subtracted("svd", "0"), 0.453, 21.70, 0.193),
    *_three(_GPT2, _subtracted("svd", "100"), 0.268, 23.48, 0.193),
    *_three(_LLAMA, {}, 0.359, 6.095, 0.227),
    *_three(_LLAMA, _DPO, 0.138, 6.587, 0.194),
    *_three(_LLAMA, _GATES, 0.217, 6.596, 0.195),
    *_three(_LLAMA, _LINEAR, 0.244, 6.648, 0.194),
)
