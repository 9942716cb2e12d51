"""`Budget`: the most that all launches of a study on one root may spend, as `--budget` says it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cluster.errors import UserError, unknown_name

GPU_HOURS = "gpuh"
"""Unit of GPU-hours."""
BYTES = "bytes"
"""Unit that disk is counted in, however it was written."""
_BYTES = {"MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15}
_CURRENCY = re.compile(r"[^\W\d_]{1,12}|[€$£¥]")
_AMOUNT = re.compile(rf"(\d{{1,15}}(?:\.\d{{1,9}})?)\s*({_CURRENCY.pattern}|[^\W\d_]\w*)")
_FLAG = "--budget"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The most that may be spent; what is not limited is absent."""

    limits: Mapping[str, float] = field(default_factory=dict)
    """`gpuh`, `bytes` or the profile's currency -> the most of it."""

    def __bool__(self) -> bool:
        """Tell whether anything is limited."""
        return bool(self.limits)

    @property
    def limits_money(self) -> bool:
        """Tell whether it limits money."""
        return not self.limits.keys() <= {GPU_HOURS, BYTES}

    @classmethod
    def of_words(cls, words: Sequence[str], currency: str | None = None) -> "Budget":
        """Read `200gpuh`, `2TB` or `500EUR`, each at most once.

        Args:
            words: what the flags say.
            currency: in which prices are known; None where there are none.

        Raises:
            UserError: one of them is no amount, or of no unit that can be counted here.
        """
        limits: dict[str, float] = {}
        for word in words:
            unit, most = _amount(word, currency)
            if unit in limits:
                raise UserError(
                    f"the budget of {_NAMES.get(unit, unit)} is given twice", where=_FLAG
                )
            limits[unit] = most
        return cls(limits=limits)


def check_currency(written: str) -> str:
    """Return what may be the currency of prices. Raises ValueError where a budget reads it else."""
    if not _CURRENCY.fullmatch(written):
        raise ValueError("write the currency's code, such as EUR or USD, or a unit such as credits")
    if written.lower() in {GPU_HOURS, BYTES, *map(str.lower, _BYTES)}:
        raise ValueError(f"{written!r} is a unit of `--budget` already: write EUR, USD, credits, …")
    return written


def _amount(word: str, currency: str | None) -> tuple[str, float]:
    """Return the unit that is counted in, and how much of it."""
    units = {GPU_HOURS: (GPU_HOURS, 1.0), **{name: (BYTES, size) for name, size in _BYTES.items()}}
    if currency:
        units[currency] = (currency, 1.0)
    match = _AMOUNT.fullmatch(word.strip())
    if match is None:
        raise UserError(
            f"{word!r} is no budget",
            where=_FLAG,
            allowed=[f"200{name}" for name in units],
            hint="a number and a unit, such as 200gpuh or 1.5TB",
        )
    named = {name.lower(): size for name, size in units.items()}
    if (unit := named.get(match[2].lower())) is None:
        raise _unknown_unit(match[2], list(units), currency)
    most = float(match[1]) * unit[1]
    if most <= 0:
        raise UserError(f"a budget of {word!r} allows nothing: give more than 0", where=_FLAG)
    return unit[0], most


def _unknown_unit(written: str, units: list[str], currency: str | None) -> UserError:
    fault = unknown_name("unit", written, units, where=_FLAG)
    if fault.hint is not None or not re.fullmatch(r"[A-Z]{3}|[€$£¥]", written):
        return fault
    prices = f"in {currency}" if currency else "known to no profile here"
    hint = f"prices are {prices}; a profile gives them: `--on`, `price` of its nodes, `currency`"
    return UserError(fault.error, where=_FLAG, allowed=units, hint=hint)


_NAMES = {GPU_HOURS: "GPU-hours", BYTES: "disk"}


def describe_amount(unit: str, amount: float) -> str:
    """Write an amount with its unit, as `12.5 GPU-hours`, `1.25 TB` or `80.00 EUR`."""
    if unit == GPU_HOURS:
        return f"{_short(amount)} GPU-hours"
    if unit != BYTES:
        return money_text(amount, unit)
    name, size = next(
        ((name, size) for name, size in reversed(_BYTES.items()) if abs(amount) >= size),
        ("MB", 1e6),
    )
    return f"{_short(amount / size)} {name}"


def money_text(amount: float, currency: str) -> str:
    """Return `12.50 EUR`, with two digits that count below a hundredth."""
    number = f"{amount:,.2f}" if amount >= 0.01 or not amount else f"{amount:.2g}"
    return f"{number} {currency}"


def _short(number: float) -> str:
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.3g}"
