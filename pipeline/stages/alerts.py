"""vehicle.telemetry to vehicle.alerts and vehicle.commands: the alert rules, folded over each vehicle.

What happens is a function of the log: the time of a message is in the message, and time without messages is
in the ticks. A vehicle's state is decoded when the vehicle speaks or one of its timers is due, so that taking
a partition over costs little more than reading its changelog.
"""

from collections.abc import Sequence

import msgspec
import orjson

from pipeline.process import Context, Process
from pipeline.process.envelope import Envelope
from pipeline.runtime import run_stage
from pipeline.runtime.dead_letters import dead_letter
from pipeline.runtime.stage import Output, Record, Stage
from pipeline.stages.clocks import Clocks
from pipeline.stages.deadlines import Deadlines
from pipeline.stages.documents import load_rules
from pipeline.stages.rule_counts import RuleCounts
from pipeline.stages.settings import RuleStageSettings
from pipeline.stages.telemetry import decode_telemetry
from rules import Engine, Event, VehicleState
from rules.engine import PublishAction
from rules.engine.outcomes import AlertRecord, CommandRecord, Outcome, RuleFailure

_SEPARATOR = b"\0"
# A part of a vehicle's state that is not the engine's: what the registry says of it.
_REGISTRY = "@registry"
_ALERTS = Envelope("vehicle.alerts", "alerts")
_COMMANDS = Envelope("vehicle.commands", "alerts")


class Alerts:
    """One partition of the stage: its vehicles, their timers, its clocks."""

    def __init__(self, engine: Engine, counts: RuleCounts) -> None:
        self._engine = engine
        self._counts = counts
        self._clocks = Clocks()
        self._deadlines = Deadlines()
        self._vehicles: dict[str, VehicleState] = {}
        self._packed: dict[str, dict[str, bytes]] = {}
        self._touched: set[str] = set()
        self._registry: dict[str, bytes | None] = {}
        self._outcomes: list[Outcome] = []

    # -- state ---------------------------------------------------------------------------------------------

    def restore(self, key: bytes, value: bytes) -> None:
        """A changelog record: vehicle id, zero byte, name of the part; the part as the engine packed it."""
        vehicle, _, part = key.rpartition(_SEPARATOR)
        self._packed.setdefault(vehicle.decode(), {})[part.decode()] = value

    def restored(self, clock: bytes | None) -> None:
        """All records are in: the clocks stand where the marker says, timers are armed."""
        if clock:
            self._clocks = Clocks.unpack(clock)
        for vehicle_id, parts in self._packed.items():
            self._deadlines.arm(vehicle_id, self._engine.deadline_of(parts))

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        changed: list[tuple[bytes, bytes | None]] = []
        for vehicle_id in self._touched:
            prefix = vehicle_id.encode() + _SEPARATOR
            for part, packed in self._engine.changed(self._vehicles[vehicle_id]).items():
                changed.append((prefix + part.encode(), packed))
        self._touched.clear()
        for vehicle_id, packed in self._registry.items():
            changed.append((vehicle_id.encode() + _SEPARATOR + _REGISTRY.encode(), packed))
        self._registry.clear()
        self._counts.matched(self._engine.take_activations())
        self._counts.flush()
        return changed

    def clock(self) -> bytes:
        return self._clocks.pack()

    def _vehicle(self, vehicle_id: str) -> VehicleState:
        vehicle = self._vehicles.get(vehicle_id)
        if vehicle is None:
            parts = self._packed.pop(vehicle_id, None)
            if parts:
                vehicle = self._engine.restore(vehicle_id, parts)
            else:
                vehicle = self._engine.new_vehicle(vehicle_id)
            self._vehicles[vehicle_id] = vehicle
        return vehicle

    # -- records -------------------------------------------------------------------------------------------

    def process(self, topic: str, records: Sequence[Record], out: list[Output]) -> None:
        if topic == "vehicle.registry":
            self._register(records)
            return
        events = newest = 0
        for record in records:
            if record.key is None:
                if self._clocks.tick(record.timestamp):
                    self._advance()
            else:
                instant = self._hear(record, out)
                if instant is not None:
                    events += 1
                    if instant > newest:
                        newest = instant
            if self._outcomes:
                self._write(out)
        self._counts.heard(events, newest, self._clocks.received)

    def _hear(self, record: Record, out: list[Output]) -> int | None:
        """Evaluate a telemetry record. Its event time; None for one that cannot be read."""
        try:
            telemetry = decode_telemetry(record.value or b"")
            instant = telemetry.instant
        except (msgspec.DecodeError, ValueError) as error:
            out.append(dead_letter(record, "alerts", "telemetry-undecodable", str(error)))
            return None
        vehicle_id = telemetry.vehicle_id
        if vehicle_id.encode() != record.key:
            reason = f"the record is about {vehicle_id[:100]!r}, and its key is another vehicle's"
            out.append(dead_letter(record, "alerts", "vehicle-id-differs", reason))
            return None
        clocks = self._clocks
        received_at = record.timestamp
        clocks.hear(received_at)
        vehicle = self._vehicles.get(vehicle_id) or self._vehicle(vehicle_id)
        fix = telemetry.position
        position = None if fix is None else (fix.latitude, fix.longitude)
        self._engine.process(
            vehicle, Event(instant, received_at, telemetry.signals, position), clocks.live, self._outcomes
        )
        self._touched.add(vehicle_id)
        self._deadlines.arm(vehicle_id, self._engine.next_deadline(vehicle))
        return instant

    def _advance(self) -> None:
        """Fire what silence has made due, the earliest first."""
        clocks = self._clocks
        for vehicle_id in self._deadlines.passed(clocks.live, self._deadline):
            vehicle = self._vehicle(vehicle_id)
            self._engine.advance(vehicle, clocks.live, clocks.received, self._outcomes)
            self._touched.add(vehicle_id)
            self._deadlines.arm(vehicle_id, self._engine.next_deadline(vehicle))

    def _deadline(self, vehicle_id: str) -> int | None:
        return self._engine.next_deadline(self._vehicle(vehicle_id))

    def _register(self, records: Sequence[Record]) -> None:
        """Keep what the registry says of a vehicle with its state."""
        for record in records:
            if record.key:
                self._registry[record.key.decode("utf-8", "replace")] = record.value

    def _write(self, out: list[Output]) -> None:
        for outcome in self._outcomes:
            match outcome:
                case RuleFailure():
                    self._counts.failed(outcome)
                    continue
                case AlertRecord():
                    topic, vehicle_id, envelope = "vehicle.alerts", outcome.vehicle_id, _ALERTS
                    time_ms = outcome.fired_at if outcome.ends_at is None else outcome.ends_at
                    self._counts.alert(outcome)
                case CommandRecord():
                    topic, vehicle_id, envelope = "vehicle.commands", outcome.vehicle_id, _COMMANDS
                    time_ms = outcome.received_at
                    self._counts.command(outcome)
                case _:
                    topic, vehicle_id, envelope = outcome.topic, outcome.alert.vehicle_id, _ALERTS
                    time_ms = outcome.alert.received_at
            out.append(
                Output(
                    topic,
                    vehicle_id.encode(),
                    orjson.dumps(outcome.to_record()),
                    envelope.headers(outcome.record_id, subject=vehicle_id, time_ms=time_ms),
                    self._clocks.received,
                )
            )
        self._outcomes.clear()


def stage(settings: RuleStageSettings) -> Stage:
    """The stage, with the rules that the settings name. Raises ConfigurationError."""
    rules = load_rules(settings.rules)
    engine = Engine(rules, quiet_after_ms=settings.quiet_after_ms)
    counts = RuleCounts()
    actions = [action for rule in rules.rules for action in rule.actions]
    tellings = [it for rule in rules.sequences for it in (rule.upon_match, rule.upon_timeout) if it]
    actions += [action for telling in tellings for action in telling.actions]
    published = {action.topic for action in actions if isinstance(action, PublishAction)}
    return Stage(
        name="alerts",
        inputs=("vehicle.telemetry", "vehicle.registry"),
        logic=lambda _partition: Alerts(engine, counts),
        outputs=("vehicle.alerts", "vehicle.commands", "vehicle.dead-letter"),
        elsewhere=tuple(sorted(published)),
        check_keys=True,
    )


async def main(context: Context[RuleStageSettings]) -> None:
    """Run the stage until the process is asked to stop."""
    await run_stage(context, stage(context.settings))


process = Process("alerts", RuleStageSettings, main, "Alert rules over telemetry: alerts and commands")
