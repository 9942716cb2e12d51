"""How a number with an interval is written: the interval decides how many digits are shown."""

import math
from decimal import ROUND_HALF_EVEN, Decimal

SIGNIFICANT_DIGITS = 2
DIGITS_WITHOUT_INTERVAL = 3
ROUNDING_NOISE = 1e-9
"""An interval this narrow, relative to its ends, says only that fp64 was used."""
MISSING = "—"


def format_value(value: float, low: float | None = None, high: float | None = None) -> str:
    """Write `value ± half-width`, or `value [low, high]` when the ends differ by over 10 %.

    Or where `value ± half-width` would reach or exclude 0, and the interval does not.
    The half-width is shown with two significant digits and the value with as many decimals;
    without an interval the value has three significant digits. A true 0 is written `0`.
    """
    if low is None or high is None or not _tells_digits(low, high):
        return format_number(value)
    half = (high - low) / 2
    is_uneven = abs((high - value) - (value - low)) > 0.1 * 2 * half
    if is_uneven or _signs(value - half, value + half) != _signs(low, high):
        return format_ends(value, low, high)
    place, exponent = last_place(half, SIGNIFICANT_DIGITS), _exponent(max(abs(value), half))
    shown, width = (_at_place(number, place, exponent) for number in (value, half))
    tail = "" if exponent == 0 else f"e{exponent:+03d}"
    return f"({shown} ± {width}){tail}" if tail else f"{shown} ± {width}"


def _signs(low: float, high: float) -> tuple[int, int]:
    """Return on which side of 0 both ends are; 0 where one is there."""
    noise = ROUNDING_NOISE * (high - low)
    first, last = (0 if abs(end) <= noise else 1 if end > 0 else -1 for end in (low, high))
    return first, last


def format_ends(value: float, low: float, high: float) -> str:
    """Write `value [low, high]`, all to the place of the half-width's second significant digit.

    Of ends that are the same within rounding each has as many digits as a number without interval.
    """
    if not _tells_digits(low, high):
        return f"{format_number(value)} [{format_number(low)}, {format_number(high)}]"
    half = (high - low) / 2
    place, exponent = last_place(half, SIGNIFICANT_DIGITS), _exponent(max(abs(value), half))
    tail = "" if exponent == 0 else f"e{exponent:+03d}"
    texts = [f"{_at_place(number, place, exponent)}{tail}" for number in (value, low, high)]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"


def format_beside(
    number: float, low: float | None, high: float | None, significant: int = SIGNIFICANT_DIGITS
) -> str:
    """Write a number that is held against an interval: as finely as that, or to three digits.

    That is to so many significant digits of the interval's half-width.
    """
    digits = DIGITS_WITHOUT_INTERVAL
    if number and low is not None and high is not None and _tells_digits(low, high):
        place = last_place((high - low) / 2, significant)
        digits = max(digits, Decimal(repr(abs(number))).adjusted() - place + 1)
    return format_number(number, digits)


def _tells_digits(low: float, high: float) -> bool:
    """Tell whether an interval is more than the noise of fp64."""
    width = high - low
    return math.isfinite(width) and width / 2 > ROUNDING_NOISE * max(abs(low), abs(high))


def format_number(value: float, digits: int = DIGITS_WITHOUT_INTERVAL) -> str:
    """Write a number without an interval to `digits` digits; a whole number as it is."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    exponent = _exponent(abs(value))
    tail = "" if exponent == 0 else f"e{exponent:+03d}"
    return _at_place(value, last_place(abs(value), digits), exponent) + tail


def format_count(count: int) -> str:
    """Write a parameter count: 110,336 is `0.11 M`, 354,823,168 is `355 M`, 7e9 `7.00 B`.

    Three significant digits, two below a million.
    """
    unit, name = (1e9, "B") if count >= 999.5e6 else (1e6, "M")
    digits = 3 if count >= 1e6 else 2
    return f"{_at_place(count / unit, last_place(count / unit, digits), 0)} {name}"


def last_place(number: float, digits: int) -> int:
    """Return the power of ten of the last digit kept: 0.0234 to two digits is -3."""
    if number == 0:
        return 0
    place = Decimal(repr(number)).adjusted() - digits + 1
    # Rounding may carry into a new leading digit (0.00996 -> 0.010): one digit less is kept.
    return place + (abs(_quantize(number, place)).adjusted() - place >= digits)


def _quantize(number: float, place: int) -> Decimal:
    return Decimal(repr(float(number))).quantize(Decimal((0, (1,), place)), ROUND_HALF_EVEN)


def _exponent(largest: float) -> int:
    """Return the power of ten taken out of numbers: none between 0.0001 and ten million."""
    power = Decimal(repr(largest)).adjusted() if largest else 0
    return 0 if -4 <= power < 7 else power


def _at_place(number: float, place: int, exponent: int) -> str:
    """Write `number` / 10^exponent in decimals, rounded at 10^place, with no negative zero."""
    scaled = _quantize(number, place).scaleb(-exponent)
    return f"{scaled + 0:f}" if scaled else f"{abs(scaled):f}"
