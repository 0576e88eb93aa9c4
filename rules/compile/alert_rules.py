"""An alert rule, compiled: its conditions, its ladder, its value, and what does not go together in it."""

from collections.abc import Iterator

from rules.compile.actions import compiled_actions
from rules.compile.exceptions import Exceptions
from rules.compile.parts import Part, Vocabulary
from rules.compile.schedules import schedule_of
from rules.documents import AlertRule, Placed, format_duration, quote
from rules.engine import Rule, Rung
from rules.engine.places import is_inside
from rules.language import BOOL, DOUBLE, INT, STRING, Compiled

_VALUE_TYPES = (DOUBLE, INT, BOOL, STRING)


def alert_rule(vocabulary: Vocabulary, placed: Placed[AlertRule]) -> Rule | None:
    """Compile one rule; None after an error, which is noted in the vocabulary."""
    spec = placed.document.spec
    part = Part(vocabulary, placed)
    vehicles = part.vehicles(spec.vehicles)
    names = vocabulary.environment()
    when = None if spec.when is None else part.expression(names, spec.when, ("spec", "when"), BOOL)
    clear = None
    if spec.clear_when is not None:
        clear = part.expression(names, spec.clear_when, ("spec", "clearWhen"), BOOL)
    exceptions = Exceptions(part, names)
    ladder = tuple(ladder_of(part))
    value = value_of(part, when)
    texts = names if value is None else vocabulary.environment(value=value.type)
    annotations = part.texts(texts, spec.annotations, ("spec", "annotations"))
    actions = compiled_actions(part, texts, spec.actions)
    schedule = schedule_of(part, spec.schedule, spec.for_ms)
    if when is not None:
        _judge(part, when, clear)
    if when is None or not part.is_right:
        return None
    lowest = value is not None and _is_lowest(value, when)
    running: Compiled | None = when
    if exceptions and spec.when is not None:
        running = exceptions.unless(names, spec.when, ("spec", "when"))
        if spec.clear_when is not None:
            clear = exceptions.or_where(names, spec.clear_when, ("spec", "clearWhen"))
    if running is None:
        return None
    name = placed.document.metadata.name
    return Rule(
        name=name,
        when=running,
        for_ms=spec.for_ms,
        count=None if spec.for_events is None else spec.for_events.count,
        within_ms=None if spec.for_events is None else spec.for_events.within_ms,
        clear_when=clear,
        keep_ms=spec.keep_firing_for_ms,
        cooldown_ms=spec.cooldown_ms,
        stale_grace_ms=spec.stale_grace_ms,
        ladder=ladder,
        value=value,
        lowest=lowest,
        labels=dict(spec.labels),
        annotations=annotations,
        actions=actions,
        vehicles=vehicles,
        lineage=vocabulary.lineage(name),
        schedule=schedule,
    )


def ladder_of(part: Part) -> Iterator[Rung]:
    """The steps of the severity, highest first."""
    spec = part.placed.document.spec
    if isinstance(spec.severity, str):
        yield Rung(spec.severity)
        return
    for index, rung in enumerate(spec.severity):
        for severity, text in rung.named:
            path = ("spec", "severity", index, severity)
            condition = part.expression(part.vocabulary.environment(), text, path, BOOL)
            yield Rung(severity, None if text.strip() == "true" else condition)


def value_of(part: Part, when: Compiled | None) -> Compiled | None:
    """The alert's value: what the author wrote, else the one signal that the condition reads."""
    text = part.placed.document.spec.value
    environment = part.vocabulary.environment()
    if text is None:
        reads = () if when is None else when.reads
        signals = list({read.signal for read in reads if read.kind != "local" and not is_inside(read.signal)})
        return part.vocabulary.signal(signals[0]) if len(signals) == 1 else None
    value = part.expression(environment, text, ("spec", "value"))
    if value is not None and value.type not in _VALUE_TYPES:
        message = f"the value of an alert is a number, a bool or a string, this is a {value.type}"
        part.find("TT104", ("spec", "value"), message, hint="write a condition on it instead")
        return None
    return value


def _judge(part: Part, when: Compiled, clear: Compiled | None) -> None:
    """Find what does not go together with the rule's times."""
    spec = part.placed.document.spec
    held = (
        ("for", spec.for_ms, when, ("spec", "when")),
        ("keepFiringFor", spec.keep_firing_for_ms, clear, ("spec", "clearWhen")),
    )
    for key, hold, condition, path in held:
        if condition is None or not hold:
            continue
        for read in condition.reads:
            if read.kind == "changed":
                message = f"changed({read.signal}) holds for a message only, never {key} a time"
                part.find("TT204", path, message, hint=f"take {key} away, or compare with prev(...)")
    signals = part.vocabulary.catalog.spec.signals
    read_ones = {read.signal for read in when.reads if read.kind not in ("local", "age", "window")}
    for name in sorted(read_ones & signals.keys()):
        stale_after = signals[name].stale_after_ms
        if stale_after is not None and stale_after < spec.for_ms:
            message = (
                f"{quote(name)} is unknown {format_duration(stale_after)} after its last message, "
                f"before the hold of {format_duration(spec.for_ms)} is over"
            )
            hint = "only a vehicle that goes on sending the signal can fire this; is that meant?"
            part.find("TT205", ("spec", "for"), message, hint=hint, severity="warning")


def _is_lowest(value: Compiled, when: Compiled) -> bool:
    """Whether low values are the bad ones: the condition is that this very signal is below a constant."""
    if when.comparison is None or len(value.reads) != 1 or value.reads[0].kind != "value":
        return False
    signal, operator = when.comparison
    return value.reads[0].signal == signal and operator in ("<", "<=")
