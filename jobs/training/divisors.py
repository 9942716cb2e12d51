"""Divisors of a batch: how it may be divided among ranks and passes."""

import math


def divisors(number: int) -> list[int]:
    """Return what divides a number, the smallest first; the square root of it is all the work."""
    small = [part for part in range(1, math.isqrt(number) + 1) if number % part == 0]
    return small + [number // part for part in reversed(small) if part * part != number]
