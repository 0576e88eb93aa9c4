"""Failures form one small tree, and each knows the exit code it ends a process with.

    TelltaleError            1  unexpected
    ├── ConfigurationError   2  settings or rules are wrong: trying again is useless
    ├── PartyMissing         3  a needed party did not come within the start time-out: try again later
    ├── TopicsDiffer         4  topics do not fit: a person must decide
    └── Stopped              0  asked to stop while still waiting for a party

The text of each is for the person who started the process: what, where, what to do.

TopicsMissing is none of them: topics that nobody has made yet are waited for, as a broker is, and only the
start time-out makes a PartyMissing of it. In an installation, programs and topics are made in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class TelltaleError(Exception):
    """Ends a process with a message instead of a traceback."""

    exit_code = 1


class ConfigurationError(TelltaleError):
    """Everything that is wrong with what a person configured, all at once."""

    exit_code = 2

    def __init__(self, summary: str, problems: Sequence[str] = ()) -> None:
        self.summary = summary
        self.problems = tuple(problems)
        super().__init__("\n".join([summary, *(f"  {problem}" for problem in self.problems)]))


class PartyMissing(TelltaleError):
    """A broker (or another needed party) did not come within `startTimeout`."""

    exit_code = 3


class TopicsDiffer(TelltaleError):
    """Topics that exist do not fit what the process needs; one line for each difference."""

    exit_code = 4

    def __init__(self, summary: str, differences: Sequence[str] = ()) -> None:
        self.summary = summary
        self.differences = tuple(differences)
        super().__init__("\n".join([summary, *(f"  {difference}" for difference in self.differences)]))


class TopicsMissing(ConnectionError):
    """Topics that do not exist yet; to be tried again, with `Context.reach`."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        super().__init__(
            f"there is no topic {self.names[0]}; `telltale topics create` makes it"
            if len(self.names) == 1
            else f"there are no topics {', '.join(self.names)}; `telltale topics create` makes them"
        )


class Stopped(TelltaleError):
    """The process was asked to stop before it had begun; nothing is in flight."""

    exit_code = 0
