"""CRDs of the projects that an installation meets, as those projects publish them (README.md)."""

from pathlib import Path

FOLDER = Path(__file__).parent


def manifest(name: str) -> Path:
    """The file of a CRD, by its plural: `kafkausers`."""
    return FOLDER / f"{name}.yaml"
