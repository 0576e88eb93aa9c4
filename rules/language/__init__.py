"""The language of conditions: CEL, checked by its official front end and compiled to Python.

`Environment(variables).compile(text)` gives a `Compiled` or the list of problems. What runs for each event is
`Compiled.source`, strict Python; what it cannot decide `Compiled.evaluate` does, exactly as CEL says.
"""

from rules.language.declarations import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    Type,
    list_of,
    map_of,
)
from rules.language.environment import Compiled, Environment
from rules.language.names import name_problem
from rules.language.problems import CODES, Problem
from rules.language.reads import Read
from rules.language.template import Template, compile_template
from rules.language.values import UNKNOWN, EvaluationError, UnknownValue

__all__ = [
    "BOOL",
    "BYTES",
    "CODES",
    "DOUBLE",
    "DURATION",
    "DYN",
    "INT",
    "NULL",
    "STRING",
    "TIMESTAMP",
    "UINT",
    "UNKNOWN",
    "Compiled",
    "Environment",
    "EvaluationError",
    "Problem",
    "Read",
    "Template",
    "Type",
    "UnknownValue",
    "compile_template",
    "list_of",
    "map_of",
    "name_problem",
]
