import pytest

from bridges.simulator.answers import REMEMBERED, Cabin, Habit, habit_of


def test_a_command_takes_effect_once_however_often_it_arrives():
    cabin = Cabin(0)
    new, answer = cabin.receive("c1")
    assert new
    assert answer is not None
    assert (answer.command_id, answer.status, answer.reason) == ("c1", "acknowledged", None)
    assert cabin.receive("c1") == (False, None)
    assert cabin.receive("c2")[0]
    assert cabin.receive("c1") == (False, None)


def test_a_cabin_forgets_the_ids_that_it_has_not_seen_for_longest():
    cabin = Cabin(0)
    for number in range(REMEMBERED + 1):
        assert cabin.receive(f"c{number}")[0]
    assert cabin.receive(f"c{REMEMBERED}") == (False, None)
    assert cabin.receive("c0")[0]


@pytest.mark.parametrize("habit", Habit)
def test_every_fleet_of_fifty_has_every_habit(habit):
    number = next(number for number in range(50) if habit_of(number) is habit)
    _, answer = Cabin(number).receive("c1")
    assert (None if answer is None else answer.status) == {"mute": None}.get(habit.value, habit.value)
    assert answer is None or (answer.reason is None) is (habit is Habit.ACKNOWLEDGES)
