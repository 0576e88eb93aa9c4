"""Texts as nobody should write them: what ships and is good, damaged by chance, the same for a seed."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import rules
from rules.documents.yaml_reader import read_yaml

LIBRARY = Path(rules.__file__).parent / "library"
FILES = Path(__file__).parent / "files"
CATALOG = (LIBRARY / "catalog.yaml").read_text(encoding="utf-8")
RIGHT = sorted([*LIBRARY.rglob("*.yaml"), *FILES.glob("*.good.yaml"), *FILES.glob("*.good.json")])
TEXTS = [file.read_text(encoding="utf-8") for file in RIGHT]
TOGETHER = [[node.plain() for node in read_yaml(text)[0]] for text in TEXTS]
DOCUMENTS = [document for documents in TOGETHER for document in documents]

Path_ = tuple[Any, ...]


def _places(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _places(inner, (*path, key))


KEYS = sorted(
    {key for document in DOCUMENTS for path in _places(document) for key in path if isinstance(key, str)}
)


def _at(value: Any, path: Path_) -> Any:
    for step in path:
        value = value[step]
    return value


SCALARS = [
    value
    for document in DOCUMENTS
    for path in _places(document)
    if not isinstance(value := _at(document, path), dict | list)
]
ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63 - 1, -(2**63), 10**15, 0.1, -0.0, 1e308, 5e-324, 1e22),
    *(
        "",
        " ",
        "0",
        "x",
        "30s",
        "999999999w",
        "-1s",
        "{{ x }}",
        "{{",
        "}}",
        "{{ hold }}",
        "{{ limit",
        "'",
        '"',
    ),
    *(
        "\0",
        "\x07",
        "\x1b[31m",
        "\u2028",
        "\u202e",
        "\ufeff",
        "é",
        "e\u0301",
        "🙂",
        "\U0010ffff",
        "\n\n",
        "\t",
    ),
    *(
        "true",
        "null",
        "off",
        "22:00",
        "0o17",
        "1_000",
        "~",
        "<<",
        "=",
        "!!str",
        "&a",
        "*a",
        "#",
        "---",
        "...",
        "%",
    ),
    *(
        "[",
        "(" * 300,
        "!" * 300,
        "a." * 300,
        "a" * 5000,
        "speed > " * 500,
        "1" * 400,
        "speed" + " + speed" * 900,
    ),
    *('"' + "x" * 7990 + '"', "[1].all(x, " * 40 + "true" + ")" * 40, "model.matches('((a+)+)+$')"),
    *(
        "vehicle.labels.a.b",
        "vehicle.attributes",
        "vehicle",
        "value",
        "changed(speed)",
        "age(speed)",
        "int()",
    ),
    *(
        'inside("x")',
        'avg(speed, duration("1m"))',
        'avg(speed, duration("9999999h"))',
        "min()",
        "percentile(speed)",
    ),
    *([], {}, [[]], [{}], {"": ""}, {"x": {"x": {"x": []}}}, [None], ["a", 1, True], [1] * 500, ["v"] * 2000),
]
WORDS = [
    *(
        "speed",
        "moving",
        "limit",
        "hold",
        "value",
        "vehicle.id",
        "vehicle.labels.x",
        "vehicle.attributes.y",
        "x",
    ),
    *(
        " && ",
        " || ",
        "!",
        " == ",
        " < ",
        " in ",
        " + ",
        " - ",
        " * ",
        " / ",
        " % ",
        "-",
        " ? 1 : 2",
        ".",
        ",",
        "{{ ",
    ),
    *(
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "0",
        "1",
        "1.5",
        "1u",
        "9223372036854775807",
        "-9223372036854775808",
        "''",
        '"a"',
    ),
    *(
        "prev(",
        "changed(",
        "rate(",
        "age(",
        "avg(",
        "percentile(",
        "inside(",
        "distance(",
        "size(",
        "int(",
        "dyn(",
    ),
    *(
        'duration("1m")',
        'timestamp("2026-01-01T00:00:00Z")',
        "[1, 2]",
        "{1: 2}",
        ".exists(x, x > 1)",
        ".map(x, x)",
    ),
    *(
        "has(vehicle.labels.x)",
        "type(1)",
        "null",
        "true",
        "b'a'",
        "r'\\'",
        "matches('(')",
        ".split('')",
        "}}",
        "\n",
    ),
]
DEEP = [[[[[]]]]]
for _ in range(40):
    DEEP = [DEEP] if _ % 2 else {"a": DEEP}  # type: ignore[assignment]


def damaged_document(choice: random.Random, document: Any) -> Any:
    """One to four changes of a document's values and keys."""
    for _ in range(choice.choice([1, 1, 1, 2, 3, 4])):
        document = json.loads(json.dumps(document))  # nothing is shared
        path = choice.choice(list(_places(document)))
        if not path:
            continue
        holder, key = _at(document, path[:-1]), path[-1]
        match choice.choice(
            ["odd", "odd", "odd", "scalar", "swap", "rename", "drop", "double", "deep", "wrap", "long"]
            + ["words"] * 4
        ):
            case "odd":
                holder[key] = choice.choice(ODD)
            case "scalar":
                holder[key] = choice.choice(SCALARS)
            case "swap":
                other = choice.choice(DOCUMENTS)
                holder[key] = json.loads(json.dumps(_at(other, choice.choice(list(_places(other))))))
            case "rename" if isinstance(holder, dict):
                holder[
                    choice.choice([*KEYS, "", "x", "é", "a b", "\0", "<<", "__class__", "model_fields"])
                ] = holder.pop(key)
            case "drop":
                del holder[key]
            case "double" if isinstance(holder, list):
                holder.extend([holder[key]] * choice.choice([1, 2, 100]))
            case "deep":
                holder[key] = DEEP
            case "wrap":
                holder[key] = choice.choice(
                    [[holder[key]], {"x": holder[key]}, {str(key): holder[key]}, str(holder[key])]
                )
            case "words" if isinstance(holder[key], str):
                text = holder[key]
                for _ in range(choice.choice([1, 1, 2])):
                    start = choice.randint(0, len(text))
                    end = min(len(text), start + choice.choice([0, 0, 1, 4, 10]))
                    text = text[:start] + choice.choice(WORDS) + text[end:]
                holder[key] = text
            case "long" if isinstance(holder[key], str):
                holder[key] = holder[key] * choice.choice([2, 50, 3000])
    return document


FRAGMENTS = [
    *(
        "&a ",
        "*a",
        "<<: *a\n",
        "<<: {}\n",
        "!!binary ",
        "!!python/object:os.system ",
        "!!set ",
        "!<x> ",
        "%YAML 1.1\n",
    ),
    *(
        "---\n",
        "...\n",
        "? ",
        ": ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "#",
        "|",
        ">",
        "|2\n",
        "'",
        '"',
        "\\x",
        "\\u",
        "\\",
    ),
    *(
        "\t",
        "\r",
        "\0",
        "\x07",
        "\x85",
        "\u2028",
        "\ufeff",
        "\ud800",
        "é",
        "🙂",
        "\U0010ffff",
        " " * 300,
        "\n" * 50,
    ),
    *(
        "on",
        ".nan",
        ".inf",
        "-.INF",
        "1e999",
        "9" * 400,
        "0x" + "f" * 40,
        "0o7",
        "~",
        "a: b: c",
        "&a [*a]",
        "- " * 60,
    ),
    *("{a: " * 60, "[" * 5000, "x" * 100_000, "&a " + "[x," * 30, "*a, " * 30),
]


def damaged_text(choice: random.Random, text: str) -> str:
    """One to five changes of a text's characters, bytes and lines."""
    for _ in range(choice.choice([1, 1, 2, 3, 5])):
        start = choice.randint(0, len(text))
        end = min(len(text), start + choice.choice([0, 0, 1, 1, 3, 12, 80]))
        lines = text.split("\n")
        match choice.choice(["fragment", "fragment", "flip", "cut", "line", "move", "join"]):
            case "fragment":
                text = text[:start] + choice.choice(FRAGMENTS) + text[end:]
            case "flip":
                raw = bytearray(text.encode("utf-8", "surrogatepass"))
                for _ in range(min(len(raw), choice.randint(1, 6))):
                    raw[choice.randrange(len(raw))] ^= 1 << choice.randrange(8)
                text = raw.decode("utf-8", choice.choice(["replace", "surrogateescape", "ignore"]))
            case "cut":
                text = text[:start]
            case "line":
                index = choice.randrange(len(lines))
                lines[index : index + 1] = choice.choice(
                    [[], [lines[index]] * 2, [" " + lines[index]], [lines[index][1:]]]
                )
                text = "\n".join(lines)
            case "move":
                index, other = choice.randrange(len(lines)), choice.randrange(len(lines))
                lines[index], lines[other] = lines[other], lines[index]
                text = "\n".join(lines)
            case "join":
                text = text + choice.choice(["\n", "\n---\n"]) + choice.choice(TEXTS)
    return text


def damaged(seed: int) -> str:
    """A damaged text of one or several documents."""
    choice = random.Random(seed)
    kind: Callable[[], str] = choice.choice(
        [lambda: _of_documents(choice), lambda: damaged_text(choice, choice.choice(TEXTS))]
    )
    text = kind()
    return damaged_text(choice, text) if choice.random() < 0.1 else text


def _of_documents(choice: random.Random) -> str:
    together = list(choice.choice(TOGETHER))
    if choice.random() < 0.2:
        together += choice.choice(TOGETHER)
    for index in {choice.randrange(len(together)) for _ in range(choice.choice([1, 1, 2]))}:
        together[index] = damaged_document(choice, together[index])
    choice.shuffle(together)
    return "\n---\n".join(json.dumps(each, ensure_ascii=choice.random() < 0.5) for each in together)
