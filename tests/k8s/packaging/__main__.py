"""Write the chart's rights, and all golden files, anew; a reviewer reads the difference."""

from tests.k8s.packaging.rendering import GOLDENS, golden, rights


def main() -> None:
    """Write them, and remove those that nothing makes."""
    for path, text in rights().items():
        path.write_text(text)
    files = golden()
    for path in GOLDENS.glob("*.yaml"):
        if path not in files:
            path.unlink()
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
