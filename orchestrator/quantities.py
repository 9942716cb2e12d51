"""Amounts as people write them: memory and lengths of time, each with its unit."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

_BYTES = {
    "MB": 1e6,
    "GB": 1e9,
    "TB": 1e12,
    "MiB": 2.0**20,
    "GiB": 2.0**30,
    "TiB": 2.0**40,
}
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_AMOUNT = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?([A-Za-z]+)", re.ASCII)
_CLOCK = re.compile(r"(?:(\d{1,4})-)?(\d{1,3}):(\d{2}):(\d{2})", re.ASCII)


def _read_memory_gb(written: object) -> float:
    allowed = "write a number and its unit, such as 512GB (10^9 bytes) or 480GiB (2^30 bytes)"
    amount, unit = _amount_and_unit(written, allowed)
    if unit not in _BYTES:
        near = {name[0]: name for name in ("MB", "GB", "TB")}.get(unit[:1].upper())
        meant = f"; did you mean {amount:g}{near}?" if near else ""
        raise ValueError(f"{unit!r} is no unit of memory ({', '.join(_BYTES)}){meant}")
    return amount * _BYTES[unit] / 1e9


def read_seconds(written: object) -> float:
    """Read a length of time such as `90s` or `2d`. Raises ValueError, with an example."""
    allowed = "write a number and its unit, such as 90min, 24h or 2d (or 1-12:00:00, as SLURM does)"
    clock = _CLOCK.fullmatch(written) if isinstance(written, str) else None
    if clock is not None:
        days, hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return float(days * 86400 + hours * 3600 + minutes * 60 + seconds)
    amount, unit = _amount_and_unit(written, allowed)
    if unit not in _SECONDS:
        raise ValueError(f"{unit!r} is no unit of time ({', '.join(_SECONDS)}); {allowed}")
    return amount * _SECONDS[unit]


def _amount_and_unit(written: object, allowed: str) -> tuple[float, str]:
    if isinstance(written, (int, float)) and not isinstance(written, bool):
        raise ValueError(f"{written:g} has no unit: {allowed}")
    match = _AMOUNT.fullmatch(written.strip()) if isinstance(written, str) else None
    if match is None:
        raise ValueError(allowed)
    return float(match[1]), match[2]


MemoryGb = Annotated[
    float,
    BeforeValidator(_read_memory_gb),
    Field(gt=0),
    WithJsonSchema({"type": "string", "pattern": f"^[0-9.]+ ?({'|'.join(_BYTES)})$"}),
]
"""Memory in 10^9 bytes, written with its unit: `512GB`, `480GiB`."""
Seconds = Annotated[
    float,
    BeforeValidator(read_seconds),
    Field(gt=0),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": rf"^([0-9.]+ ?({'|'.join(_SECONDS)})|(\d+-)?\d+:\d\d:\d\d)$",
        }
    ),
]
"""A length of time in seconds, written with its unit: `24h`, `90min`; or as SLURM does."""
