"""Which record makes the logic raise: three failures at one place, then one record at a time.

Nothing here is stored: a worker that takes over learns it again. Suspicion ends when the commit has passed
the place, so that a commit before it does not start the count anew.
"""

from __future__ import annotations

from collections.abc import Mapping

Poison = dict[tuple[str, int], tuple[str, str]]
"""Input and offset of each record that is known to fail, with code and reason."""

STRIKES = 3


class Suspicion:
    """What one partition knows about records that fail."""

    def __init__(self) -> None:
        self.poison: Poison = {}
        self._strikes = 0
        self._until: dict[str, int] = {}

    @property
    def careful(self) -> bool:
        """Whether records have to be applied one by one."""
        return self._strikes >= STRIKES

    def failed(self, until: Mapping[str, int], *, at_once: bool = False) -> None:
        """Something before the positions `until` failed; `at_once`: no use in trying it again as it was."""
        self._strikes = STRIKES if at_once else self._strikes + 1
        for name, position in until.items():
            self._until[name] = max(position, self._until.get(name, 0))

    def blame(self, name: str, offset: int, code: str, reason: str) -> None:
        """Note that a record failed alone."""
        self.poison[name, offset] = (code, reason)
        self._until[name] = max(offset + 1, self._until.get(name, 0))

    def passed(self, positions: Mapping[str, int]) -> None:
        """Everything before `positions` is committed."""
        for name, offset in [key for key in self.poison if key[1] < positions.get(key[0], 0)]:
            del self.poison[name, offset]
        for name in [name for name, until in self._until.items() if positions.get(name, 0) >= until]:
            del self._until[name]
        if not self._until:
            self._strikes = 0
