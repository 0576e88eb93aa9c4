"""The language of conditions: CEL, checked by its official front end and compiled to Python.

`Environment(variables).compile(text)` gives a `Compiled` or the list of problems. What runs for each event is
`Compiled.source`, strict Python; what it cannot decide `Compiled.evaluate` does, exactly as CEL says.
"""

from rules.language.calls import Argument, Outer, outer_call
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
from rules.language.environment import Compiled, Environment, Grow
from rules.language.grafting import CERTAIN, Grafting
from rules.language.named import (
    Budget,
    Named,
    Scalar,
    broken,
    constant,
    constant_duration,
    constant_list,
    definition_problem,
)
from rules.language.names import name_problem
from rules.language.problems import CODES, Problem
from rules.language.reads import Read
from rules.language.template import Template, compile_template
from rules.language.values import UNKNOWN, EvaluationError, UnknownValue

__all__ = [
    "BOOL",
    "BYTES",
    "CERTAIN",
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
    "Argument",
    "Budget",
    "Compiled",
    "Environment",
    "EvaluationError",
    "Grafting",
    "Grow",
    "Named",
    "Outer",
    "Problem",
    "Read",
    "Scalar",
    "Template",
    "Type",
    "UnknownValue",
    "broken",
    "compile_template",
    "constant",
    "constant_duration",
    "constant_list",
    "definition_problem",
    "list_of",
    "map_of",
    "name_problem",
    "outer_call",
]
