"""Where two revisions meet: missed ones, ones cut short by a crash, and one share after the other."""

from tests.stages.test_live import FAST, HOT
from tests.stages.test_rollouts import COOLER, LINEAGES, TAKEN, Partition, brief, world

VEHICLE = TAKEN[0]
NEW_HOT = {**LINEAGES, "hot": 2}


def crowd(run: Partition) -> None:
    """So many vehicles that a change takes several batches."""
    for number in range(300):
        run.say(f"w{number}", after_ms=1, heat=1.0)
    run.commit()


# -- a crash while some vehicles have gone over and others have not ------------------------------------------


def test_what_a_rule_that_began_anew_fires_is_not_ended_after_a_crash_as_that_of_the_old_one() -> None:
    run = Partition(HOT)
    run.wait(1)
    run.say("v1", heat=1.0)
    crowd(run)
    run.apply(2, HOT, lineages=NEW_HOT)
    assert brief(run.say("v1", heat=60.0)) == [("hot", "v1", "firing", None, 2)]
    run.commit()
    run.crash()
    assert brief(run.wait(20)) == []


def test_what_a_rule_fires_that_came_and_went_while_vehicles_went_over_is_resolved() -> None:
    run = Partition(FAST)
    run.wait(1)
    run.say("v1", heat=1.0)
    crowd(run)
    run.apply(2, FAST, HOT, lineages=NEW_HOT)
    run.say("v1", heat=60.0)
    run.commit()
    run.apply(3, FAST)
    run.crash()
    assert brief(run.wait(20)) == [("hot", "v1", "resolved", "deleted", 2)]


def test_a_vehicle_that_first_speaks_while_others_go_over_to_a_candidate_is_not_moved_after_a_crash() -> None:
    run = Partition(HOT)
    run.wait(1)
    crowd(run)
    run.roll_out(2, COOLER, lineages=NEW_HOT)
    assert brief(run.say(VEHICLE, heat=30.0)) == [("hot", VEHICLE, "firing", None, 2)]
    run.commit()
    run.crash()
    assert brief(run.wait(20)) == []
    assert len(world(run.all_told)) == 1
