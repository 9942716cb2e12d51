"""`python -m tests.soak` (`make soak`): 200 jobs under 100 faults, and what it came to.

With `--layouts` a smaller study under faults that change how its training is laid out.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.layouts import layouts, soak_layouts
from tests.soak.soaking import OWN_RAY, Result, Soak, launch_undisturbed, say, several_nodes


def main() -> int:
    """Soak as the command line says; return 0 when all came out as undisturbed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--faults", type=int, default=100, help="of which a fifth from outside")
    parser.add_argument("--nodes", type=int, default=1, help="above 1: a Ray of several nodes")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--folder", type=Path, default=None, help="where roots and logs are kept")
    parser.add_argument("--layouts", action="store_true", help="faults that change the layout")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="soak-"))
    say(f"seed {options.seed}, {options.faults} faults, {options.nodes} nodes; logs in {folder}")
    if options.layouts:
        return _soak_layouts(folder, options.seed, options.minutes)
    undisturbed = launch_undisturbed(folder / "undisturbed")
    from_outside = options.faults // 5
    began = time.monotonic()
    soak = Soak(
        root=folder / f"soak-{options.seed}-{options.nodes}",
        seed=options.seed,
        num_injected=options.faults - from_outside,
        num_from_outside=from_outside,
    )
    if options.nodes > 1:
        with several_nodes(options.nodes) as (address, outside):
            soak.words, soak.outside = ["--address", address], outside
            code = soak.run(options.minutes * 60)
    else:
        soak.words, soak.outside = ["--cpus", "2"], OWN_RAY
        code = soak.run(options.minutes * 60)
    say(f"{soak.describe()}; {time.monotonic() - began:.0f} s")
    if code != 0:
        say(f"FAILED: the last launch ended with {code}; see {soak.log}")
        return 1
    different = undisturbed.differences(Result.of(soak.root))
    for name in different:
        say(f"FAILED: not as undisturbed: {name}")
    return 1 if different else 0


def _soak_layouts(folder: Path, seed: int, minutes: float) -> int:
    soak, code, different = soak_layouts(folder, seed, minutes * 60)
    say(f"{soak.describe()}; {dict(layouts(soak.root))}")
    for name in different:
        say(f"FAILED: beyond its floor: {name}")
    if code != 0:
        say(f"FAILED: the last launch ended with {code}; see {soak.log}")
    return 1 if code or different else 0


if __name__ == "__main__":
    sys.exit(main())
