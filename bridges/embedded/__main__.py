"""`python -m bridges.embedded`: have everything that the brokers need, before anything needs it.

Continuous integration runs it early, a person before going offline. `lock` resolves the versions named in
`lock.py` anew and rewrites the committed locks.
"""

import contextlib
from typing import Annotated, Literal

import typer

from bridges.embedded import EmbeddedKafka, EmbeddedMqtt, jars, java, lock
from bridges.embedded.failures import EmbeddedFailure

BROKERS = {lock.KAFKA.name: EmbeddedKafka, lock.ARTEMIS.name: EmbeddedMqtt}


def main(what: Annotated[Literal["fetch", "lock"], typer.Argument()] = "fetch") -> None:
    """Download and verify the jars of both brokers, find a Java, archive its classes; or renew the locks."""
    for wanted in (lock.KAFKA, lock.ARTEMIS):
        if what == "lock":
            wanted.path.write_text(lock.resolve(wanted))
        contents = lock.read(wanted)
        try:
            directory = jars.class_path(contents)[0].parent
            program = java.find(contents.minimum_java)
            with contextlib.closing(BROKERS[wanted.name]()) as broker:
                archived = "its classes archived" if broker.archive_classes() else "no archive of its classes"
        except EmbeddedFailure as failure:
            typer.echo(failure, err=True)
            raise typer.Exit(3) from None
        typer.echo(
            f"{contents.title} {contents.version}: {len(contents.jars)} jars, "
            f"{contents.size / 1e6:.0f} MB, verified in {directory}; {program}, {archived}"
        )


if __name__ == "__main__":
    typer.run(main)
