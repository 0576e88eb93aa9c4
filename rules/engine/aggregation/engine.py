"""A fold of each vehicle's messages into windows: a window is told of when time has passed its end.

A message counts in the windows that its event time is in, for each rule whose `where` holds at it. Time is
the vehicle's: its data move it, and silence does, as everywhere (rules.engine.engine). A message older than
the vehicle's event time counts as long as one of its windows is not final, and moves no time: corrections are
told of together, a second of the vehicle's time after the first of them.
"""

from bisect import bisect_right, insort
from collections.abc import Collection, Mapping
from operator import itemgetter
from typing import Any

from rules.engine.aggregation import state
from rules.engine.aggregation.records import AggregateRecord, LateRecord, late_id, window_id
from rules.engine.aggregation.running import LateLook, RunningAggregation, Shape, group_value, is_sample
from rules.engine.aggregation.sources import GroupSample
from rules.engine.aggregation.telling import Cause, Subject, Teller
from rules.engine.aggregation.vehicle import Status, VehicleWindows, Windows
from rules.engine.events import Event
from rules.engine.expressions import Expression
from rules.engine.fold import Ongoing, Open
from rules.engine.memory import FOREVER, NEVER, Look, Memory, layout_for
from rules.engine.outcomes import RuleFailure
from rules.engine.places import Places
from rules.engine.registration import NOTHING, Registration
from rules.engine.ruleset import RuleSet
from rules.language.values import UNKNOWN

Told = AggregateRecord | LateRecord | RuleFailure
MOST_SAMPLES = 1_000
"""Messages in a sliding window of one vehicle and rule."""
_MOST_SHAPES = 10_000


class AggregationEngine:
    """The aggregation rules of a set, ready to run. It holds no state of vehicles: that is the caller's."""

    def __init__(
        self, rules: RuleSet, *, quiet_after_ms: int = 10_000, corrected_after_ms: int = 1_000
    ) -> None:
        self._revision = rules.revision
        self._quiet_after = quiet_after_ms
        self._corrected_after = corrected_after_ms
        ordered = sorted(rules.aggregations, key=lambda rule: rule.name)
        texts = [measure.argument for rule in ordered for measure in rule.measures if measure.argument]
        texts += [part for rule in ordered for part in (rule.where, rule.vehicles) if part]
        texts += [by for rule in ordered for _, by in rule.groups or ()]
        self.layout = layout_for(rules.signals, (), texts)
        self.rules = tuple(RunningAggregation(index, rule, self.layout) for index, rule in enumerate(ordered))
        self.teller = Teller(self.rules, rules.revision)
        self._selectors = [
            None if rule.vehicles is None else Expression(rule.vehicles, self.layout) for rule in ordered
        ]
        self._selected: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._shapes: dict[tuple[str, ...], Shape] = {}
        places = Places(rules.fences, self.layout.names)
        self._places = None if places.is_empty else places

    def new_vehicle(self, vehicle_id: str, registration: Registration = NOTHING) -> VehicleWindows:
        """The state of a vehicle that has said nothing yet."""
        memory = Memory.empty(self.layout)
        memory.facts = registration.facts()
        return VehicleWindows(vehicle_id, self._rules_for(vehicle_id, memory.facts), memory)

    def process(self, vehicle: VehicleWindows, event: Event, live_clock: int, out: list[Any]) -> None:
        """Apply one message. What was due before it is told first."""
        ts = event.ts
        is_late = ts < vehicle.time
        if ts > vehicle.due:
            self._sweep(vehicle, ts, event.received_at, None, out)
        signals = event.signals
        if self._places is not None and event.position is not None:
            signals = self._places.told_by(event).signals
        shape = self._shapes.get(names := tuple(signals)) or self._shape_of(names)
        memory = vehicle.memory
        vehicle.values_changed = True
        look: Look
        if is_late:
            said = {}
            for slot, value in zip(shape.slots, signals.values(), strict=True):
                if slot >= 0 and ts > memory.times[slot]:
                    memory.take(slot, ts, value)
                else:
                    said[slot] = value
            vehicle.wilts = NEVER
            look = LateLook(memory, vehicle.vehicle_id, ts, shape.carried, said=said)
        else:
            vehicle.time = ts
            vehicle.live = live_clock
            if ts > vehicle.wilts:
                _wilt(vehicle, ts)
            for slot, value in zip(shape.slots, signals.values(), strict=True):
                if slot >= 0:
                    memory.take(slot, ts, value)
            vehicle.wilts = min(vehicle.wilts, ts + shape.wilts_after)
            look = Look(memory, vehicle.vehicle_id, ts, shape.carried)
        for index, measures in shape.rules:
            if index in vehicle.rules:
                self._sample(vehicle, self.rules[index], measures, look, event, out)

    def advance(self, vehicle: VehicleWindows, live_clock: int, received_clock: int, out: list[Any]) -> None:
        """Tell what the vehicle's clock has passed in silence."""
        clock = self._clock(vehicle, live_clock)
        if clock > vehicle.due:
            self._sweep(vehicle, clock, received_clock, "silence", out)

    def register(
        self,
        vehicle: VehicleWindows,
        registration: Registration,
        _live_clock: int,
        _received_clock: int,
        _out: list[Any],
    ) -> None:
        """The registry says this of the vehicle from now on: messages from here on count accordingly.

        Windows that hold something are told of in their time, also those of rules that no longer select it.
        """
        vehicle.memory.facts = registration.facts()
        vehicle.rules = self._rules_for(vehicle.vehicle_id, vehicle.memory.facts)

    def forget(self, vehicle: VehicleWindows, _live_clock: int, received_clock: int, out: list[Any]) -> None:
        """Make every window final at once, then be as new."""
        if vehicle.time != NEVER:
            vehicle.gone.add(state.VALUES)
        for index in sorted(vehicle.windows):
            rule, windows = self.rules[index], vehicle.windows[index]
            cause = Cause("forgotten", received_clock)
            self.teller.forget(self._subject(vehicle), rule, windows, vehicle.time, cause, out)
            vehicle.gone |= state.parts_of(rule, windows)
        vehicle.forget(Memory.empty(self.layout), self._rules_for(vehicle.vehicle_id, {}))

    def retire(
        self,
        vehicle: VehicleWindows,
        names: Collection[str],
        reason: str,
        _live_clock: int,
        received_clock: int,
        out: list[Any],
    ) -> None:
        """The rules of these names are no more: their alerts end, open windows go without a record."""
        for index in [index for index in sorted(vehicle.windows) if self.rules[index].rule.name in names]:
            rule, windows = self.rules[index], vehicle.windows.pop(index)
            cause = Cause("rules", received_clock)
            self.teller.end(self._subject(vehicle), rule, windows, vehicle.time, reason, cause, out)
            vehicle.gone |= state.parts_of(rule, windows)

    def unselected(self, _vehicle: VehicleWindows, _parts: Mapping[str, bytes]) -> frozenset[str]:
        """None: windows that hold something are told of in their time."""
        return frozenset()

    def ongoing(self, vehicle: VehicleWindows) -> Ongoing:
        """The alerts that fire, and how often each window was told of."""
        firing, updates = {}, {}
        for index, windows in vehicle.windows.items():
            rule = self.rules[index]
            if rule.alarm is not None and windows.is_firing:
                firing[rule.alarm.id_of(vehicle.vehicle_id, windows)] = Open(rule.name, rule.alarm.severity)
            for key, status in windows.windows.items():
                updates[window_id(rule.lineage, vehicle.vehicle_id, key)] = status.update
        return Ongoing(firing, updates)

    def hand_over(
        self,
        vehicle: VehicleWindows,
        others: Ongoing,
        reason: str,
        live_clock: int,
        received_clock: int,
        out: list[Any],
    ) -> None:
        """Another set acts for the vehicle from now on: alerts that do not fire there are resolved."""
        self.advance(vehicle, live_clock, received_clock, out)
        subject, cause = self._subject(vehicle), Cause("rules", received_clock)
        for index, windows in sorted(vehicle.windows.items()):
            alarm = self.rules[index].alarm
            if alarm is None or not windows.is_firing:
                continue
            if alarm.id_of(vehicle.vehicle_id, windows) not in others.open:
                self.teller.end(subject, self.rules[index], windows, vehicle.time, reason, cause, out)

    def take_over(
        self,
        vehicle: VehicleWindows,
        others: Ongoing,
        _reason: str,
        live_clock: int,
        received_clock: int,
        out: list[Any],
    ) -> None:
        """Act for the vehicle in place of another set: alerts that fire here alone are told.

        Windows that the other has told of are told on, with updates that go on from its own.
        """
        self.advance(vehicle, live_clock, received_clock, out)
        subject, cause = self._subject(vehicle), Cause("rules", received_clock)
        for index, windows in sorted(vehicle.windows.items()):
            self.teller.announce(subject, self.rules[index], windows, cause, out, others=others)

    def firing_of(self, parts: Mapping[str, bytes]) -> list[str]:
        """The rules whose alert fires for a vehicle that is packed. Raises StateFormatError."""
        return state.firing(parts, self.rules)

    def next_deadline(self, vehicle: VehicleWindows) -> int | None:
        """The live clock after which `advance` has something to do; None if it waits for nothing."""
        if vehicle.due >= FOREVER:
            return None
        return vehicle.due - vehicle.time + vehicle.live + self._quiet_after

    def deadline_of(self, parts: Mapping[str, bytes]) -> int | None:
        """`next_deadline` of a vehicle that is still packed. Raises StateFormatError."""
        values = parts.get(state.VALUES)
        if values is None:
            return None
        due, time, live = state.deadline(values)
        return None if due >= FOREVER else due - time + live + self._quiet_after

    def snapshot(self, vehicle: VehicleWindows) -> dict[str, bytes]:
        """The whole state in parts, each with its format version; parts that hold nothing are left out."""
        return state.snapshot(vehicle, self.rules)

    def changed(self, vehicle: VehicleWindows) -> dict[str, bytes | None]:
        """The parts that changed since the last call; None for one that is gone."""
        return state.changed(vehicle, self.rules)

    def restore(
        self, vehicle_id: str, parts: Mapping[str, bytes], registration: Registration = NOTHING
    ) -> VehicleWindows:
        """The vehicle that `snapshot` told of, also over all that `changed` said so far.

        Parts of rules that the set does not have, or has with another meaning, are dropped. Raises
        StateFormatError.
        """
        vehicle = self.new_vehicle(vehicle_id, registration)
        state.restore(vehicle, parts, self.rules)
        return vehicle

    # -- messages ------------------------------------------------------------------------------------------

    def _rules_for(self, vehicle_id: str, facts: Mapping[str, object]) -> tuple[int, ...]:
        """The rules of a vehicle. A selector without a value selects nothing."""
        memory = Memory.empty(self.layout)
        memory.facts = facts
        look = Look(memory, vehicle_id, 0)
        chosen = []
        for index, selector in enumerate(self._selectors):
            try:
                if selector is None or selector.truth(look):
                    chosen.append(index)
            except Exception:
                continue
        return self._selected.setdefault(tuple(chosen), tuple(chosen))

    def _shape_of(self, names: tuple[str, ...]) -> Shape:
        slots = tuple(self.layout.slots.get(name, -1) for name in names)
        carried = frozenset(slot for slot in slots if slot >= 0)
        concerned = []
        for rule in self.rules:
            measures = tuple(
                place for place, reads in enumerate(rule.slots) if reads is None or reads & carried
            )
            if measures:
                concerned.append((rule.index, measures))
        if len(self._shapes) >= _MOST_SHAPES:
            self._shapes.clear()
        shape = self._shapes[names] = Shape(
            slots,
            carried,
            tuple(concerned),
            min((self.layout.stale_after[slot] for slot in carried), default=FOREVER),
        )
        return shape

    def _sample(
        self,
        vehicle: VehicleWindows,
        rule: RunningAggregation,
        measures: tuple[int, ...],
        look: Look,
        event: Event,
        out: list[Any],
    ) -> None:
        """Take what a message says for one rule."""
        try:
            if rule.where is not None and rule.where.truth(look) is not True:
                return
        except Exception as error:
            out.append(RuleFailure(rule.name, vehicle.vehicle_id, event.ts, str(error)))
            return
        samples: list[tuple[int, Any]] = []
        for place in measures:
            argument = rule.arguments[place]
            value: object = None
            if argument is not None:
                try:
                    slot = argument.slot
                    value = look.get("value", slot) if slot is not None else argument.value(look)
                except Exception as error:
                    out.append(RuleFailure(rule.name, vehicle.vehicle_id, event.ts, str(error)))
                    value = UNKNOWN
            if is_sample(value):
                samples.append((place, value))
        if not samples:
            return
        if rule.groups is not None:
            self._group(vehicle, rule, samples, look, event, out)
            return
        if rule.sliding is not None:
            self._slide(vehicle, rule, samples, event, out)
            return
        windows = vehicle.windows.get(rule.index) or Windows()
        pane = self._pane(vehicle, rule, windows, event.ts)
        if pane is None:
            out.append(self.too_late(vehicle.vehicle_id, rule, event))
            return
        vehicle.windows[rule.index] = windows
        kept = windows.panes.get(pane)
        if kept is None:
            kept = windows.panes[pane] = rule.new_pane()
        for place, value in samples:
            kept[place].add(value, event.ts, vehicle.vehicle_id)
        windows.panes_changed.add(pane)
        if rule.waits(windows, pane):
            return
        if rule.every:
            tell_at = vehicle.time - vehicle.time % rule.every + rule.every - 1
        else:
            tell_at = vehicle.time + self._corrected_after
        cause = Cause(None, event.received_at)
        self.teller.touched(self._subject(vehicle), rule, windows, pane, tell_at, cause, out)
        vehicle.due = min(vehicle.due, windows.tell_at)

    def _pane(
        self, vehicle: VehicleWindows, rule: RunningAggregation, windows: Windows, ts: int
    ) -> int | None:
        """The pane of an instant, with its windows there; None if they are all final."""
        if rule.fixed is None:
            return self._session(vehicle, rule, windows, ts)
        pane = rule.fixed.pane_of(ts)
        if pane in windows.panes:
            return pane
        usable = False
        for start, end in rule.fixed.windows_of(pane):
            if start in windows.windows:
                usable = True
            elif end > windows.final_until and end + rule.lateness > vehicle.time:
                is_closed = end <= vehicle.time
                windows.windows[start] = Status(start, start, end, closed=is_closed)
                if is_closed:
                    windows.closed_until = max(windows.closed_until, end)
                vehicle.due = min(vehicle.due, end - 1 + (rule.lateness if is_closed else 0))
                windows.changed = usable = True
        return pane if usable else None

    def _session(
        self, vehicle: VehicleWindows, rule: RunningAggregation, windows: Windows, ts: int
    ) -> int | None:
        """The session that a message joins or begins; None if it is older than the open one reaches."""
        assert rule.session is not None
        gap = rule.session.gap
        status = next(iter(windows.windows.values()), None)
        if ts < vehicle.time and (status is None or ts <= status.start - gap):
            return None
        windows.changed = True
        if status is None:
            key = max(ts, windows.final_until + 1)
            status = windows.windows[key] = Status(key, ts, ts + gap)
        status.start = min(status.start, ts)
        status.end = max(status.end, ts + gap)
        vehicle.due = min(vehicle.due, status.end - 1)
        return status.key

    def _slide(
        self,
        vehicle: VehicleWindows,
        rule: RunningAggregation,
        samples: list[tuple[int, Any]],
        event: Event,
        out: list[Any],
    ) -> None:
        """Tell what a message and those before it say together; a late one counts with those after it."""
        assert rule.sliding is not None
        ts, oldest = event.ts, vehicle.time - rule.sliding.size
        if ts <= oldest:
            out.append(self.too_late(vehicle.vehicle_id, rule, event))
            return
        windows = vehicle.windows.setdefault(rule.index, Windows())
        windows.changed = True
        kept = windows.samples
        insort(kept, (ts, samples), key=itemgetter(0))
        del kept[: bisect_right(kept, oldest, key=itemgetter(0))]
        if len(kept) > MOST_SAMPLES:
            del kept[0]
            error = f"more than {MOST_SAMPLES} messages in a sliding window: the oldest is dropped"
            out.append(RuleFailure(rule.name, vehicle.vehicle_id, ts, error))
        if ts < vehicle.time:
            return
        windows.final_until = key = max(ts, windows.final_until + 1)
        status = Status(key, oldest + 1, ts + 1, closed=True)
        cause = Cause(None, event.received_at)
        self.teller.tell(self._subject(vehicle), rule, windows, status, cause, out, final=True)

    def _group(
        self,
        vehicle: VehicleWindows,
        rule: RunningAggregation,
        samples: list[tuple[int, Any]],
        look: Look,
        event: Event,
        out: list[Any],
    ) -> None:
        """Hand the samples to whoever keeps the groups of many vehicles."""
        values = []
        for expression in rule.groups or ():
            try:
                values.append(group_value(expression.value(look)))
            except Exception as error:
                out.append(RuleFailure(rule.name, vehicle.vehicle_id, event.ts, str(error)))
                values.append(None)
        out.append(GroupSample(rule, tuple(values), samples, vehicle.vehicle_id, event))

    def too_late(self, vehicle_id: str, rule: RunningAggregation, event: Event) -> LateRecord:
        """What is told of a message that came after all its windows were over."""
        ts, received_at = event.ts, event.received_at
        key = late_id(rule.lineage, vehicle_id, ts, received_at, event.signals)
        signals = dict(event.signals)
        return LateRecord(key, rule.name, self._revision, vehicle_id, ts, received_at, signals)

    # -- time ----------------------------------------------------------------------------------------------

    def _clock(self, vehicle: VehicleWindows, live_clock: int) -> int:
        """The vehicle's clock: its event time, and the silence since beyond what is usual."""
        return vehicle.time + max(0, live_clock - vehicle.live - self._quiet_after)

    def _sweep(
        self, vehicle: VehicleWindows, limit: int, received_at: int, by: str | None, out: list[Any]
    ) -> None:
        """Tell what was due before `limit`."""
        self.teller.sweep(self._subject(vehicle), vehicle.windows, limit, Cause(by, received_at), out)
        for index in list(vehicle.windows):
            if self._is_over(vehicle, index):
                vehicle.gone |= state.parts_of(self.rules[index], vehicle.windows.pop(index))
        vehicle.due = min(
            (windows.due(self.rules[index].lateness) for index, windows in vehicle.windows.items()),
            default=FOREVER,
        )
        vehicle.values_changed = True

    def _is_over(self, vehicle: VehicleWindows, index: int) -> bool:
        """Whether there is nothing to remember: no window, and none that could come a second time."""
        windows, lateness = vehicle.windows[index], self.rules[index].lateness
        if windows.windows or windows.samples or windows.is_firing:
            return False
        return windows.final_until + lateness < vehicle.time

    def _subject(self, vehicle: VehicleWindows) -> Subject:
        vehicle_id = vehicle.vehicle_id
        words = {**vehicle.memory.facts, "vehicle.id": vehicle_id}
        return Subject(vehicle_id, {"vehicle": vehicle_id}, vehicle_id, words)


def _wilt(vehicle: VehicleWindows, ts: int) -> None:
    """Values that are too old by now are unknown from here on."""
    memory, soonest = vehicle.memory, FOREVER
    for slot, (said, lives) in enumerate(zip(memory.times, memory.layout.stale_after, strict=True)):
        if said == NEVER or slot in memory.stale:
            continue
        if said + lives < ts:
            memory.wilt(slot)
        elif said + lives < soonest:
            soonest = said + lives
    vehicle.wilts = soonest
