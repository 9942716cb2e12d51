"""One study over two hosts in namespaces of this machine, and over one host with the same cores.

    python -m benchmarks.hosts            (root; iproute2 and tini)

Both have a Ray that asks for a token, up and warm before the clock starts; the root is a folder
that all hosts share. The study trains one base, four aligned models and a gang of two ranks, which
is spread over both hosts where there are two, and extracts from each. They take turns; the clock
runs from the command to its end. `--pin` gives each of the two hosts one core for everything that
runs on it, launch and Ray included; without it the kernel spreads what the hosts do over the cores,
as it does on the one host.
"""

import argparse
import shutil
import statistics
import sys
import time
from pathlib import Path

from tests.hosts.ray_over_hosts import Site
from tests.network_namespaces import Network, what_is_missing

STUDY = Path(__file__).with_suffix(".yaml")
_LAUNCHED_WITHIN_S = 1800


def main() -> int:
    """Print the seconds of each turn and the ratio of their medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60, help="optimizer steps of each training")
    parser.add_argument("--pin", action="store_true", help="one core for each of the two hosts")
    chosen = parser.parse_args()
    if (missing := what_is_missing()) is not None:
        sys.stderr.write(f"{missing}\n")
        return 2
    with Network("one") as alone, Network("one", "two") as apart:
        sites = {1: Site(alone, cpus=2), 2: Site(apart, cpus=1)}
        if chosen.pin:
            sites[2].cores = {"one": "0", "two": "1"}
        for site in sites.values():
            site.start_ray()
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for number in range(chosen.rounds + 1):
            for hosts in (1, 2) if number % 2 else (2, 1):
                # The first of each is to warm up: files in memory, code carried to the hosts.
                words = () if number else ("--only", "base", "--only", "pairs", "--only", "prompts")
                took = _launch(sites[hosts], hosts, chosen.steps, *words)
                print(f"{'turn' if number else 'warm-up'} on {hosts} host(s): {took:.1f} s")
                sys.stdout.flush()
                if number:
                    seconds[hosts].append(took)
    one, two = (statistics.median(seconds[hosts]) for hosts in (1, 2))
    print(
        f"one host of two cores {one:.1f} s, two hosts of one core {two:.1f} s (medians of "
        f"{chosen.rounds}): ratio {two / one:.3f} (at most 1.15)"
    )
    return 0


def _launch(site: Site, hosts: int, steps: int, *words: str) -> float:
    folder = Path(site.network.folder)
    study, root = folder / "hosts.yaml", folder / "root"
    text = STUDY.read_text().replace("steps: 60", f"steps: {steps}")
    study.write_text(text.replace("num_nodes: 2", f"num_nodes: {hosts}"))
    shutil.rmtree(root, ignore_errors=True)
    began = time.monotonic()
    launch = site.launch(study, *words, root=root)
    out, err = launch.communicate(timeout=_LAUNCHED_WITHIN_S)
    if launch.returncode:
        sys.exit(out + err)
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
