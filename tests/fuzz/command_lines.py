"""Command lines: verbs with options and words of every kind, on a root without and with a study."""

import argparse
from pathlib import Path
from random import Random

from tests.fuzz.mutation import TEXTS, scalar
from tests.fuzz.run import command

_CHAIN = """\
study: chain
axes: {x: [1, 2]}
stages:
  base: {kind: probe, over: [x], params: {index: "${x}"}}
  next: {kind: probe, inputs: {after: base}, params: {index: 1, waits: true}}
"""
_WORDS = (
    *(
        "chain",
        "chain.yaml",
        "nothing.yaml",
        "base",
        "base:x=1",
        "x=1",
        "x=1,2",
        "base:x=",
        "=",
        ":",
    ),
    *("abcd", "3f9a", "1x1xT4", "2x8xH100", "9" * 5000, "-1", "--", "-", "a\0b", "\udcff.yaml"),
    *("zip://x", "memory://x", "nope://", "file:///dev/null", "s3://", "root", "/dev/null/x"),
    *("a" * 300 + ":1", "host:99999", "local", "ray", "csv", "json", "parquet", "::chain"),
)


class Fuzzer:
    """Runs one command line a case."""

    def __init__(self, given: Path) -> None:
        from orchestrator.cli import verb_names
        from orchestrator.verb import VERBS

        self.options = {}
        for verb in verb_names():
            parser = argparse.ArgumentParser(add_help=False)
            VERBS.find(verb).arguments(parser)
            self.options[verb] = [
                text for action in parser._actions for text in action.option_strings
            ]

    def case(self, rng: Random, work: Path) -> None:
        """Draw a verb, its options and words; never a launch that would join or start a Ray."""
        (work / "chain.yaml").write_text(_CHAIN)
        verb = rng.choice([*self.options, rng.choice(TEXTS)])
        words = [verb]
        if rng.random() < 0.7:
            words.append(rng.choice(("chain.yaml", "chain")))
        for _ in range(rng.randrange(4)):
            words += self._drawn(verb, rng)
        if "--root" not in words and rng.random() < 0.9:
            words += ["--root", "root"]
        starts_ray = verb in ("launch", "resume", "verify") and "local" not in words
        if starts_ray:
            words += ["--executor", "local"]
        if "--watch" not in words and "--follow" not in words:
            command(*words)

    def _drawn(self, verb: str, rng: Random) -> list[str]:
        draw = rng.random()
        options = [*self.options.get(verb, ()), "--root", "--json", "--debug"]
        if draw < 0.5:
            option = rng.choice(options)
            drawn = rng.choice((*_WORDS, *TEXTS, str(scalar(rng))))
            return rng.choice(([option], [option, drawn], [f"{option}={drawn}"]))
        return [rng.choice((*_WORDS, *TEXTS))]
