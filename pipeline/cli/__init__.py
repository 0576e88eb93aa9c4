"""What the pipeline adds to the command line: topics, vehicles, and the tools of those who write rules.

Nothing heavy is imported at the top: `telltale --help` is asked often.
"""

import typer

from pipeline.cli import revisions, topics, traces, writing
from pipeline.process.cli import CONTEXT_SETTINGS
from pipeline.vehicles.commands import app as vehicles_app

app = typer.Typer()
rules_app = typer.Typer(
    name="rules",
    help="Check rule documents, test them, try them on recorded telemetry, and change what runs.",
    no_args_is_help=True,
    context_settings=CONTEXT_SETTINGS,
)
for part in (writing.rules_app, traces.rules_app, revisions.rules_app):
    rules_app.registered_commands += part.registered_commands
app.registered_commands += topics.app.registered_commands + writing.app.registered_commands
app.add_typer(topics.topics_app)
app.add_typer(rules_app)
app.add_typer(vehicles_app)
