"""What the embedded brokers are made of: every jar, with its size and its sha256, committed.

A lock is read, never resolved: a start of the demo downloads exactly these files or says which one
differs. Resolving happens only here, in `python -m bridges.embedded lock`, when a version is raised;
the result is committed. Two locks and never one: Kafka speaks slf4j 1.7, Artemis slf4j 2.
"""

import hashlib
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

__all__ = ["ARTEMIS", "KAFKA", "Jar", "Lock", "Wanted", "read", "resolve"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One Java program as we ask for it: the coordinates that are resolved into a lock."""

    name: str
    title: str
    coordinates: tuple[str, ...]
    properties: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """The program's own version, that of its first coordinate."""
        return self.coordinates[0].split(":")[2]

    @property
    def path(self) -> Path:
        """Where its lock is committed."""
        return Path(str(files("bridges.embedded"))) / f"{self.name}.lock.toml"


KAFKA = Wanted(
    "kafka",
    "Apache Kafka",
    (
        "org.apache.kafka:kafka_2.13:4.4.0",
        # Left to itself the resolver takes the clients of 3.9.1, and the broker dies with NoSuchMethodError.
        "org.apache.kafka:kafka-clients:4.4.0",
        # Without a binding for slf4j the broker is silent, also about why it died.
        "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5",
    ),
)
ARTEMIS = Wanted(
    "artemis",
    "Apache ActiveMQ Artemis",
    (
        # The newest that keeps the order: from 2.42.0 on (2.44.0 is the newest tried) messages overtake each
        # other once a client's receive maximum is reached, which MQTT forbids and a test of ours shows.
        "org.apache.activemq:artemis-server:2.41.0",
        "org.apache.activemq:artemis-mqtt-protocol:2.41.0",
        "org.apache.activemq:artemis-cli:2.41.0",
        # The resolver's own choice for these two is a release with other package names.
        "jakarta.xml.bind:jakarta.xml.bind-api:2.3.3",
        "jakarta.activation:jakarta.activation-api:1.2.2",
        "org.apache.logging.log4j:log4j-slf4j2-impl:2.24.3",
    ),
    # Its parent pom defines these through one another; the resolver reports an endless loop without them.
    ("project.basedir=.", "activemq.basedir=."),
)


@dataclass(frozen=True, slots=True)
class Jar:
    """One file of a lock."""

    group: str
    artifact: str
    version: str
    classifier: str
    size: int
    sha256: str

    @property
    def coordinate(self) -> str:
        """`group:artifact:version[:classifier]`, as Maven's tools write it."""
        return ":".join(filter(None, (self.group, self.artifact, self.version, self.classifier)))

    @property
    def file_name(self) -> str:
        """Its name in a class path folder."""
        return "-".join(filter(None, (self.artifact, self.version, self.classifier))) + ".jar"


@dataclass(frozen=True)
class Lock:
    """All the jars of one program."""

    name: str
    title: str
    version: str
    minimum_java: int
    jars: tuple[Jar, ...]

    @cached_property
    def fingerprint(self) -> str:
        """Changes with any jar: two versions of Telltale never share a half-fitting folder."""
        text = "\n".join(f"{jar.coordinate} {jar.sha256}" for jar in self.jars)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def size(self) -> int:
        """Bytes of all jars."""
        return sum(jar.size for jar in self.jars)


def read(wanted: Wanted) -> Lock:
    """The committed lock of a program."""
    table = tomllib.loads(wanted.path.read_text())
    jars = []
    for entry in table["jar"]:
        group, artifact, version, *classifier = entry["coordinate"].split(":")
        jars.append(Jar(group, artifact, version, "".join(classifier), entry["size"], entry["sha256"]))
    return Lock(wanted.name, wanted.title, wanted.version, table["minimum-java"], tuple(jars))


def resolve(wanted: Wanted) -> str:
    """Ask the registry what a program needs now, and return the text of its lock."""
    # The resolver is named: on a machine with Maven the automatic choice would take that, and hide faults.
    jgo = [sys.executable, "-m", "jgo", "--resolver", "python"]
    for each in wanted.properties:
        jgo += ["-D", each]
    with tempfile.TemporaryDirectory() as folder:
        for command in (["init", "+".join(wanted.coordinates)], ["lock"]):
            subprocess.run([*jgo, *command], cwd=folder, check=True, capture_output=True, text=True)
        table = tomllib.loads((Path(folder) / "jgo.lock.toml").read_text())
    repository = Path.home() / ".m2" / "repository"
    jars = []
    for entry in table["dependencies"]:
        jar = Jar(
            entry["groupId"],
            entry["artifactId"],
            entry["version"],
            entry.get("classifier", ""),
            0,
            entry["sha256"],
        )
        folder_of_jar = repository.joinpath(*jar.group.split("."), jar.artifact, jar.version)
        jars.append((jar, (folder_of_jar / jar.file_name).stat().st_size))
    if len({jar.file_name for jar, _ in jars}) != len(jars):
        raise ValueError(f"two jars of {wanted.title} share one file name")
    lines = [
        "# Made by `python -m bridges.embedded lock`; do not edit.",
        f"minimum-java = {table['environment']['min_java_version']}",
    ]
    for jar, size in sorted(jars, key=lambda pair: pair[0].coordinate):
        lines += [
            "",
            "[[jar]]",
            f'coordinate = "{jar.coordinate}"',
            f"size = {size}",
            f'sha256 = "{jar.sha256}"',
        ]
    return "\n".join(lines) + "\n"
