"""A known input: what each vehicle sends, with the duplicates, late messages and rubbish of real ones."""

import json
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tests.e2e.recomputation import Sample


class Message(NamedTuple):
    """One MQTT publish."""

    vehicle: str
    payload: bytes


class Drive(NamedTuple):
    """What one vehicle sends, in order, and what of it counts."""

    vehicle: str
    samples: list[Sample]
    """Every sample once, late ones included, in the order of sending."""
    messages: list[Message]
    duplicates: int
    dead: int


def drive(vehicle: str, start: int, seconds: int, seed: int) -> Drive:
    """A vehicle that reports each second from `start` (ms); at the end it stands still, belted and cool."""
    dice = random.Random(f"{seed}/{vehicle}")
    speed, coolant, belt = 60.0, 90.0, True
    samples: list[Sample] = []
    messages: list[Message] = []
    duplicates = dead = 0
    for second in range(seconds):
        if second < seconds - 40:
            speed = round(min(200.0, max(0.0, speed + dice.choice((-28, -17, -6, -1, 2, 5, 9, 14, 22)))), 1)
            coolant = round(min(130.0, max(80.0, coolant + dice.uniform(-4, 4.2))), 1)
            belt = belt if dice.random() < 0.9 else not belt
        else:
            speed, coolant, belt = max(0.0, round(speed - 5, 1)), 85.0, True
        sample = Sample(start + second * 1000, len(samples), speed, coolant, belt)
        samples.append(sample)
        message = Message(vehicle, json.dumps(sample.payload()).encode())
        messages.append(message)
        match dice.random():
            case luck if luck < 0.03:
                messages.append(message)
                duplicates += 1
            case luck if luck < 0.05 and second > 30:
                late = Sample(sample.at - 25_500, len(samples), 199.0, 129.0, False)
                samples.append(late)
                messages.append(Message(vehicle, json.dumps(late.payload()).encode()))
            case luck if luck < 0.06:
                messages.append(
                    Message(vehicle, dice.choice((b"{", b"[1]", b'{"speed": 1}', b'{"ts": "x"}')))
                )
                dead += 1
            case _:
                pass
    return Drive(vehicle, samples, messages, duplicates, dead)


def interleaved(drives: Sequence[Drive]) -> Iterator[Message]:
    """All messages, each vehicle's in its order, the vehicles taking turns."""
    longest = max(len(one.messages) for one in drives)
    for number in range(longest):
        for one in drives:
            if number < len(one.messages):
                yield one.messages[number]
