"""Failures that a test plans for a fake, by the name of the operation."""

from __future__ import annotations

from collections import deque


class Faults:
    """What an operation raises: once each, or until it is mended."""

    def __init__(self) -> None:
        self._once: dict[str, deque[BaseException]] = {}
        self._standing: dict[str, Exception] = {}

    def once(self, operation: str, *errors: BaseException) -> None:
        """The next calls raise these, one each."""
        self._once.setdefault(operation, deque()).extend(errors)

    def begin(self, operation: str, error: Exception) -> None:
        """Every call raises this, until `mend`."""
        self._standing[operation] = error

    def mend(self, operation: str) -> None:
        self._standing.pop(operation, None)

    def check(self, operation: str) -> None:
        """Called by the fake at each operation."""
        if planned := self._once.get(operation):
            raise planned.popleft()
        if operation in self._standing:
            # Without its traceback, which would grow with every raising.
            raise self._standing[operation].with_traceback(None)
