"""Every failure says what is lost by it: memory always can be, the log never.

RuntimeFailure             the partition drops its memory and its producer, and starts again at the marker
├── NotOurs                the group has moved on: wait for the next assignment
├── Fenced                 someone started a producer of this partition after us
├── OutcomeUnknown         Kafka failed or was too slow between begin and commit
├── RulesChanged           the logic is to be built anew, for other rules: nothing has failed
├── LogicFailed            the stage's code raised, counted; the third time the record at fault is looked for
│   └── TooLarge           an output or a piece of state that Kafka would not take: looked for at once
    ├── TopicMissing           an output is for a topic that Kafka does not have
└── RestoreStuck           the changelog cannot be read to its end
StateUnusable              (exit code 4) the changelog and the inputs contradict each other: a person decides
"""

from __future__ import annotations

from pipeline.process.failures import TopicsDiffer


class RuntimeFailure(Exception):
    """The partition starts again at its marker."""


class NotOurs(RuntimeFailure):
    """The group's coordinator does not confirm that this member, in this generation, owns the partition."""


class Fenced(RuntimeFailure):
    """Another producer with the partition's transactional id was started."""


class OutcomeUnknown(RuntimeFailure):
    """The transaction may or may not have been committed."""


class RulesChanged(RuntimeFailure):
    """The stage's code was made for rules that are not to run any more."""


class LogicFailed(RuntimeFailure):
    """The stage's code raised on records that it should have taken."""

    def __init__(self, message: str, *, code: str = "processing-failed") -> None:
        self.code = code
        super().__init__(message)


class TooLarge(LogicFailed):
    """Something that the stage made is larger than the topic takes."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="output-too-large")


class TopicMissing(RuntimeFailure):
    """The outputs wait until the topic is there: nothing is dropped for want of it."""


class RestoreStuck(RuntimeFailure):
    """The changelog's end is not reached, though nothing of ours is open."""


class StateUnusable(TopicsDiffer):
    """State that must not be guessed; the worker ends instead of computing with it."""
