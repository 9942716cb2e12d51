"""Ends processes that this one was started by, or has started, by a word of their command lines."""

from contextlib import suppress


def kill_above(word: str, *, has: tuple[str, str]) -> bool:
    """Kill the nearest process above this one that is called so; tell if there was one.

    Args:
        word: its name.
        has: a variable of its environment and the value by which it is known as ours.
    """
    import psutil

    variable, value = has
    for process in psutil.Process().parents():
        with suppress(psutil.Error):
            if process.name() == word:
                if process.environ().get(variable) != value:
                    return False
                process.kill()
                return True
    return False


def kill_below(word: str) -> bool:
    """Kill a process below this one with a word in its command line; tell if there was one."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if word in " ".join(process.cmdline()):
                process.kill()
                return True
    return False
