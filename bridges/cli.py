"""The bridges' part of the command line."""

import typer

from bridges.demo import demo
from bridges.simulator import simulate

app = typer.Typer(no_args_is_help=True)
app.command()(demo)
app.command()(simulate)
