"""What do keys and tokens look like, whoever gave them out?

Each shape begins with letters of its own, so that a text is searched for these first. No pattern
here can be made to look at a character more than a fixed number of times.
"""

import re

_SHAPES = {
    # Hugging Face, W&B, GitHub, GitLab
    "hf_": r"[A-Za-z0-9]{20,}",
    "api_org_": r"[A-Za-z0-9]{20,}",
    "wandb_v1_": r"[A-Za-z0-9_-]{20,}",
    **dict.fromkeys(("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"[A-Za-z0-9]{20,}"),
    "github_pat_": r"[A-Za-z0-9_]{20,}",
    "glpat-": r"[A-Za-z0-9_-]{16,}",
    # services of models
    "sk-": r"[A-Za-z0-9_-]{20,}",
    "gsk_": r"[A-Za-z0-9]{20,}",
    "pplx-": r"[A-Za-z0-9]{20,}",
    "xai-": r"[A-Za-z0-9]{20,}",
    "nvapi-": r"[A-Za-z0-9_-]{20,}",
    "tgp_v1_": r"[A-Za-z0-9_-]{20,}",
    "r8_": r"[A-Za-z0-9]{30,}",
    "fw_": r"[A-Za-z0-9]{22,}",
    "csk-": r"[A-Za-z0-9]{20,}",
    # clouds
    **dict.fromkeys(("AKIA", "ASIA"), r"[A-Z0-9]{16}"),
    "AIza": r"[A-Za-z0-9_-]{30,}",
    "ya29.": r"[A-Za-z0-9_-]{20,}",
    "GOCSPX-": r"[A-Za-z0-9_-]{20,}",
    "dop_v1_": r"[a-f0-9]{40,}",
    # messengers, shops, registries
    "xox": r"[abeoprs]-[A-Za-z0-9-]{10,}",
    "xapp-": r"[A-Za-z0-9-]{20,}",
    **dict.fromkeys(("sk_live_", "sk_test_", "rk_live_", "rk_test_"), r"[A-Za-z0-9]{16,}"),
    "SG.": r"[A-Za-z0-9_-]{16,128}+\.[A-Za-z0-9_-]{16,}",
    "npm_": r"[A-Za-z0-9]{30,}",
    "pypi-": r"[A-Za-z0-9_-]{50,}",
    "dckr_pat_": r"[A-Za-z0-9_-]{20,}",
    # signed by anybody: JSON web tokens
    "eyJ": r"[A-Za-z0-9_-]{8,8192}+\.[A-Za-z0-9_-]{8,8192}+\.[A-Za-z0-9_-]{8,}",
}
_BY_BEGINNING = {
    # Letters before it make it a part of a word; looked at after the beginning, which is found by
    # a fast search for a fixed text.
    beginning: re.compile(f"{re.escape(beginning)}(?<![A-Za-z0-9]{re.escape(beginning)}){rest}")
    for beginning, rest in _SHAPES.items()
}
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]*+(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?"
)
_WEBHOOK = re.compile(
    r"(hooks\.slack\.com/\w+/|hooks\.zapier\.com/hooks/|/webhooks?(?:b2)?/)[^\s\"'<>]+"
)
_HEX = re.compile(r"[0-9A-F]{16,}")


def without_tokens(text: str) -> str:
    """Return a text with `<token>` for whatever has the shape of one, and for private keys."""
    for beginning, pattern in _BY_BEGINNING.items():
        if beginning in text:
            text = pattern.sub("<token>", text)
    if "PRIVATE KEY-----" in text:
        text = _PRIVATE_KEY.sub("<private key>", text)
    if "hook" in text:
        text = _WEBHOOK.sub(r"\1<secret>", text)
    return text


def holds_token(text: str) -> bool:
    """Tell whether any part of a text has the shape of a token, in whichever case it is written."""
    return without_tokens(text) != text or any(
        re.search(f"(?i)(?<![a-z0-9]){re.escape(beginning)}{_SHAPES[beginning]}", text)
        for beginning in _ANY_CASE
        if beginning.lower() in text.lower()
    )


_ANY_CASE = ("hf_", "gsk_", "pplx-", "wandb_v1_", "ghp_", "github_pat_", "AKIA", "ASIA", "sk-")


def looks_random(word: str) -> bool:
    """Tell whether a word of capitals and digits is rather a key than part of a name."""
    inner = word.rstrip("0123456789")  # OPENAI2024 is a name
    digits = sum(letter.isdigit() for letter in inner)
    if _HEX.fullmatch(word):
        return True
    if len(word) < 14:
        return False
    vowels = sum(letter in "AEIOUY" for letter in word)
    return digits >= 2 or len(inner) < len(word) - 8 or vowels < len(word) * 0.15
