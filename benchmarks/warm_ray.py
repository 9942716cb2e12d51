"""A Ray that runs already, as on a cluster, and a bare script that joins it."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.waiting import until

_BARE_START = """
import logging, sys, time
import ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.ERROR)
def now():
    return time.time()
print("first", ray.get(ray.remote(max_retries=0)(now).remote()))
"""


@contextmanager
def warm_ray(folder: Path, cores: int) -> Iterator[str]:
    """Start a Ray with a token, as on a cluster, and yield the address of its head."""
    token = folder / "token"
    token.write_text("0123456789abcdef" * 4)
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    files = f"/tmp/dsb{os.getpid()}"  # short, whatever TMPDIR is: Ray's sockets lie below it
    words = ["start", "--head", "--block", f"--num-cpus={cores}", f"--port={port}"]
    words += ["--include-dashboard=false", f"--temp-dir={files}"]
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    head = subprocess.Popen(
        [*ray, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
    )
    try:
        until(lambda: _listens(port), head)
        until(lambda: bare_start(f"127.0.0.1:{port}"), head)  # its node joined, a worker warm
        yield f"127.0.0.1:{port}"
    finally:
        started = family(head.pid)
        head.terminate()
        _, left = psutil.wait_procs(started, timeout=20)
        for process in left:
            process.kill()
        head.wait()
        shutil.rmtree(files, ignore_errors=True)


def bare_start(address: str) -> float | None:
    """Return the seconds from a script's start to its task at work; None where Ray is not ready."""
    began = time.time()
    words = [sys.executable, "-c", _BARE_START, address]
    said = subprocess.run(words, capture_output=True, text=True).stdout
    match = re.search(r"^first (\S+)$", said, re.MULTILINE)
    return float(match[1]) - began if match else None


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def family(pid: int) -> Sequence[psutil.Process]:
    """Return a process and all that it started, as far as they live."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []
