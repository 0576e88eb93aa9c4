"""`telltale rules explain`: the question from the command line, the answer in sentences or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.backtest.asked import Asked, Gaps, TopicAsked
from pipeline.backtest.command import gaps_of, sources_of
from pipeline.backtest.topic import TELEMETRY
from pipeline.explain.asked import Question, rule_paths
from pipeline.explain.live import state_now, watch_topic
from pipeline.explain.offline import VehicleMissing, watch_files
from pipeline.process.settings import load_settings
from pipeline.stages.settings import RuleStageSettings
from rules.explain import Watch, as_json, judgement_lines, moment_line, verdict
from rules.instants import format_instant

_MOST_MOMENTS = 50


@dataclass(frozen=True, slots=True)
class Options:
    """The command line as it was written."""

    rules: list[Path]
    rule: str
    vehicle: str
    sources: list[str]
    at_ms: int | None
    since_ms: int | None
    vehicle_of_trace: str | None
    start: str | None
    interval: str | None
    time_zone: str | None
    vehicles: list[Path]
    as_json: bool
    config: Path | None


@dataclass(frozen=True, slots=True)
class _Answer:
    """`now` is the state that is explained, `story` whose moments are told; the same but for live ones."""

    question: Question
    now: Watch
    at: int
    story: Watch | None


def run_explain(options: Options) -> int:
    """Answer. Raises ConfigurationError, TraceError, VehicleMissing."""
    answer = _answer(options)
    if options.as_json:
        print(json.dumps(_as_json(answer), ensure_ascii=False, indent=2))
    else:
        for line in _lines(answer):
            print(line)
    return 0


def _answer(options: Options) -> _Answer:
    settings = load_settings(RuleStageSettings, options.config)
    paths = rule_paths(options.rules, settings.rules)
    gaps: Gaps = gaps_of(options.vehicle_of_trace, options.start, options.interval, options.time_zone)
    files, topic = sources_of(options.sources, options.since_ms, settings) if options.sources else ((), None)
    asked = Asked(
        paths,
        files,
        topic,
        gaps=gaps,
        quiet_after_ms=settings.quiet_after_ms,
        vehicles=tuple(options.vehicles),
    )
    question = Question(options.rule, options.vehicle, asked, options.at_ms)
    if files:
        watched, at = watch_files(question)
        return _Answer(question, watched, at, watched)
    if topic is not None:
        watched, at = watch_topic(question)
        return _Answer(question, watched, at, watched)
    here = TopicAsked(TELEMETRY, settings, options.since_ms)
    live = Question(
        options.rule, options.vehicle, Asked(paths, topic=here, quiet_after_ms=settings.quiet_after_ms)
    )
    now, at = state_now(live, here)
    try:
        story, _ = watch_topic(live)
    except VehicleMissing:
        return _Answer(live, now, at, None)
    return _Answer(live, now, at, story)


def _lines(answer: _Answer) -> Iterator[str]:
    now, at = answer.now, answer.at
    vehicle = now.vehicle
    assert vehicle is not None
    yield f"{answer.question.rule} for {answer.question.vehicle} at {format_instant(at)}"
    yield from (f"  {line}" for line in verdict(now.rule, now.state(vehicle), at))
    for judgement in now.judge(vehicle, at):
        yield from (f"  {line}" for line in judgement_lines(judgement, at))
    moments: Sequence[Any] = [] if answer.story is None else answer.story.moments
    if not moments:
        yield "nothing moved the rule" + (
            "" if answer.story else ": the telemetry topic no longer has its messages"
        )
        return
    yield "what moved it:"
    if len(moments) > _MOST_MOMENTS:
        yield f"  … {len(moments) - _MOST_MOMENTS} moments before; --json has them all"
    for moment in moments[-_MOST_MOMENTS:]:
        yield f"  {moment_line(moment)}"


def _as_json(answer: _Answer) -> dict[str, Any]:
    vehicle = answer.now.vehicle
    assert vehicle is not None
    state = answer.now.state(vehicle)
    return {
        "rule": answer.question.rule,
        "vehicleId": answer.question.vehicle,
        "at": format_instant(answer.at),
        "state": as_json(state),
        "says": list(verdict(answer.now.rule, state, answer.at)),
        "conditions": as_json(answer.now.judge(vehicle, answer.at)),
        "moments": [] if answer.story is None else as_json(answer.story.moments),
    }
