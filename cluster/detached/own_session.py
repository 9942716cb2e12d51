"""Starts a process in a session of its own, which outlives the terminal and the login behind it."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path


def start_session(words: Sequence[str], environment: Mapping[str, str], output: Path) -> int:
    """Start a program that no terminal can end any more; return its process id.

    It leads a session of its own, reads nothing, and ignores SIGHUP, as under `setsid nohup`.

    Args:
        words: the command.
        environment: all variables that it has.
        output: file that takes what it prints, behind what stands there; its owner's alone, for
            nothing takes secrets out of what a program prints.

    Raises:
        OSError: the program or the file cannot be opened.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    opened = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with open(opened, "ab") as stream:
        with suppress(OSError):  # another user's, or a file system without modes
            os.fchmod(opened, 0o600)
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # inherited
        try:
            process = subprocess.Popen(
                list(words),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        finally:
            signal.signal(signal.SIGHUP, before)
    process.returncode = 0  # nobody here waits for it: no warning when this object goes
    return process.pid


def are_processes_ended_at_logout() -> bool:
    """Tell whether systemd ends a user's processes at logout here, other sessions of it included.

    `KillUserProcesses=yes` of logind does, where the user does not linger.
    """
    settings = [Path("/etc/systemd/logind.conf")]
    settings += sorted(Path("/etc/systemd/logind.conf.d").glob("*.conf"))
    kills = False
    for file in settings:
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, value = line.partition("=")
            if name.strip() == "KillUserProcesses":
                kills = value.strip().lower() in ("yes", "true", "1", "on")
    user = os.environ.get("USER", "")
    return kills and not Path("/var/lib/systemd/linger", user or "-").exists()
