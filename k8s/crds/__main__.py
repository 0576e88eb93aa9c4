"""`python -m k8s.crds write` makes the chart's files anew, `print` shows them."""

import sys

from k8s.crds.files import directory, texts, write


def main(arguments: list[str]) -> int:
    """Write or print the CRDs; 2 for anything else."""
    match arguments:
        case ["write"]:
            for path in write(directory()):
                print(path.name)
        case ["print"]:
            print("---\n".join(texts().values()), end="")
        case _:
            print("usage: python -m k8s.crds write|print", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
