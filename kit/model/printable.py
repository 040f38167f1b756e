"""Texts from outside, as they can be shown: what would do something to a screen is spelled out."""

from __future__ import annotations

import re
from functools import cache

_ACTS = (
    r"\x00-\x1f\x7f-\x9f"  # control characters, C1's too: some terminals take U+009B for ESC [
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # other directions: `cod.exe` as `exe.doc`
    r"\u00ad\u180e\u200b\u2028\u2029\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"  # unseen
    r"\U000e0000-\U000e007f"  # tags, unseen
    r"\ud800-\udfff"  # half a character, or a byte of a file's name that is none
)
"""What is not shown as it is. Joiners stay: Persian, Hindi and many an emoji need them."""


@cache
def _acting(keep: str) -> re.Pattern[str]:
    return re.compile(rf"(?![{keep}])[{_ACTS}]" if keep else f"[{_ACTS}]")


def printable(text: str, *, keep: str = "") -> str:
    r"""
    Return *text* with what would do something to a screen, unseen, spelled out, such as `\x1b`.

    *keep* holds the characters to leave, such as line ends.
    """
    if text.isprintable():
        return text
    return _acting(keep).sub(_spelled, text)


def _spelled(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]
