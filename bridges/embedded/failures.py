"""What can go wrong with an embedded broker, as sentences for the person at the terminal.

EmbeddedFailure
├── JarsMissing      a download failed or a file is not what its lock says; try again with a network
├── JavaMissing      no Java that is new enough; an installation repairs it
├── PortBusy         somebody listens on the port that was asked for; choose another, or 0
└── BrokerFailed     it ended, or was not ready in time; carries the last lines of its log
"""

__all__ = ["BrokerFailed", "EmbeddedFailure", "JarsMissing", "JavaMissing", "PortBusy"]


class EmbeddedFailure(Exception):
    """Root of the tree: its text is fit to be shown."""


class JarsMissing(EmbeddedFailure):
    """The jars of a broker could not be brought together."""


class JavaMissing(EmbeddedFailure):
    """There is no Java that can run the brokers."""


class PortBusy(EmbeddedFailure):
    """The port that was asked for is taken."""


class BrokerFailed(EmbeddedFailure):
    """The broker did not come up, or did not stay up."""
