"""What Kubernetes adds to the command line."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def crds(
    to: Annotated[
        Path | None, typer.Option("--to", help="Write a file for each kind into this directory.")
    ] = None,
) -> None:
    """Print the CustomResourceDefinitions of this version.

    They are those of the chart: telltale crds | kubectl apply --server-side -f -
    """
    from k8s.crds import texts, write

    if to is None:
        print("---\n".join(texts().values()), end="")
        return
    for path in write(to):
        print(path)
