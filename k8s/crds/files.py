"""The chart's files are the CRDs' only written form: made here, compared by a test, printed for `kubectl`."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from k8s.crds.definition import definition
from k8s.crds.kinds import CUSTOM_KINDS

_HEAD = "# Made from the models by `python -m k8s.crds write`.\n"


class _Dumper(yaml.SafeDumper):
    """As people write: lists below their key are indented, texts of several lines are blocks."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def directory() -> Path:
    """Where the chart has the CRDs, which Helm installs before everything else."""
    return Path(str(files("k8s"))) / "helm" / "telltale" / "crds"


def texts() -> dict[str, str]:
    """Return the text of each file by its name, in the order of the kinds."""
    return {
        f"{each.kind.plural}.yaml": _HEAD
        + yaml.dump(definition(each), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
        for each in CUSTOM_KINDS
    }


def write(into: Path) -> list[Path]:
    """Write the files into a directory, take away ours of kinds that are gone; return what was written."""
    into.mkdir(parents=True, exist_ok=True)
    current = texts()
    for stale in into.glob("*.yaml"):
        if stale.name not in current and stale.read_text(encoding="utf-8").startswith(_HEAD):
            stale.unlink()
    for name, text in current.items():
        (into / name).write_text(text, encoding="utf-8")
    return [into / name for name in current]
