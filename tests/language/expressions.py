"""Random well-typed CEL, over every operator, function and macro that CEL's language definition documents.

Each production says which documented name it draws, what it yields and what it needs. An expression is made
twice from the same draws: as an author writes it here, integer literals standing for doubles, and as official
CEL wants it. So the promotion of literals is tested by the same comparison.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rules.language import BOOL, BYTES, DOUBLE, DURATION, INT, STRING, TIMESTAMP, UINT, Type
from rules.language.values import Duration, Timestamp, Uint


def _words(text: str) -> list[str]:
    return text.split()


# Macros, operators and functions, in the order of the section "Standard Definitions".
DOCUMENTED = frozenset(
    _words(
        """
        has all exists exists_one filter map
        ! && || ?: unary- + - * / % == != < <= > >= [] in
        size contains startsWith endsWith matches
        getDate getDayOfMonth getDayOfWeek getDayOfYear getFullYear getHours getMilliseconds getMinutes
        getMonth getSeconds
        bool bytes double duration dyn int list map_type null_type string timestamp type uint
        """
    )
)
EXTENSION = frozenset(
    _words("charAt indexOf lastIndexOf join lowerAscii upperAscii replace split substring trim")
)
WINDOWED = ("avg", "min", "max", "sum", "count", "stddev", "increase", "percentile")
HISTORY = frozenset((*_words("prev changed delta rate age"), *WINDOWED))

VARIABLES: Mapping[str, Type] = {
    "d1": DOUBLE,
    "d2": DOUBLE,
    "Vehicle.Speed": DOUBLE,
    "b1": BOOL,
    "b2": BOOL,
    "s1": STRING,
    "s2": STRING,
    "i1": INT,
    "i2": INT,
    "u1": UINT,
    "y1": BYTES,
    "r1": DURATION,
    "t1": TIMESTAMP,
}
OFFICIAL: Mapping[str, Type] = {
    **VARIABLES,
    "prev_d1": DOUBLE,
    "prev_b1": BOOL,
    "prev_s1": STRING,
    "changed_d1": BOOL,
    "delta_d1": DOUBLE,
    "rate_d1": DOUBLE,
    "age_d1": DURATION,
    **{f"{function}_d1": DOUBLE for function in WINDOWED},
}
"""For the oracle, a history function of a signal is one more variable."""

_TYPES = {
    "double": DOUBLE,
    "bool": BOOL,
    "string": STRING,
    "int": INT,
    "uint": UINT,
    "bytes": BYTES,
    "duration": DURATION,
    "timestamp": TIMESTAMP,
}
_DOUBLES = _words(
    "0 1 2 3 -1 -5 7 100 0x10 0.5 -0.1 1e3 1.5e-7 120 9007199254740993 1e308 -1e308 5e-324 123456789.25"
)
_INTS = _words("0 1 -1 2 3 5 7 -10 100 0xff 9223372036854775807 -9223372036854775808 4611686018427387904")
_UINTS = _words("0u 1u 2u 7u 0xFFu 18446744073709551615u")
_STRINGS = (
    *("''", "'a'", "'abc'", '"it\'s"', "'a,b,,c'", "'Ä🙂é'", "' pad '", "'true'", "'False'", "'12'", "'-7'"),
    *(
        "' 12 '",
        "'1.5'",
        "'1e3'",
        "'nan'",
        "'-inf'",
        "'0x1F'",
        "'1h30m'",
        "'-1.5s'",
        "'2.5ms'",
        "'0'",
        "'bad'",
    ),
    *("'2026-02-28T23:59:59.123456789Z'", "'2024-02-29T00:00:00+05:30'", "'18446744073709551615'"),
    *(r"'\n\t\\'", r"r'\d+'", r"'\u00e9'", r"'\x41'", r"'\101'", "'''x'y'''", "'9223372036854775808'"),
    *("'aXbXc'", "'X'"),
)
_BYTES = ("b''", "b'abc'", r"b'\xff\x00'", "b'ÿ'", r"b'\303\277'", "b'🙂'")
_DURATIONS = _words("'0' '1s' '-1.5s' '5m' '1h30m' '250ms' '1us' '1ns' '2562047h' '-1h2m3.004s'")
_TIMESTAMPS = _words(
    """
    '1970-01-01T00:00:00Z' '2026-01-01T00:00:00.5Z' '2024-02-29T23:59:59+05:30' '0001-01-01T00:00:00Z'
    '9999-12-31T23:59:59.999999999Z' '1969-12-31T23:59:59.999999999Z' '2025-07-01T12:00:00Z'
    """
)
_ZONES = _words(
    "'UTC' 'Asia/Shanghai' 'America/New_York' 'Europe/Berlin' '+02:00' '-05:30' '11:15' 'Nowhere/City' ''"
)
_PATTERNS = (
    *(
        "'a'",
        "'^a.*c$'",
        r"r'\d+'",
        "'[A-Z]+'",
        "'(?i)ABC'",
        "'^$'",
        "'.'",
        r"r'\bX\b'",
        "'é|🙂'",
        "'(a|b)+,'",
    ),
)
_PARTS = _words("getDate getDayOfMonth getDayOfWeek getDayOfYear getFullYear getMonth")
_CLOCK_PARTS = _words("getHours getMinutes getSeconds getMilliseconds")
_UNTYPED = frozenset({"dyn", "type", "int", "uint", "double", "string", "timestamp"})

ELEMENTS = ("double", "string", "int", "bool")


@dataclass(frozen=True)
class Production:
    """`{0}`… are the arguments; `{x}` is a fresh variable, of type T in arguments ("body", yields, T)."""

    draws: str
    yields: str
    needs: tuple[str | tuple[str, str, str], ...]
    text: str
    official: str | None = None


def _productions() -> list[Production]:
    made: list[Production] = []

    def rule(
        draws: str, yields: str, text: str, *needs: str | tuple[str, str, str], official: str = ""
    ) -> None:
        made.append(Production(draws, yields, needs, text, official or None))

    every = (
        *_TYPES,
        "dyn",
        *(f"list({element})" for element in ELEMENTS),
        "map(string,double)",
        "map(int,string)",
    )
    for type_ in every:
        rule("?:", type_, "({0} ? {1} : {2})", "bool", type_, type_)
    for operator in ("+", "-", "*", "/"):
        for type_ in ("double", "int", "uint"):
            rule(operator, type_, f"({{0}} {operator} {{1}})", type_, type_)
    for type_ in ("int", "uint"):
        rule("%", type_, "({0} % {1})", type_, type_)
    for type_ in ("string", "bytes", "duration", *(f"list({element})" for element in ELEMENTS)):
        rule("+", type_, "({0} + {1})", type_, type_)
    rule("+", "timestamp", "({0} + {1})", "timestamp", "duration")
    rule("+", "timestamp", "({0} + {1})", "duration", "timestamp")
    rule("-", "timestamp", "({0} - {1})", "timestamp", "duration")
    rule("-", "duration", "({0} - {1})", "timestamp", "timestamp")
    rule("-", "duration", "({0} - {1})", "duration", "duration")
    rule("unary-", "double", "(-({0}))", "double")
    rule("unary-", "int", "(-({0}))", "int")
    for operator in ("==", "!="):
        for type_ in (*every, "type", "null"):
            rule(operator, "bool", f"({{0}} {operator} {{1}})", type_, type_)
    for operator in ("<", "<=", ">", ">="):
        for type_ in (*_TYPES, "double", "double", "dyn"):
            rule(operator, "bool", f"({{0}} {operator} {{1}})", type_, type_)
    for _ in range(6):
        rule("&&", "bool", "({0} && {1})", "bool", "bool")
        rule("||", "bool", "({0} || {1})", "bool", "bool")
    rule("&&", "bool", "({0} && {1} && {2})", "bool", "bool", "bool")
    rule("||", "bool", "({0} || {1} || {2})", "bool", "dyn", "bool")
    rule("!", "bool", "!({0})", "bool")
    for element in ELEMENTS:
        lists = f"list({element})"
        rule("[]", element, "{0}[{1}]", lists, "int")
        rule("in", "bool", "({0} in {1})", element, lists)
        rule("size", "int", "size({0})", lists)
        rule("size", "int", "{0}.size()", lists)
        # An empty list alone has no type yet, and official CEL then settles on the first that fits.
        shown = {"double": "0.5", "string": "'a'", "int": "1", "bool": "true"}[element]
        rule(
            "list", lists, f"(true ? [] : [int({shown})])" if element == "int" else f"(true ? [] : [{shown}])"
        )
        for count in (1, 2, 3, 6):
            rule(
                "list", lists, f"[{', '.join(f'{{{place}}}' for place in range(count))}]", *[element] * count
            )
        rule("filter", lists, "{0}.filter({x}, {1})", lists, ("body", "bool", element))
        for macro in ("all", "exists", "exists_one"):
            rule(macro, "bool", f"{{0}}.{macro}({{x}}, {{1}})", lists, ("body", "bool", element))
        for other in ELEMENTS:
            rule("map", lists, "{0}.map({x}, {1})", f"list({other})", ("body", element, other))
        rule(
            "map",
            lists,
            "{0}.map({x}, {1}, {2})",
            lists,
            ("body", "bool", element),
            ("body", element, element),
        )
        rule("dyn", "dyn", "dyn({0})", element)
        rule("type", "type", "type({0})", element)
        rule("in", "bool", "({0} in {1})", "dyn", lists.replace(element, "dyn"))
    rule("list", "list(dyn)", "[{0}, {1}]", "dyn", "dyn")
    rule("dyn", "dyn", "dyn({0})", "list(double)")
    rule("dyn", "dyn", "dyn({0})", "uint")
    rule("dyn", "dyn", "dyn({0})", "map(string,double)")
    for operator in ("+", "-", "*", "/", "%"):
        rule(operator, "dyn", f"({{0}} {operator} {{1}})", "dyn", "dyn")
    rule("[]", "dyn", "{0}[{1}]", "dyn", "dyn")
    rule("map_type", "map(string,double)", "{{'a': {0}, {1}: {2}}}", "double", "string", "double")
    rule("map_type", "map(string,double)", "(true ? {{}} : {{'a': 0.5}})")
    rule("map_type", "map(int,string)", "{{1: {0}, {1}: {2}}}", "string", "int", "string")
    rule("[]", "double", "{0}[{1}]", "map(string,double)", "string")
    rule("[]", "double", "{0}.a", "map(string,double)")
    rule("[]", "string", "{0}[{1}]", "map(int,string)", "int")
    rule("has", "bool", "has({0}.a)", "map(string,double)")
    rule("has", "bool", "has(dyn({0}).b)", "map(string,double)")
    rule("in", "bool", "({0} in {1})", "string", "map(string,double)")
    rule("in", "bool", "({0} in {1})", "int", "map(int,string)")
    rule("size", "int", "{0}.size()", "map(string,double)")
    rule("size", "int", "size({0})", "map(int,string)")
    for macro in ("all", "exists", "exists_one"):
        rule(macro, "bool", f"{{0}}.{macro}({{x}}, {{1}})", "map(int,string)", ("body", "bool", "int"))
        rule(macro, "bool", f"{{0}}.{macro}({{x}}, {{1}})", "map(string,double)", ("body", "bool", "string"))
    for type_ in ("string", "bytes"):
        rule("size", "int", "size({0})", type_)
        rule("size", "int", "{0}.size()", type_)
    for name in ("contains", "startsWith", "endsWith"):
        rule(name, "bool", f"{{0}}.{name}({{1}})", "string", "string")
    rule("matches", "bool", "{0}.matches({1})", "string", "pattern")
    rule("matches", "bool", "matches({0}, {1})", "string", "pattern")
    rule("matches", "bool", "{0}.matches({1} + {2})", "string", "pattern", "string")
    for name in (*_PARTS, *_CLOCK_PARTS):
        rule(name, "int", f"{{0}}.{name}()", "timestamp")
        rule(name, "int", f"{{0}}.{name}({{1}})", "timestamp", "zone")
    for name in _CLOCK_PARTS:
        rule(name, "int", f"{{0}}.{name}()", "duration")
    for target, sources in {
        "bool": ("bool", "string"),
        "int": ("int", "uint", "double", "string", "timestamp"),
        "uint": ("uint", "int", "double", "string"),
        "double": ("double", "int", "uint", "string"),
        "string": ("string", "bool", "int", "uint", "bytes", "duration", "timestamp"),
        "bytes": ("bytes", "string"),
        "duration": ("duration", "string variable"),
        "timestamp": ("timestamp", "string variable", "int"),
    }.items():
        for source in sources:
            rule(target, target, f"{target}({{0}})", source)
    # What C++ writes for a NaN has the processor's sign; ours has none.
    rule("string", "string", "({0} == {0} ? string({0}) : 'nan')", "double")
    for name in _TYPES:
        shown = {"duration": "google.protobuf.Duration", "timestamp": "google.protobuf.Timestamp"}.get(
            name, name
        )
        rule("type", "type", shown)
        rule("type", "type", "type({0})", name)
    for name in ("list", "map", "null_type", "type"):
        rule({"map": "map_type"}.get(name, name), "type", name)
    rule("null_type", "null", "null")
    rule("type", "type", "type({0})", "null")
    rule("type", "type", "type({0})", "dyn")
    rule("type", "type", "type({0})", "type")
    for index in ("0", "1", "-1", "2", "5"):
        rule("charAt", "string", f"{{0}}.charAt({index})", "string")
        rule("substring", "string", f"{{0}}.substring({index})", "string")
        rule("indexOf", "int", f"{{0}}.indexOf({{1}}, {index})", "string", "string")
        rule("lastIndexOf", "int", f"{{0}}.lastIndexOf({{1}}, {index})", "string", "string")
        rule("split", "list(string)", f"{{0}}.split({{1}}, {index})", "string", "string")
        rule("replace", "string", f"{{0}}.replace({{1}}, {{2}}, {index})", "string", "string", "string")
    rule("charAt", "string", "{0}.charAt({1})", "string", "int")
    # This cel-cpp refuses a substring up to the text's end, which CEL's extension documents.
    rule(
        "substring",
        "string",
        "(size({0}) == {2} ? 'end' : {0}.substring({1}, {2}))",
        *("string", "int", "int"),
    )
    rule("indexOf", "int", "{0}.indexOf({1})", "string", "string")
    rule("lastIndexOf", "int", "{0}.lastIndexOf({1})", "string", "string")
    rule("split", "list(string)", "{0}.split({1})", "string", "string")
    rule("replace", "string", "{0}.replace({1}, {2})", "string", "string", "string")
    rule("join", "string", "{0}.join()", "list(string)")
    rule("join", "string", "{0}.join({1})", "list(string)", "string")
    for name in ("lowerAscii", "upperAscii", "trim"):
        rule(name, "string", f"{{0}}.{name}()", "string")
    for argument, type_ in (("d1", "double"), ("b1", "bool"), ("s1", "string")):
        rule("prev", type_, f"prev({argument})", official=f"prev_{argument}")
    rule("changed", "bool", "changed(d1)", official="changed_d1")
    rule("delta", "double", "delta(d1)", official="delta_d1")
    rule("rate", "double", "rate(d1)", official="rate_d1")
    for function in WINDOWED:
        percent = ", 95" if function == "percentile" else ""
        rule(function, "double", f"{function}(d1{percent}, duration('5m'))", official=f"{function}_d1")
    for operator in ("<", "<=", ">", ">=", "==", "!="):
        rule(
            "age",
            "bool",
            f"(age(d1) {operator} duration('5m'))",
            official=f"(age_d1 {operator} duration('5m'))",
        )
        rule(
            "age",
            "bool",
            f"(duration('2.5s') {operator} age(d1))",
            official=f"(duration('2.5s') {operator} age_d1)",
        )
    return made


PRODUCTIONS = _productions()
_BY_YIELD: dict[str, dict[str, list[Production]]] = {}
for _production in PRODUCTIONS:
    _BY_YIELD.setdefault(_production.yields, {}).setdefault(_production.draws, []).append(_production)
_LEAVES: Mapping[str, Sequence[str]] = {
    "double": _DOUBLES,
    "int": _INTS,
    "uint": _UINTS,
    "string": _STRINGS,
    "bytes": _BYTES,
    "bool": ("true", "false"),
    "duration": [f"duration({text})" for text in _DURATIONS],
    "timestamp": [f"timestamp({text})" for text in _TIMESTAMPS],
    "pattern": _PATTERNS,
    "zone": _ZONES,
    "null": ("null",),
}
_NAMED: dict[str, list[str]] = {}
for _name, _type in VARIABLES.items():
    _NAMED.setdefault(str(_type), []).append(_name)


@dataclass(frozen=True)
class Expression:
    """One expression in both spellings; `drawn` are the documented names in it."""

    author: str
    official: str
    drawn: frozenset[str]


class Generator:
    """Draws expressions; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._drawn: set[str] = set()
        self._untyped = False

    def expression(self, type_: str) -> Expression:
        self._drawn = set()
        author, official = self._make(type_, self._random.choice((1, 2, 2, 3, 3, 4)), {})
        return Expression(author, official, frozenset(self._drawn))

    def _make(self, type_: str, depth: int, scope: Mapping[str, str]) -> tuple[str, str]:
        # The name is drawn before one of its forms, so that names with few forms are as frequent as others.
        names = _BY_YIELD.get(type_, {})
        leaf = self._leaf(type_, scope) if depth <= 0 or not names or self._random.random() < 0.15 else None
        if leaf is not None:
            return leaf
        groups = [names[name] for name in sorted(names)]
        forms = [self._random.choice(group) for group in groups]
        if depth <= 0:
            leaves = {*_LEAVES, *(("dyn",) if type_ == "list(dyn)" else ())}
            every = [form for group in groups for form in group]
            forms = [form for form in every if not form.needs] or [
                form for form in every if set(form.needs) <= leaves
            ]
            fewest = min(len(form.needs) for form in forms)
            forms = [form for form in forms if len(form.needs) == fewest]
        form = self._random.choice(forms)
        self._drawn.add(form.draws)
        variable = f"x{len(scope)}"
        author: list[str] = []
        official: list[str] = []
        # An integer under dyn(), type() or a conversion is an integer for authors too.
        before, self._untyped = self._untyped, self._untyped or form.draws in _UNTYPED
        for need in form.needs:
            if isinstance(need, tuple):
                _, wanted, element = need
                made = self._make(wanted, depth - 1, {**scope, variable: element})
            else:
                made = self._make(need, depth - 1, scope)
            author.append(made[0])
            official.append(made[1])
        self._untyped = before
        return (
            form.text.format(*author, x=variable),
            (form.official or form.text).format(*official, x=variable),
        )

    def _leaf(self, type_: str, scope: Mapping[str, str]) -> tuple[str, str] | None:
        if type_ == "string variable":
            name = self._random.choice(_NAMED["string"])
            return name, name
        bound = [name for name, held in scope.items() if held == type_]
        names = [*_NAMED.get(type_, []), *bound, *bound]
        if type_ in _LEAVES and not (names and self._random.random() < 0.6):
            literal = self._random.choice(_LEAVES[type_])
            if type_ == "double":
                double = literal if any(mark in literal for mark in ".e") else f"{int(literal, 0)}.0"
                return double if self._untyped else literal, double
            if type_ == "int":
                return f"int({literal})", f"int({literal})"
            return literal, literal
        if names:
            name = self._random.choice(names)
            return name, name
        return None


_EXTREMES: Mapping[str, Sequence[object]] = {
    "double": (
        *(
            0.0,
            -0.0,
            1.0,
            -1.0,
            2.0,
            0.1,
            119.99,
            120.0,
            131.0,
            1e16,
            9007199254740993.0,
            5e-324,
            1.7976931348623157e308,
        ),
        *(
            float("nan"),
            float("inf"),
            float("-inf"),
            -9.223372036854775808e18,
            1.8446744073709552e19,
            1e-5,
            1234567.0,
        ),
    ),
    "bool": (True, False),
    "string": (
        *(
            "",
            "a",
            "abc",
            "ÄÖÜ",
            "🙂🙂",
            "a,b,c",
            "X",
            "true",
            "12",
            "-1",
            "1.5",
            "nan",
            " a ",
            "\u2003wide\u2003",
            "İß",
        ),
        *(
            "1h30m",
            "-2.5s",
            "5x",
            "2026-01-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "1e400",
            "+5",
            "1_000",
            "٣",
            "0x10",
        ),
        *(
            "1d",
            ".5s",
            "1.h",
            "1h-5m",
            "",
            "2026-01-01t00:00:00z",
            "2026-01-01T00:00:00",
            "2026-02-29T00:00:00Z",
        ),
        *(
            "infinity",
            "1 2",
            "--1",
            "99999999999h",
            "a\nb",
            "tab\t",
            "é",
            "e\u0301",
            "9" * 30,
            "2026-01-01T24:00:00Z",
        ),
    ),
    "int": (0, 1, -1, 2, 3, 5, 100, 2**63 - 1, -(2**63), 2**53 + 1, 1_767_225_600),
    "uint": tuple(map(Uint, (0, 1, 2, 7, 2**64 - 1, 2**63))),
    "bytes": (b"", b"abc", b"\xff\xfe", "🙂".encode()),
    "duration": tuple(
        Duration(micros * 1000) for micros in (0, 1, -1, 1_500_000, -90_061_001_001, 300_000_000, 10**15)
    ),
    "timestamp": tuple(
        Timestamp(seconds * 10**9 + 123_456_000)
        for seconds in (0, -1, 1_767_225_600, 1_709_251_199, -62_135_596_800, 253_402_300_799, 1_751_371_200)
    ),
}


def rows(seed: int, count: int) -> list[dict[str, object]]:
    """Return inputs: a value for most of OFFICIAL's names; one that is missing is unknown."""
    drawer = random.Random(seed)
    made = []
    for _ in range(count):
        unknown = drawer.choice((0.0, 0.0, 0.1, 0.3))
        row = {
            name: drawer.choice(_EXTREMES[str(type_)])
            for name, type_ in OFFICIAL.items()
            if drawer.random() >= unknown
        }
        if "age_d1" in row:
            row["age_d1"] = Duration(drawer.choice((0, 1, 2_500, 299_999, 300_000, 300_001)) * 1_000_000)
        made.append(row)
    return made
