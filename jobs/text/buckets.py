"""Buckets of texts by hash: of splits, samples and groups, the same on every machine."""

import xxhash

from analysis.measurement import NUM_GROUPS


def bucket(text: str, num_buckets: int) -> int:
    """Return which of `num_buckets` a text falls in, the same everywhere and for good."""
    return xxhash.xxh3_64_intdigest(text.encode("utf-8")) % num_buckets


def group_of(source_prompt: str) -> int:
    """Return the group of a prompt, 0 to 19."""
    return bucket(source_prompt, NUM_GROUPS)
