"""Actions of a rule, with their texts compiled, and their commands held to what vehicles understand.

A payload is judged as far as it is known before anything runs: its keys, its constants, and the types of
holes that stand alone. What a hole will hold is the vehicle's to judge.
"""

from collections.abc import Iterable, Sequence

from pydantic import JsonValue

from rules.compile.parts import Part, Path
from rules.documents import Action, Command, CommandType, Diagnostic, FenceAction, Placed, did_you_mean, quote
from rules.documents.command_type import PayloadValue
from rules.engine import CommandAction, PublishAction
from rules.language import Environment, Template

_TYPES = {
    "double": ("number",),
    "int": ("number", "integer"),
    "uint": ("number", "integer"),
    "bool": ("boolean",),
    "string": ("string",),
    "duration": ("string",),
    "timestamp": ("string",),
}
"""What a hole of each type can stand for."""


def compiled_actions(
    part: Part,
    environment: Environment,
    actions: Sequence[Action | FenceAction],
    path: Path = ("spec", "actions"),
) -> tuple[CommandAction | PublishAction, ...]:
    """Compile the texts of actions; what is wrong with them is among the part's findings."""
    return tuple(_action(part, environment, action, (*path, index)) for index, action in enumerate(actions))


def command_types(types: Iterable[Placed[CommandType]], findings: list[Diagnostic]) -> dict[str, CommandType]:
    """Return the types by their commands, which one tenant has, or everybody; note those that come twice."""
    found: dict[str, Placed[CommandType]] = {}
    for placed in types:
        command = placed.document.command
        first = found.setdefault(command, placed)
        if first is not placed:
            message = f"another CommandType is of the command {quote(command)}"
            path: Path = ("metadata", "name") if placed.document.spec.command is None else ("spec", "command")
            hint = f"the first one is at {first.place(())}"
            findings.append(placed.diagnostic("TT246", path, message, hint=hint))
    return {command: placed.document for command, placed in found.items()}


def _action(
    part: Part, environment: Environment, action: Action | FenceAction, path: Path
) -> CommandAction | PublishAction:
    if action.command is None:
        topic = "" if action.publish is None else action.publish.topic
        return PublishAction(topic, action.upon)
    command = action.command
    place = (*path, "command")
    payload = {
        key: _payload(part, environment, item, (*place, "payload", key))
        for key, item in command.payload.items()
    }
    type_ = part.vocabulary.commands.get(command.name)
    if type_ is not None:
        _judge(part, payload, type_, place)
    elif part.vocabulary.commands and command.name not in (part.vocabulary.catalog.spec.commands or {}):
        message = f"no CommandType declares {quote(command.name)}"
        hint = did_you_mean(command.name, part.vocabulary.commands)
        part.find("TT251", (*place, "name"), message, hint=hint, severity="warning")
    return CommandAction(
        name=command.name,
        payload=payload,
        upon=action.upon,
        expires_after_ms=_expires_after_ms(command, type_),
        max_age_ms=command.max_age_ms,
    )


def _expires_after_ms(command: Command, type_: CommandType | None) -> int:
    declared = None if type_ is None else type_.spec.expires_after_ms
    is_given = "expires_after_ms" in command.model_fields_set
    return command.expires_after_ms if is_given or declared is None else declared


def _payload(part: Part, environment: Environment, payload: JsonValue, path: Path) -> object:
    match payload:
        case str():
            return part.text(environment, payload, path)
        case dict():
            return {key: _payload(part, environment, item, (*path, key)) for key, item in payload.items()}
        case list():
            return [_payload(part, environment, item, (*path, at)) for at, item in enumerate(payload)]
    return payload


def _judge(part: Part, payload: dict[str, object], type_: CommandType, path: Path) -> None:
    known = type_.spec.payload
    for key, value in payload.items():
        if key not in known:
            hint = did_you_mean(key, known) or (f"known here: {', '.join(known)}" if known else None)
            message = f"{quote(type_.command)} has no {quote(key)}"
            part.find("TT250", (*path, "payload", key), message, hint=hint, of_key=True)
        elif (problem := _problem(known[key], value)) is not None:
            part.find("TT250", (*path, "payload", key), problem, hint=known[key].description)
    for key, expected in known.items():
        if expected.required and key not in payload:
            part.find("TT250", path, f"{quote(type_.command)} needs {quote(key)}", hint=expected.description)


def _problem(expected: PayloadValue, value: object) -> str | None:
    if not isinstance(value, Template):
        # A text with holes that is no template by now has an error in one, which is told of.
        return None if isinstance(value, str) and "{{" in value else expected.problem(value)
    can_be = _TYPES.get(value.type.name)
    if can_be is None or expected.type in can_be:
        return None
    if expected.type == "integer" and "number" in can_be:
        return f"an integer is expected, and this is a {value.type}: int(…) makes one of it"
    article = "an" if expected.type[0] in "io" else "a"
    return f"{article} {expected.type} is expected, and this is a {value.type}"
