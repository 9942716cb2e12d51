"""Verb `launch`: run what is not done, then say what came out. The same command resumes."""

import argparse
import sys
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.console import note, say, say_json
from orchestrator.verb import (
    chosen_profile,
    chosen_root,
    chosen_study,
    study_argument,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from cluster.storage import Storage
    from orchestrator.budget.budget import Budget
    from orchestrator.chaos import ChaosRequest
    from orchestrator.dispatch.waiting.patience import Patience
    from orchestrator.dispatch.watcher import Watcher
    from orchestrator.locked_launch import Launched
    from orchestrator.profiles.kind import Place
    from orchestrator.profiles.node_prices import NodePrices
    from orchestrator.profiles.profile_file import ChosenProfile
    from orchestrator.study.study import Study
    from orchestrator.watchdog.limits import Limits

ORDER = 40
HELP = "run what is not done and print what came out; the same command resumes"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY, where to run it, and which of its jobs."""
    study_argument(parser)
    parser.add_argument(
        "--executor",
        help="ray (default: as many jobs at a time as the machine holds), or local: one process, "
        "no Ray",
    )
    parser.add_argument(
        "--address",
        metavar="RAY",
        help="join this Ray (host:port, or auto) instead of starting one",
    )
    parser.add_argument(
        "--cpus", type=int, metavar="N", help="cores that our own Ray may use (default: all)"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="SELECTOR",
        help="only these jobs and what they need: stage:axis=value,value or the start of a key",
    )
    parser.add_argument(
        "--submission",
        metavar="ID",
        help="run STUDY as it was when it was handed to a queue; batch scripts say this",
    )
    parser.add_argument(
        "--detach",
        action="store_true",
        help="go on without this terminal: as a job of the Ray at --address (or of a profile of "
        "kind ray), else as a process of its own; `status`, `logs` and `cancel` follow it. A "
        "launch through SLURM is detached by nature",
    )
    parser.add_argument(
        "--plain", action="store_true", help="progress as lines of words, on a terminal, too"
    )
    parser.add_argument(
        "--takeover", action="store_true", help="take the lease of a holder known to be gone"
    )
    parser.add_argument(
        "--patience",
        metavar="TIME",
        help="how long to wait for a storage, cluster or network that is away before jobs are "
        "asked to save and the launch ends: 90s, 30min, 12h, 2d "
        "(default: $DELTASCALE_PATIENCE, else 12h)",
    )
    parser.add_argument(
        "--notify",
        action="append",
        default=[],
        metavar="WAY",
        help="tell people of the first failure, long waits and the end: webhook:env:NAME, "
        "webhook:FILE, command:PROGRAM, wandb; besides what your configuration and the profile "
        "say; none: tell nobody. `deltascale notify` tries it",
    )
    parser.add_argument(
        "--budget",
        action="append",
        default=[],
        metavar="AMOUNT",
        help="the most that all launches of this study on this root may spend: 200gpuh, 2TB, or "
        "money in the currency of the profile's prices, as 500EUR; may be given for each. When it "
        "is spent, jobs are asked to save, and the launch ends with 76",
    )
    parser.add_argument(
        "--chaos",
        metavar="FAULTS",
        help="inject these faults on purpose, to see that the study survives them here: "
        "random:10, or kill-rank@STAGE:3,stall@STAGE,enospc@ledger; `--chaos help` lists them",
    )
    parser.add_argument(
        "--chaos-seed",
        type=int,
        default=0,
        metavar="N",
        help="what --chaos leaves to chance follows from it (default: 0); another one is another "
        "set of faults",
    )
    parser.add_argument(
        "--hang-after",
        action="append",
        default=[],
        metavar="TIME",
        help="end a job whose step takes longer than 3 times its longest step and this (default: "
        "20s), or whose phase lasts longer, as in loading=3h (default: 2h), or whose process a "
        "signal has stopped, as in stopped=10min (default: 5s, or 30s where no steps are timed); "
        "its stacks are kept, and it is tried again. never: end none. May be given for each "
        "(default: $DELTASCALE_HANG_AFTER)",
    )


def run(options: argparse.Namespace) -> int:
    """Launch the study; jobs that failed for good are not tried again.

    Args:
        options: the words of the command line.

    Returns:
        0 complete, 1 with failed jobs, 75 gave up waiting for its surroundings, its jobs asked
        to save, 76 its budget is spent, 130 interrupted or cancelled.

    Raises:
        UserError: something in the study or the options is wrong; nothing was run.
        SurroundingsError: the lock is held, the root is not writable, or there is no cluster.
    """
    return start(options, fresh=False)


def start(options: argparse.Namespace, *, fresh: bool) -> int:
    """Launch the study, print what the study says and how the launch ended; return the exit code.

    Whatever is at work, a first signal ends it in order: locks are released, and the code is 130.
    """
    from orchestrator.dispatch.interruption import handle_signals, restore_sigint

    restore_sigint()
    with handle_signals(may_raise=True):
        if getattr(options, "submission", None) is None:
            return _start(options, fresh=fresh)
        from orchestrator.detached.running import run_submission

        run = partial(_start, options, fresh=fresh)
        return run_submission(options, partial(chosen_root, options), run)


def _start(options: argparse.Namespace, *, fresh: bool) -> int:
    from orchestrator.profiles.launching import launch_on, place_of_flags

    if getattr(options, "chaos", None) == "help":
        from orchestrator.chaos import describe_faults

        say("\n".join(describe_faults()))
        return 0
    profile, (root, study) = chosen_profile(options), _chosen_study(options)

    _budget_and_prices(options, profile)  # a wrong word is told before anything is submitted
    _limits(options)

    is_in_allocation = getattr(options, "submission", None) is not None

    def run_here(place: "Place") -> int:
        if getattr(options, "detach", False) and not is_in_allocation:
            return _detach(options, root, study, place, fresh=fresh)
        return _run_here(options, root, study, place, fresh=fresh)

    if profile is None or is_in_allocation:
        return run_here(place_of_flags(options))
    return launch_on(profile, root, study, options, fresh=fresh, run_here=run_here)


def _chosen_study(options: argparse.Namespace) -> "tuple[Storage, Study]":
    """Return the root and the study: as it stands, or as it was when it was submitted."""
    if getattr(options, "submission", None) is None:
        return chosen_study(options)
    from orchestrator.dispatch.waiting.outage import outlast_storage
    from orchestrator.plan.submitted_study import open_submitted

    root = outlast_storage(partial(chosen_root, options), _patience(options))
    opened = partial(open_submitted, root, options.study, options.submission)
    return root, outlast_storage(opened, _patience(options))


def _patience(options: argparse.Namespace) -> "Patience":
    from orchestrator.dispatch.waiting.patience import Patience

    return Patience.of_environment(getattr(options, "patience", None))


def _detach(
    options: argparse.Namespace, root: "Storage", study: "Study", place: "Place", *, fresh: bool
) -> int:
    """Have the launch go on without this command."""
    from orchestrator.detached.detach import detach
    from orchestrator.detached.handover import Handover
    from orchestrator.profiles.ways import ways_of

    return detach(
        Handover(
            root=root,
            study=study,
            options=options,
            place=place,
            fresh=fresh,
            profile=chosen_profile(options),
            ways=ways_of(
                options, root, chosen_profile(options), is_elsewhere=place.address is not None
            ),
        )
    )


def _run_here(
    options: argparse.Namespace, root: "Storage", study: "Study", place: "Place", *, fresh: bool
) -> int:
    """Launch in this process, its jobs where the place says."""
    from cluster.machine.resources import this_machine
    from cluster.machine.set_variables import variables_set
    from orchestrator.dispatch.waiting.outage import outlast_storage
    from orchestrator.launch import launch
    from orchestrator.launch_output import launch_document, show_launched
    from orchestrator.notices.telling import Telling, watched
    from orchestrator.permission.configuration import read_configuration
    from orchestrator.permission.confirmation import allowed_keys, ask_at_terminal
    from orchestrator.profiles.launching import variables_of_script
    from orchestrator.profiles.place_executor import make_executor
    from orchestrator.profiles.ways import ways_of
    from orchestrator.records.detached import is_stopped
    from orchestrator.views.live_view import open_progress
    from orchestrator.views.text_output import summary_text

    chosen = chosen_profile(options)
    machines = [] if chosen is None else chosen.kind.machines(chosen.profile)
    budget, prices = _budget_and_prices(options, chosen)
    keys: list[str] = []
    also = [*read_configuration(root).environment, *place.variables, *variables_of_script()]
    ask = None if options.json else ask_at_terminal()
    identifier = getattr(options, "submission", None)
    telling = Telling(
        root, study.name, ways_of(options, root, chosen), note, is_alone=identifier is not None
    )

    def open_watcher() -> "AbstractContextManager[Watcher]":
        if identifier and is_stopped(root, study.name, identifier):
            raise KeyboardInterrupt  # cancelled while it planned, before it held the lock
        is_plain = getattr(options, "plain", False)
        return watched(telling, open_progress(root, sys.stderr, study.name, plain=is_plain))

    def act() -> "Launched":
        return launch(
            root,
            study,
            executor=make_executor(place, keys=keys, also=also),
            executor_name=place.executor,
            progress=open_watcher,
            only=options.only,
            fresh=fresh,
            takeover=options.takeover,
            patience=_patience(options),
            permit=lambda jobs: keys.extend(allowed_keys(root, study.name, jobs, ask)),
            budget=budget,
            prices=prices,
            machines=machines or [this_machine()],
            chaos=_chaos(options, place),
            limits=_limits(options),
            warn=note,
        )

    with variables_set(place.variables), telling.until_end():
        # Nobody is there to start it once more: it waits for its storage from the first look on.
        launched = outlast_storage(act, _patience(options)) if identifier else act()
        launched.decided.plan.own.bring()  # what is shown may be of the study's own metrics
        summarise = partial(summary_text, root, launched.decided, 72)
        telling.end(launched.report, launched.decided, summarise)
        if options.json:
            say_json(launch_document(study.name, launched))
        else:
            show_launched(root, study.name, launched)
    return launched.exit_code


def _chaos(options: argparse.Namespace, place: "Place") -> "ChaosRequest | None":
    from orchestrator.chaos import ChaosRequest

    if (words := getattr(options, "chaos", None)) is None:
        return None
    return ChaosRequest(words=words, seed=options.chaos_seed, address=place.address)


def _budget_and_prices(
    options: argparse.Namespace, chosen: "ChosenProfile | None"
) -> "tuple[Budget, NodePrices | None]":
    """Return what may be spent, and the prices of the profile. Raises UserError for a bad word."""
    from orchestrator.budget.budget import Budget
    from orchestrator.profiles.node_prices import prices_of

    prices = prices_of(chosen.profile if chosen else None)
    words = getattr(options, "budget", ())
    return Budget.of_words(words, prices.currency if prices else None), prices


def _limits(options: argparse.Namespace) -> "Limits":
    """Return how long jobs may show no progress. Raises UserError for a bad word."""
    from orchestrator.watchdog.limits import Limits

    return Limits.of_words(getattr(options, "hang_after", ()))
