"""What each value of kind `preferences` is, in the words that stand in every row."""

_PAIRS = "over held-out pairs"
_JACKKNIFE = "delete-group jackknife over groups of pairs"
_CHANGE = "log-probability under the aligned model less that under its base, in nats"
_MARGIN = "{change} of the chosen side less the same of the rejected side"
_LENGTHS = "chosen tokens less rejected tokens"


def _accuracy(how: str) -> str:
    return (
        f"v1: share {_PAIRS} whose reward margin {how} is above 0; within rounding (the largest of "
        "the base against itself) a pair counts half; exact binomial interval of as many pairs as "
        "are independent (Korn and Graubard)"
    )


def _change(side: str) -> str:
    return f"v1: mean {_PAIRS} of {_CHANGE}, per token of the {side} side; {_JACKKNIFE}"


def _correlation(what: str) -> str:
    return (
        f"v1: Pearson's r {_PAIRS} of the {what}, summed over tokens, and {_LENGTHS}; "
        f"{_JACKKNIFE} of Fisher's z"
    )


def _at_equal_length(what: str) -> str:
    return (
        f"v1: the {what}, summed over tokens, that its least-squares line over {_LENGTHS} gives at "
        f"0, in nats; {_JACKKNIFE}"
    )


DEFINITIONS = {
    "preference_accuracy": _accuracy("(sums over tokens)"),
    "preference_accuracy_per_token": _accuracy("per token"),
    "reward_margin": f"v1: mean {_PAIRS} of {_MARGIN.format(change=_CHANGE)}, summed over tokens; "
    f"times beta it is the margin of DPO's implicit rewards; {_JACKKNIFE}",
    "reward_margin_per_token": f"v1: mean {_PAIRS} of {_MARGIN.format(change=_CHANGE)}, each side "
    f"per token of its own; {_JACKKNIFE}",
    "reward_margin_length_correlation": _correlation("reward margin"),
    "reward_margin_at_equal_length": _at_equal_length("reward margin"),
    "chosen_logp_change": _change("chosen"),
    "rejected_logp_change": _change("rejected"),
    "kl_per_token": "v1: mean over sampled tokens of KL(aligned||base) of the next token, in nats, "
    "exact over the vocabulary; along one continuation of each pair's prompt, sampled from the "
    f"aligned model at temperature 1, its end included; {_JACKKNIFE}",
    "base_margin": f"v1: mean {_PAIRS} of the base's log-probability of the chosen side less that "
    f"of the rejected side, in nats, summed over tokens; {_JACKKNIFE}",
    "base_margin_per_token": f"v1: the same, each side per token of its own; {_JACKKNIFE}",
    "base_margin_length_correlation": _correlation("base margin"),
    "base_margin_at_equal_length": _at_equal_length("base margin"),
    "on_policy_chosen": f"v1: mean {_PAIRS} of the base's log-probability per token of the chosen "
    "side less that of a continuation it samples itself after the same prompt, both cut to the "
    "shorter of the two, ends of texts not counted, in nats; 0 where the chosen side is the base's "
    f"own; {_JACKKNIFE}",
    "on_policy_chosen_logp": "v1: the first of the two numbers of which on_policy_chosen is the "
    f"difference: the chosen side's; {_JACKKNIFE}",
    "on_policy_chosen_own_logp": "v1: the second of the two: of the base's own continuations; "
    f"{_JACKKNIFE}",
}
"""Name of a value -> its written definition."""
