"""Secrets made at run time, so that no scanner takes a line of this repository for a real one."""

import random
import string

_RANDOM = random.Random(7)


def letters(number: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(_RANDOM.choice(alphabet) for _ in range(number - 2)) + "a1"


def tokens() -> dict[str, str]:
    """Return one invented token of each known shape."""
    upper = string.ascii_uppercase + string.digits
    bodies = {
        "hf" + "_": 34,
        "sk" + "-": 48,
        "sk-" + "proj-": 48,
        "gh" + "p_": 36,
        "gh" + "s_": 36,
        "github" + "_pat_": 60,
        "gs" + "k_": 52,
        "pp" + "lx-": 48,
        "wandb" + "_v1_": 60,
        "AI" + "zaSy": 33,
        "xo" + "xb-": 40,
        "xo" + "xp-": 40,
        "gl" + "pat-": 20,
        "np" + "m_": 36,
        "nv" + "api-": 60,
        "sk_" + "live_": 24,
    }
    found = {beginning: beginning + letters(number) for beginning, number in bodies.items()}
    for beginning in ("AK" + "IA", "AS" + "IA"):
        found[beginning] = beginning + "".join(_RANDOM.choice(upper) for _ in range(16))
    found["jwt"] = ".".join(["ey" + "J" + letters(20), letters(40), letters(43)])
    return found
