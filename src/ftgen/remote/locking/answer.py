"""Answers, and why there is none."""

from __future__ import annotations

from msgspec import Struct


class Answer(Struct, frozen=True):
    """What a reference stands for.

    Attributes:
        pin: commit or digest.
        doubt: why it may be another one than was meant; empty where it is certain.
        help: how to say what is meant.
    """

    pin: str
    doubt: str = ""
    help: str = ""


class Unresolved(Exception):  # noqa: N818 - an expected outcome, not a malfunction
    """Nobody can say what a reference stands for.

    Attributes:
        reason: completes the sentence "<reference> cannot be resolved: …".
        help: what to do about it.
    """

    def __init__(self, reason: str, help: str = "") -> None:  # noqa: A002 - as a diagnostic names it
        """Keep both."""
        self.reason, self.help = reason, help
        super().__init__(reason)
