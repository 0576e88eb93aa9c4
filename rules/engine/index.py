"""The index of values: which rules' conditions may have turned with what a vehicle just said.

Of each signal it is known where its value stands among the constants that rules compare it with (its place).
A value that stays in its place turns nothing and costs one comparison. One that moves turns the literals that
it passes, so only their rules are judged. Rules are of three sorts here:

- *settled*: nothing but literals decides their condition, so it is judged when one of them turns;
- *guarded*: judged at every message that carries what they read, while their guard holds or their alert is
  under way; so nothing that counts messages, looks back or has a schedule misses one for which the condition
  may be true;
- *others*: judged at every message that carries what they read, by generated code.

What is judged is compared with what the alert expects. A settled rule whose condition is not what its alert
expects, though no message that it reads came (late data, time turned back, a restart), waits in `unsettled`
until one comes.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rules.engine.bounds import NOWHERE, ODD, Bounds, Claimed, Place
from rules.engine.expressions import Expression
from rules.engine.literals import Decision, Literal
from rules.engine.masks import bits
from rules.engine.memory import Look
from rules.engine.running import RunningRule
from rules.language.values import UNKNOWN

if TYPE_CHECKING:
    from rules.engine.vehicle import VehicleState


MOST_BOUNDS = 1_000
"""For some rules of a signal only; beyond, all vehicles share those of all rules."""


class Sorted:
    """The rules of a set by how the index treats them: a bit for each."""

    __slots__ = ("_bounds", "_rules", "concerned", "decisions", "elsewhere", "guarded", "others", "settled")

    def __init__(self, rules: Sequence[RunningRule], *, is_indexed: bool) -> None:
        self._rules = rules
        self._bounds: dict[tuple[int, int], Bounds] = {}
        self.decisions = [rule.when.decision if is_indexed else Decision() for rule in rules]
        self.settled = self.guarded = self.others = 0
        self.concerned: dict[int, int] = {}
        """Slot to the rules that its places concern."""
        self.elsewhere: dict[int, set[int]] = {}
        """Slot to the other slots that guard settled rules which read it."""
        kinds: dict[int, type] = {}
        for rule, decision in zip(rules, self.decisions, strict=True):
            bit = 1 << rule.index
            if decision.guard is None or not _is_of_one_type(rule.when, decision, kinds):
                self.others |= bit
                continue
            slots = rule.when.slots_of_locals
            guards = {slots[literal.local] for literal in decision.guard}
            read = {slots[literal.local] for literal in decision.literals} | guards
            is_settled = decision.is_settled and rule.count is None and rule.schedule is None
            if is_settled:
                self.settled |= bit
                for slot in read:
                    self.elsewhere.setdefault(slot, set()).update(guards - {slot})
            else:
                self.guarded |= bit
            for slot in read if is_settled else guards:
                self.concerned[slot] = self.concerned.get(slot, 0) | bit

    def bounds(self, slot: int, rules: int) -> Bounds:
        """The bounds of a signal for some of the rules that it concerns, or for all of them.

        Many sets of rules apply to some vehicles, and most of them differ little.
        """
        every = self.concerned[slot]
        if 2 * rules.bit_count() >= every.bit_count() or len(self._bounds) > MOST_BOUNDS:
            rules = every
        found = self._bounds.get((slot, rules))
        if found is None:
            found = self._bounds[slot, rules] = self._claimed(slot, rules).bounds()
        return found

    def _claimed(self, slot: int, rules: int) -> Claimed:
        claimed = Claimed()
        for index in bits(rules):
            slots: Mapping[str, int] = self._rules[index].when.slots_of_locals
            decision = self.decisions[index]
            literals: list[Literal] = [it for it in decision.literals if slots[it.local] == slot]
            guards = [it for it in decision.guard or () if slots[it.local] == slot]
            if self.settled >> index & 1:
                claimed.literals += [(index, literal) for literal in literals]
                claimed.guards += [(index, literal) for literal in guards]
            else:
                claimed.openings += [(index, literal) for literal in guards]
        return claimed


def _is_of_one_type(when: Expression, decision: Decision, kinds: dict[int, type]) -> bool:
    """Whether each signal is compared with constants of the type that the rules before compare it with."""
    slots = when.slots_of_locals
    return all(
        kinds.setdefault(slots[literal.local], literal.kind) is literal.kind
        for literal in (*decision.literals, *(decision.guard or ()))
    )


class ValueIndex:
    """The index over some rules of a set, for the vehicles to which they apply.

    Its bounds may name others, too, which are left out wherever they come up.
    """

    def __init__(
        self, rules: Sequence[RunningRule], sorts: Sorted, enabled: int, readers: Sequence[int]
    ) -> None:
        self._rules = rules
        self._elsewhere = sorts.elsewhere
        self._readers = readers
        self.settled = sorts.settled & enabled
        self.guarded = sorts.guarded & enabled
        self.others = sorts.others & enabled
        self.bounds = {
            slot: sorts.bounds(slot, mask & enabled)
            for slot, mask in sorts.concerned.items()
            if mask & enabled
        }

    def locate(self, vehicle: "VehicleState") -> None:
        """Find every signal's place anew: the vehicle was restored, or other rules apply to it now."""
        vehicle.memory.places = places = [NOWHERE] * len(vehicle.memory.values)
        vehicle.unsettled.clear()
        held: set[int] = set()
        opened = 0
        for slot, bounds in self.bounds.items():
            places[slot] = place = self._place(vehicle, slot)
            opened |= place[3]
            guarded = bounds.guarded(place[2])
            if guarded:
                held.update(guarded)
        vehicle.opened = opened
        expected = vehicle.expect & self.settled
        if held or expected:
            self._note_unsettled(vehicle, held.union(bits(expected)))

    def unsettle(self, vehicle: "VehicleState", slots: Iterable[int]) -> None:
        """These signals have other values than before, and no rule was judged."""
        self._note_unsettled(vehicle, self._moved(vehicle, [slot for slot in slots if slot in self.bounds]))

    def turned(self, vehicle: "VehicleState", slots: list[int], carried: int) -> Collection[int]:
        """The settled rules to judge after a message, some perhaps twice: `slots` have left their places.

        `carried` has the rules that read a signal of the message; what was unsettled of them is settled now.
        """
        found = self._moved(vehicle, slots)
        slots.clear()
        if vehicle.unsettled:
            due = [index for index in vehicle.unsettled if carried >> index & 1]
            if due:
                vehicle.unsettled.difference_update(due)
                return [*found, *due]
        return found

    def may_move(self, vehicle: "VehicleState") -> int:
        """The rules whose alert time alone could move: for the rest a value that is lost changes nothing."""
        mask = self.others | vehicle.opened
        for index in (*vehicle.alerts, *vehicle.unsettled):
            mask |= 1 << index
        return mask

    def _moved(self, vehicle: "VehicleState", slots: Collection[int]) -> Collection[int]:
        """Take note of where signals stand now. The settled rules whose condition may have turned."""
        places = vehicle.memory.places
        found: list[int] = []
        anew = []
        is_opened = False
        for slot in slots:
            bounds = self.bounds[slot]
            _, _, before, was_opened = places[slot]
            places[slot] = place = self._place(vehicle, slot)
            _, _, where, opened = place
            if was_opened != opened:
                is_opened = True
            between = bounds.between(before, where)
            if between is None:
                anew.append(slot)
            else:
                found += between
        if is_opened:
            self._open(vehicle)
        if anew:
            return {*found, *(index for slot in anew for index in self._anew(vehicle, slot))}
        return found

    def _anew(self, vehicle: "VehicleState", slot: int) -> Iterable[int]:
        """The settled rules that read a signal and may hold, or are expected to, now that it is known.

        A condition that became true by it has a guard that holds, here or at another signal.
        """
        places = vehicle.memory.places
        yield from self.bounds[slot].guarded(places[slot][2])
        readers = self._readers[slot]
        for other in self._elsewhere.get(slot, ()):
            if other in self.bounds:
                for index in self.bounds[other].guarded(places[other][2]):
                    if readers >> index & 1:
                        yield index
        yield from bits(vehicle.expect & self.settled & readers)

    def _place(self, vehicle: "VehicleState", slot: int) -> Place:
        value = vehicle.memory.values[slot]
        if value is UNKNOWN:
            return NOWHERE
        try:
            return self.bounds[slot].place(value)
        except Exception:  # not of the signal's type: whoever reads it is judged each time
            nothing = object()
            return nothing, nothing, ODD, self._readers[slot] & (self.settled | self.guarded)

    def _open(self, vehicle: "VehicleState") -> None:
        opened = 0
        for slot in self.bounds:
            opened |= vehicle.memory.places[slot][3]
        vehicle.opened = opened

    def _note_unsettled(self, vehicle: "VehicleState", candidates: Iterable[int]) -> None:
        look = Look(vehicle.memory, vehicle.vehicle_id, vehicle.time)
        for index in candidates:
            if not self.settled >> index & 1:
                continue
            try:
                holds = self._rules[index].when.truth(look) is True
            except Exception:
                holds = False
            if holds != (vehicle.expect >> index & 1):
                vehicle.unsettled.add(index)
