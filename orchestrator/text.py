"""Short texts for people: durations, sizes, first lines."""

from collections.abc import Sequence

_CONTROLS = {
    code: "" if chr(code) == "\r" else "?"
    for code in (*range(32), *range(127, 160))
    if chr(code) not in "\n\t"
}


def printable(text: str) -> str:
    """Return a text without control characters: to a terminal, ESC begins a command."""
    return text if text.isprintable() else text.translate(_CONTROLS)


def duration(seconds: float) -> str:
    """Write a duration as `42 s`, `3 min 20 s` or `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def gigabytes(number: int) -> str:
    """Write a number of bytes as `12.3 GB` (10^9 bytes), or in MB when it is small."""
    return f"{number / 1e9:.1f} GB" if number >= 1e8 else f"{number / 1e6:.1f} MB"


def pluralize(number: int, noun: str) -> str:
    """Write a number with its noun: `1 job`, `4 jobs`, `2 launches`."""
    plural = "es" if noun.endswith(("ch", "sh", "s", "x")) else "s"
    return f"{number} {noun}{'' if number == 1 else plural}"


def first_line(text: str | None) -> str:
    """Return the first line of a message that is not blank; `no message` where there is none."""
    return printable(((text or "").strip() or "no message").splitlines()[0])


def changed_data_in_words(paths: Sequence[str], study: str) -> str:
    """Say which data of a study have changed since it was launched, of many the first."""
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return (
        f"changed since the launch that is shown: {', '.join(paths[:3])}{more}; "
        f"`deltascale plan {study}` says what is another job with them"
    )
