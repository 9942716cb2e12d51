"""Short texts for people: durations, sizes, first lines."""


def duration(seconds: float) -> str:
    """`42 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def first_line(text: str | None) -> str:
    """The first line of a message that says something."""
    return ((text or "").strip() or "no message").splitlines()[0]
