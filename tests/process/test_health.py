from __future__ import annotations

from pipeline.process import Health


def test_a_process_that_checks_nothing_yet_is_not_ready() -> None:
    assert Health().missing() == {"process": "it is still starting"}


def test_readiness_says_what_is_missing_and_only_that() -> None:
    health = Health()
    health.check("kafka", lambda: "no broker answers at localhost:9092")
    health.check("mqtt", lambda: None)
    assert health.missing() == {"kafka": "no broker answers at localhost:9092"}
    assert health.broken() == {}


def test_a_later_check_of_the_same_name_takes_the_place_of_the_first() -> None:
    health = Health()
    health.check("kafka", lambda: "no broker answers")
    health.check("kafka", lambda: None)
    assert health.missing() == {}


def test_a_draining_process_is_not_ready_but_alive() -> None:
    health = Health()
    health.check("kafka", lambda: None)
    health.drain()
    assert "draining" in health.missing()["process"]
    assert health.broken() == {}


def test_a_check_that_raises_is_an_answer() -> None:
    health = Health()
    health.liveness("poll", lambda: str(1 / 0))
    assert health.broken() == {"poll": "the check itself failed: ZeroDivisionError: division by zero"}


def test_a_check_can_be_taken_away() -> None:
    health = Health()
    health.check("kafka", lambda: None)
    health.check("start", lambda: "not yet")
    health.forget("start")
    assert health.missing() == {}
