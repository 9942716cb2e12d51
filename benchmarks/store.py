"""The store's disk side: writing beside a plain write, digesting beside a plain read, and memory.

    python -m benchmarks.store [--gigabytes 50] [--folder DIR] [--rounds 5]

Rows are simulated, in blocks as the extraction of 24 places at d = 4096 hands them over. What a
round writes is deleted after it, so at most 3 GB stand at once. The sync before each write and the
one that ends it are not the same: the first, untimed, leaves the disk idle, the second is timed.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.workload import arguments, settled, timed
from jobs.artifacts.artifact import digest_file
from jobs.extraction.writer_thread import WriterThread
from jobs.store.unit_writer import RowBlock, UnitWriter
from jobs.tokens.batches import Unit

_PLACES = [(site, layer) for site in ("resid_mid", "resid_post", "mlp_out") for layer in range(8)]
_ROWS, _D = 64, 4096
_BLOCK_BYTES = len(_PLACES) * _ROWS * _D * 4
_UNIT_BYTES = 2 * 10**9
_REPORT_BYTES = 5 * 10**9
_READ_BYTES = 1 << 24


def main() -> None:
    """Print the lines."""
    parser = arguments(__doc__)
    parser.add_argument("--gigabytes", type=float, default=50)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default: temporary")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    print(settled(chosen))
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        folder = Path(name)
        source = np.random.default_rng(0).standard_normal((len(_PLACES), _ROWS, _D), np.float32)
        _write(folder, source, chosen.rounds)
        _verify(folder, source, chosen.rounds)
        _stream(folder, source, chosen.gigabytes)


def _unit(number: int) -> Unit:
    return Unit(number=number, group=0, members=np.arange(1), num_tokens=1)


def _block(source: np.ndarray, number: int) -> RowBlock:
    """Return a block of its own memory."""
    tokens = np.arange(_ROWS) + number * _ROWS
    return RowBlock(
        label="last",
        tokens=tokens,
        reservoir=np.ones(_ROWS, dtype=bool),
        rows={place: source[index].copy() for index, place in enumerate(_PLACES)},
    )


def _write_unit(folder: Path, blocks: Sequence[RowBlock]) -> None:
    writer = UnitWriter(folder, _unit(0), "plan")
    for block in blocks:
        writer.add(block)
    writer.finish({}, {})


def _write_plainly(folder: Path, blocks: Sequence[RowBlock]) -> None:
    with open(folder / "plain", "wb", buffering=0) as stream:
        for block in blocks:
            for rows in block.rows.values():
                stream.write(memoryview(rows).cast("B"))  # type: ignore[arg-type]
        os.fsync(stream.fileno())


def _write(folder: Path, source: np.ndarray, rounds: int) -> None:
    blocks = [_block(source, number) for number in range(10**9 // _BLOCK_BYTES)]
    seconds = np.zeros((rounds, 2))
    ways: tuple[Callable[[Path, Sequence[RowBlock]], None], ...] = (_write_plainly, _write_unit)
    for number in range(rounds):
        for way in (0, 1) if number % 2 else (1, 0):
            os.sync()
            seconds[number, way], _ = timed(partial(ways[way], folder, blocks))
            _empty(folder)
    speeds = len(blocks) * _BLOCK_BYTES / 1e9 / np.median(seconds, axis=0)
    ratio = np.median(seconds[:, 0] / seconds[:, 1])
    print(
        f"write {len(blocks) * _BLOCK_BYTES / 1e9:.1f} GB: UnitWriter {speeds[1]:.2f} GB/s, "
        f"plain sequential write and fsync {speeds[0]:.2f} GB/s, ratio {ratio:.3f} "
        f"(rounds {_listed(seconds[:, 0] / seconds[:, 1])})",
        flush=True,
    )


def _verify(folder: Path, source: np.ndarray, rounds: int) -> None:
    _write_unit(folder, [_block(source, number) for number in range(10**9 // _BLOCK_BYTES)])
    files = sorted(folder.rglob("*.safetensors"))
    size = sum(file.stat().st_size for file in files) / 1e9
    for cached in (True, False):
        seconds = np.zeros((rounds, 2))
        for number in range(rounds):
            for way, read in enumerate((_read_plainly, digest_file)):
                for file in files:
                    _read_plainly(file) if cached else _forget(file)
                seconds[number, way], _ = timed(partial(_each, read, files))
        plain, digested = size / np.median(seconds, axis=0)
        state = "in the page cache" if cached else "after posix_fadvise(DONTNEED)"
        print(
            f"verify {size:.1f} GB {state}: {digested:.2f} GB/s, plain read {plain:.2f} GB/s, "
            f"ratio {np.median(seconds[:, 0] / seconds[:, 1]):.3f}",
            flush=True,
        )
    _empty(folder)


def _each(read: Callable[[Path], object], files: Sequence[Path]) -> None:
    for file in files:
        read(file)


def _read_plainly(file: Path) -> None:
    buffer = bytearray(_READ_BYTES)
    with open(file, "rb", buffering=0) as stream:
        while stream.readinto(buffer):
            pass


def _forget(file: Path) -> None:
    """Ask the kernel to drop the file's pages; it may keep some."""
    with open(file, "rb") as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _stream(folder: Path, source: np.ndarray, gigabytes: float) -> None:
    """Send rows through thread and writer; a unit is deleted once it is complete."""
    import torch

    began, given = time.perf_counter(), 0
    peaks: list[float] = []
    at_start = _memory("VmRSS")
    _forget_peak()
    with WriterThread(torch.device("cpu")) as thread:
        for number, blocks in enumerate(_units(source, int(gigabytes * 1e9))):
            writer = UnitWriter(folder, _unit(number), "plan")
            for block in blocks:
                thread.submit(partial(writer.add, block), _BLOCK_BYTES)
                del block
                given += _BLOCK_BYTES
                if given // _REPORT_BYTES > len(peaks):
                    peaks.append(_memory("VmHWM") - at_start)
                    _forget_peak()
                    print(f"streamed {given / 1e9:5.1f} GB: peak {peaks[-1]:.2f} GB", flush=True)
            thread.submit(partial(writer.finish, {}, {}))
            thread.submit(partial(shutil.rmtree, folder / _unit(number).name))
    peaks.append(_memory("VmHWM") - at_start)
    seconds = time.perf_counter() - began
    print(
        f"streamed {given / 1e9:.1f} GB at {given / 1e9 / seconds:.2f} GB/s, source included: "
        f"at most {max(peaks):.2f} GB of memory above the start (which was {at_start:.2f} GB)"
    )


def _units(source: np.ndarray, nbytes: int) -> Iterator[Iterator[RowBlock]]:
    per_unit = _UNIT_BYTES // _BLOCK_BYTES
    total = max(1, nbytes // _BLOCK_BYTES)
    for start in range(0, total, per_unit):
        yield (_block(source, number) for number in range(start, min(start + per_unit, total)))


def _memory(field: str) -> float:
    """GB of this process: VmRSS now, VmHWM the most since the peak was forgotten."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e9
    raise AssertionError(f"/proc/self/status has no {field}")


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _empty(folder: Path) -> None:
    for each in folder.iterdir():
        shutil.rmtree(each) if each.is_dir() else each.unlink()


def _listed(ratios: np.ndarray) -> str:
    return " ".join(f"{ratio:.2f}" for ratio in ratios)


if __name__ == "__main__":
    main()
