"""Labels and attributes in expressions: their types, what is unknown, and how they are asked for."""

import pytest

from rules.language import BOOL, DOUBLE, UNKNOWN, Compiled, Environment, UnknownValue, compile_template

ENVIRONMENT = Environment({"Vehicle.Speed": DOUBLE, "belt": BOOL}, {"speed": "Vehicle.Speed"})


def compiled(text: str, environment: Environment = ENVIRONMENT) -> Compiled:
    found = environment.compile(text, BOOL)
    assert isinstance(found, Compiled), found
    return found


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("vehicle.attributes.x > speed", ["vehicle.attributes.x as double"]),
        ("vehicle.attributes.x * 2 > 5", ["vehicle.attributes.x as double"]),
        ("speed in [vehicle.attributes.x, 3]", ["vehicle.attributes.x as double"]),
        ("speed > (belt ? vehicle.attributes.x : 80)", ["vehicle.attributes.x as double"]),
        ("vehicle.attributes.x", ["vehicle.attributes.x as bool"]),
        ("!vehicle.attributes.x || belt", ["vehicle.attributes.x as bool"]),
        ("vehicle.attributes.x ? belt : !belt", ["vehicle.attributes.x as bool"]),
        ('vehicle.attributes.x == "north"', ["vehicle.attributes.x as string"]),
        ('vehicle.attributes.x.startsWith("no")', ["vehicle.attributes.x as string"]),
        ("vehicle.attributes.x == vehicle.attributes.y", ["vehicle.attributes.x", "vehicle.attributes.y"]),
        ('vehicle.attributes["x-y"] > speed', ["vehicle.attributes.x-y"]),
        ('vehicle.labels["a-b"] in ["c"]', ["vehicle.labels.a-b"]),
        ("vehicle.labels.x == vehicle.attributes.x", ["vehicle.labels.x", "vehicle.attributes.x as string"]),
        ("has(vehicle.labels.x)", ["vehicle.labels.x"]),
        (
            "has(vehicle.attributes.x) && vehicle.attributes.x > 5",
            ["vehicle.attributes.x", "vehicle.attributes.x as double"],
        ),
    ],
)
def test_an_attribute_has_the_type_that_the_expression_means(text: str, keys: list[str]) -> None:
    assert [read.signal for read in compiled(text).reads if read.kind == "local"] == keys


@pytest.mark.parametrize(
    "text", ["has(vehicle.labels.x)", '"x" in vehicle.labels', '"x-y" in vehicle.attributes']
)
def test_whether_a_vehicle_has_it_is_never_unknown(text: str) -> None:
    condition = compiled(text)
    assert [condition.evaluate([value]) for value in ("a", UNKNOWN)] == [True, False]


def test_what_a_vehicle_lacks_is_unknown_and_gives_way_to_what_decides() -> None:
    condition = compiled("vehicle.attributes.hazmat || belt")
    assert condition.evaluate([UNKNOWN, True]) is True
    with pytest.raises(UnknownValue):
        condition.evaluate([UNKNOWN, False])


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        ("vehicle.labels == vehicle.labels", "TT115", 8),
        ("vehicle.labels.exists(k, k == 'a')", "TT115", 8),
        ("size(vehicle.attributes) > 3", "TT115", 13),
        ("vehicle.labels[vehicle.id] == 'a'", "TT115", 8),
        ("changed(vehicle.labels.model)", "TT108", 23),
        ("vehicle.label.model == 'a'", "TT101", 1),
        ("vehicle.labels.model > 5", "TT103", 22),
        ("vehicle.attributes.a > 5 && vehicle.attributes.a == 'x'", "TT103", 50),
    ],
)
def test_what_cannot_be_is_said_with_its_place(text: str, code: str, column: int) -> None:
    problems = ENVIRONMENT.compile(text, BOOL)
    assert isinstance(problems, list)
    assert [(problem.code, problem.column) for problem in problems][:1] == [(code, column)]


def test_definitions_may_use_them_each_with_the_type_that_it_means() -> None:
    limited = ENVIRONMENT.define("limited", "speed > vehicle.attributes.x", place="a.yaml:1")
    assert not isinstance(limited, list)
    condition = compiled('limited && vehicle.attributes.x != "no"', ENVIRONMENT.naming([limited]))
    assert [read.signal for read in condition.reads] == [
        "Vehicle.Speed",
        "vehicle.attributes.x as double",
        "vehicle.attributes.x as string",
    ]


def test_texts_tell_them() -> None:
    template = compile_template("{{ vehicle.labels.driver }} at {{ vehicle.attributes.depot }}", ENVIRONMENT)
    assert not isinstance(template, list)
    assert template.render(["Ann", 7.0]) == "Ann at 7"
    assert template.render([UNKNOWN, True]) == "unknown at true"
