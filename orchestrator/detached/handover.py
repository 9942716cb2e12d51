"""`Handover`: a launch that is to go on without this command, and the command line that runs it."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.storage import Storage
from orchestrator.chaos import words_of_request
from orchestrator.notices.chosen_ways import ChosenWay
from orchestrator.profiles.kind import Place
from orchestrator.profiles.profile_file import ChosenProfile
from orchestrator.study.study import Study


@dataclass(frozen=True, kw_only=True)
class Handover:
    """What is to go on without this command."""

    root: Storage
    """The output root."""
    study: Study
    """The study."""
    options: argparse.Namespace
    """The words of the command line."""
    place: Place
    """Where its jobs run."""
    fresh: bool
    """Whether failed jobs get a new retry budget (`resume`)."""
    profile: ChosenProfile | None
    """The profile; None without one."""
    ways: Sequence[ChosenWay] = ()
    """How people are told of it."""

    @property
    def root_place(self) -> str:
        """The root, as a process in any folder finds it."""
        return str(Path(self.root.url).resolve()) if self.root.is_local else self.root.url

    def words(self, identifier: str) -> Sequence[str]:
        """Return what follows `deltascale` in the command that runs it, but for where jobs run."""
        options = self.options
        patience = getattr(options, "patience", None)
        return [
            "resume" if self.fresh else "launch",
            self.study.name,
            "--submission",
            identifier,
            "--root",
            self.root_place,
            *(word for selector in options.only for word in ("--only", selector)),
            *(["--takeover"] if options.takeover else []),
            *(["--patience", patience] if patience else []),
            *(word for amount in options.budget or () for word in ("--budget", amount)),
            *(
                word
                for limit in getattr(options, "hang_after", ())
                for word in ("--hang-after", limit)
            ),
            *words_of_request(options),
            *(word for way in self.ways for word in ("--notify", str(way))),
        ]
