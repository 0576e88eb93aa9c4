"""A process is ready when nothing is missing, and each check says in a sentence what is.

Readiness is about others (brokers, partitions): traffic waits, nobody is restarted. Liveness is
about this process being stuck for good: it is restarted. A check is asked when somebody asks for
health; it must answer from memory, at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

Check = Callable[[], str | None]
"""None when fine, else a sentence that says what is missing."""


class Health:
    """The checks of one process."""

    def __init__(self) -> None:
        self._readiness: dict[str, Check] = {}
        self._liveness: dict[str, Check] = {}
        self._draining = False

    def check(self, name: str, ask: Check) -> None:
        """Add (or replace) a readiness check."""
        self._readiness[name] = ask

    def liveness(self, name: str, ask: Check) -> None:
        """Add (or replace) a liveness check."""
        self._liveness[name] = ask

    def forget(self, name: str) -> None:
        """Take away a check of either kind."""
        self._readiness.pop(name, None)
        self._liveness.pop(name, None)

    def drain(self) -> None:
        """From now on the process is not ready, because it is ending."""
        self._draining = True

    def missing(self) -> dict[str, str]:
        """What keeps the process from being ready; empty when it is."""
        if self._draining:
            return {"process": "it is draining, and ends when what is in flight is done"}
        if not self._readiness:
            return {"process": "it is still starting"}
        return _ask(self._readiness)

    def broken(self) -> dict[str, str]:
        """What only a restart can mend; empty when alive."""
        return _ask(self._liveness)


def _ask(checks: Mapping[str, Check]) -> dict[str, str]:
    answers = {}
    for name, ask in tuple(checks.items()):
        try:
            answer = ask()
        except Exception as error:  # a check that fails is an answer too, never a failing page
            answer = f"the check itself failed: {type(error).__name__}: {error}"
        if answer:
            answers[name] = answer
    return answers
