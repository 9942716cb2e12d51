"""Stops this process, all its threads, and has it go on later."""

import os
import signal
import subprocess


def stop_for(seconds: float) -> None:
    """Stop this process for so many seconds; a process of its own wakes it.

    It is woken by its id while it is stopped, so that the id cannot be another's.
    """
    waker = f"sleep {max(0.1, seconds):.3f}; kill -CONT {os.getpid()}"
    subprocess.Popen(
        ["/bin/sh", "-c", waker], start_new_session=True, close_fds=True, stdin=subprocess.DEVNULL
    )
    os.kill(os.getpid(), signal.SIGSTOP)
