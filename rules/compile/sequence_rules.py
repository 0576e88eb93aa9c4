"""A sequence rule, compiled: its steps' conditions, and the plan of what a partial match waits for."""

from collections.abc import Iterator, Mapping, Sequence

from rules.compile.actions import compiled_actions
from rules.compile.exceptions import Exceptions
from rules.compile.parts import Part, Vocabulary
from rules.compile.schedules import schedule_of
from rules.documents import Action, Placed, SequenceRule, SequenceRuleSpec
from rules.engine.ruleset import Pattern, Telling
from rules.engine.sequences import Contiguity, Plan, Skip, Station
from rules.language import BOOL, Compiled

Path = tuple[str | int, ...]


def sequence_rule(vocabulary: Vocabulary, placed: Placed[SequenceRule]) -> Pattern | None:
    """Compile one rule; None after an error, which is noted in the vocabulary."""
    spec = placed.document.spec
    part = Part(vocabulary, placed)
    vehicles = part.vehicles(spec.vehicles)
    steps = [step for step in _steps(part, spec) if step is not None]
    upon_match = _telling(part, spec.severity, spec.annotations, spec.actions, ("spec",))
    upon_timeout = None
    if spec.on_timeout is not None:
        it = spec.on_timeout
        upon_timeout = _telling(part, it.severity, it.annotations, it.actions, ("spec", "onTimeout"))
    if not part.is_right or len(steps) != len(spec.steps) or any(placed.document.findings()):
        return None
    name = placed.document.metadata.name
    return Pattern(
        name=name,
        steps=tuple(steps),
        plan=_plan(spec, [condition for _, condition in steps]),
        upon_match=upon_match,
        upon_timeout=upon_timeout,
        labels=dict(spec.labels),
        vehicles=vehicles,
        lineage=vocabulary.lineage(name),
        schedule=schedule_of(part, spec.schedule),
    )


def _steps(part: Part, spec: SequenceRuleSpec) -> Iterator[tuple[str, Compiled] | None]:
    names = part.vocabulary.environment()
    exceptions = Exceptions(part, names)
    for index, step in enumerate(spec.steps):
        text, key = (step.not_, "not") if step.when is None else (step.when, "when")
        condition = part.expression(names, text or "false", ("spec", "steps", index, key), BOOL)
        if condition is not None and exceptions and step.when is not None:
            condition = exceptions.unless(names, step.when, ("spec", "steps", index, key))
        yield None if condition is None else (step.name, condition)


def _telling(
    part: Part, severity: str, annotations: Mapping[str, str], actions: Sequence[Action], path: Path
) -> Telling:
    texts = part.vocabulary.environment()
    return Telling(
        severity=severity,
        annotations=part.texts(texts, annotations, (*path, "annotations")),
        actions=compiled_actions(part, texts, actions, (*path, "actions")),
    )


def _plan(spec: SequenceRuleSpec, conditions: Sequence[Compiled]) -> Plan:
    skip, target = Skip.PAST_LAST_EVENT, None
    if isinstance(spec.skip, str):
        skip = Skip(spec.skip)
    elif spec.skip.to_first is not None:
        skip, target = Skip.TO_FIRST, spec.skip.to_first
    else:
        skip, target = Skip.TO_LAST, spec.skip.to_last
    names = [step.name for step in spec.steps]
    return Plan(
        stations=tuple(_stations(spec, conditions)),
        within_ms=spec.within_ms,
        contiguity=Contiguity(spec.contiguity),
        skip=skip,
        skip_step=-1 if target is None else names.index(target),
        cooldown_ms=spec.cooldown_ms,
        tells_timeouts=spec.on_timeout is not None,
    )


def _stations(spec: SequenceRuleSpec, conditions: Sequence[Compiled]) -> Iterator[Station]:
    """A `not` without `for` is no station of its own: it guards the way to the next one."""
    guards: list[int] = []
    for index, step in enumerate(spec.steps):
        if step.not_ is not None and step.for_ms is None:
            guards.append(index)
            continue
        here = guards if step.not_ is None else [*guards, index]
        least, most = step.least_and_most
        yield Station(
            step=index,
            least=least,
            most=most,
            within_ms=step.within_ms,
            away_ms=step.for_ms,
            guards=tuple(here),
            guards_on_arrival=tuple(it for it in here if not _is_momentary(conditions[it])),
        )
        if step.not_ is None:
            guards = []


def _is_momentary(condition: Compiled) -> bool:
    """Whether it holds for single messages only."""
    return any(read.kind == "changed" for read in condition.reads)
