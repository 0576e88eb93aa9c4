import itertools
import math

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridges.simulator.characters import SPECIAL
from bridges.simulator.fleet import characters_of, happenings, vehicle_ids
from bridges.simulator.journeys import UPLOADS_PER_S, Coverage, Kind, Publication, journey
from bridges.simulator.roads import METRES_PER_DEGREE

START_MS = 1_790_000_000_000


def story(*, size=25, seed=1, seconds=60, interval_ms=1_000, start_ms=START_MS):
    events = happenings(name="v", size=size, seed=seed, start_ms=start_ms, interval_ms=interval_ms)
    return list(itertools.takewhile(lambda happening: happening.at < start_ms + seconds * 1_000, events))


def of(events, name, size=25):
    wanted = next(
        vehicle for vehicle, character in characters_of("v", size).items() if character.name == name
    )
    return [event for event in events if event.vehicle_id == wanted]


def documents(events):
    for event in events:
        if isinstance(event, Publication) and event.kind is not Kind.GARBLED:
            yield event, orjson.loads(event.payload)


@pytest.fixture(scope="module")
def minute():
    return story()


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(minute):
    assert story() == minute
    assert story(seed=2) != minute


def test_another_start_shifts_the_same_story(minute):
    later = story(start_ms=START_MS + 5_000)
    assert [event.at - 5_000 for event in later] == [event.at for event in minute]


@given(st.integers(1, 60), st.integers(0, 1_000), st.sampled_from([250, 1_000, 5_000]))
@settings(max_examples=10, deadline=None)
def test_what_happens_is_in_order_of_time(size, seed, interval_ms):
    events = story(size=size, seed=seed, seconds=20, interval_ms=interval_ms)
    assert [event.at for event in events] == sorted(event.at for event in events)
    for event in events:
        assert event.at >= START_MS
        assert not isinstance(event, Publication) or event.sampled <= event.at


def test_every_kind_of_message_and_every_trouble_is_there(minute):
    assert {event.kind for event in minute if isinstance(event, Publication)} == set(Kind)
    assert {character.name for character in characters_of("v", 25).values()} >= {it.name for it in SPECIAL}


def test_ids_sort_as_numbers_do():
    assert vehicle_ids("v", 3) == ["v-1", "v-2", "v-3"]
    assert vehicle_ids("v", 1_000) == sorted(vehicle_ids("v", 1_000))


def test_a_vehicle_tells_its_samples_in_order_and_each_once_but_for_duplicates(minute):
    for vehicle in {event.vehicle_id for event in minute}:
        told = [
            document["ts"]
            for event, document in documents(event for event in minute if event.vehicle_id == vehicle)
            if event.kind in (Kind.LIVE, Kind.LATE)
        ]
        assert told == sorted(set(told))


def test_a_duplicate_is_the_same_message_again(minute):
    told = set()
    duplicates = 0
    for event in of(minute, "stammer"):
        if isinstance(event, Publication):
            duplicates += event.kind is Kind.DUPLICATE
            assert (event.payload in told) is (event.kind is Kind.DUPLICATE)
            told.add(event.payload)
    assert duplicates > 0


def test_some_payloads_cannot_be_decoded_and_some_have_no_time(minute):
    for event in of(minute, "garble"):
        if isinstance(event, Publication) and event.kind is Kind.GARBLED:
            with pytest.raises(orjson.JSONDecodeError):
                orjson.loads(event.payload)
    timeless = [
        document for event, document in documents(of(minute, "no clock")) if event.kind is Kind.TIMELESS
    ]
    assert timeless
    assert not any("ts" in document for document in timeless)


def test_a_reboot_starts_the_sequence_again_with_newer_times(minute):
    told = [(document["seq"], document["ts"]) for _, document in documents(of(minute, "reboots"))]
    restarts = [now for before, now in itertools.pairwise(told) if now[0] < before[0]]
    assert restarts
    assert all(sequence == 0 for sequence, _ in restarts)
    assert [ts for _, ts in told] == sorted(ts for _, ts in told)


def test_hours_without_coverage_are_uploaded_oldest_first_before_what_is_new(minute):
    events = of(minute, "no break")
    assert isinstance(events[0], Coverage)
    published = [event for event in events if isinstance(event, Publication)]
    assert published[0].at - published[0].sampled > 5 * 3_600_000
    kinds = [event.kind for event in published]
    first_live = kinds.index(Kind.LIVE)
    assert set(kinds[:first_live]) == {Kind.LATE}
    assert first_live > 1_000
    assert set(kinds[first_live:]) == {Kind.LIVE}
    upload_s = (published[first_live].at - published[0].at) / 1_000
    assert first_live / upload_s <= UPLOADS_PER_S * 1.05


def test_nothing_is_published_without_coverage(minute):
    online = {}
    for event in minute:
        if isinstance(event, Coverage):
            assert online.get(event.vehicle_id, False) is not event.online
            online[event.vehicle_id] = event.online
        else:
            assert online[event.vehicle_id]


def test_coverage_is_lost_right_after_a_message(minute):
    events = of(minute, "tunnels")
    lost = next(
        index for index, event in enumerate(events) if isinstance(event, Coverage) and not event.online
    )
    assert isinstance(events[lost - 1], Publication)
    assert events[lost - 1].at == events[lost].at


def test_positions_follow_from_speeds(minute):
    for name in ("commuter", "taxi", "traveller", "speeder"):
        told = [document for _, document in documents(of(minute, name))]
        for before, now in itertools.pairwise(told):
            latitude = math.radians(now["pos"]["lat"])
            north_m = (now["pos"]["lat"] - before["pos"]["lat"]) * METRES_PER_DEGREE
            east_m = (now["pos"]["lon"] - before["pos"]["lon"]) * METRES_PER_DEGREE * math.cos(latitude)
            seconds = (now["ts"] - before["ts"]) / 1_000
            fastest = max(before["speed"], now["speed"]) / 3.6
            assert math.hypot(north_m, east_m) <= fastest * seconds + 3.0


def test_the_first_message_is_complete_and_later_ones_are_sparse():
    character = next(it for it in characters_of("v", 25).values() if it.name == "commuter")
    events = journey("v", character, number=15, seed=1, start_ms=START_MS, interval_ms=1_000)
    told = [document for _, document in documents(itertools.islice(events, 20))]
    assert set(told[1]) < set(told[0])
    assert {"soc", "batteryMax", "belt", "doorOpen", "tyres"} <= set(told[0])
    assert set(told[5]) == set(told[0])
