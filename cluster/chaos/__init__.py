"""Faults that are injected on purpose: what they are, where and when they strike, how often."""
