"""The Dockerfile, read: its stages and their instructions, so that tests run what it says, nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "k8s/image/Dockerfile"
_FLAG = re.compile(r"^(--[\w-]+)=(\S+)\s+")
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")


@dataclass(frozen=True)
class Instruction:
    """One instruction: `RUN`, its flags (`--from`), and the rest as it was written."""

    name: str
    flags: dict[str, str]
    rest: str

    @property
    def words(self) -> list[str]:
        """The exec form, or the words of the shell form."""
        return (
            [str(word) for word in json.loads(self.rest)] if self.rest.startswith("[") else self.rest.split()
        )


@dataclass
class Stage:
    """What follows one FROM."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, name: str) -> list[Instruction]:
        return [instruction for instruction in self.instructions if instruction.name == name]

    def last(self, name: str) -> Instruction:
        return self.all(name)[-1]

    @property
    def environment(self) -> dict[str, str]:
        """What ENV sets, in order, with variables that were set before in their places."""
        values: dict[str, str] = {}
        for instruction in self.all("ENV"):
            for word in instruction.words:
                key, _, value = word.partition("=")
                values[key] = _VARIABLE.sub(lambda match: values[match[1] or match[2]], value)
        return values


def read(path: Path = DOCKERFILE) -> tuple[list[Instruction], list[Stage]]:
    """The instructions before the first FROM, and the stages."""
    lines = [
        line for line in path.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    text = "\n".join(lines).replace("\\\n", " ")
    head: list[Instruction] = []
    stages: list[Stage] = []
    for line in text.splitlines():
        name, _, rest = line.strip().partition(" ")
        rest, flags = rest.strip(), {}
        while match := _FLAG.match(rest):
            flags[match[1]] = match[2]
            rest = rest[match.end() :]
        instruction = Instruction(name, flags, rest)
        if name == "FROM":
            base, _, alias = rest.partition(" AS ")
            stages.append(Stage(base, alias))
        elif stages:
            stages[-1].instructions.append(instruction)
        else:
            head.append(instruction)
    return head, stages
