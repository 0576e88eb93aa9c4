"""The functions that the back end knows: name in CEL, name in the generated code, what answers it.

A name that is not here is refused when the rule is loaded, so nothing can be missing at run time.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from rules.language import conversions, moments, operations, texts
from rules.language.values import Map

OPERATORS: Final[Mapping[str, tuple[str, Callable[..., Any]]]] = {
    "_+_": ("f_add", operations.add),
    "_-_": ("f_subtract", operations.subtract),
    "_*_": ("f_multiply", operations.multiply),
    "_/_": ("f_divide", operations.divide),
    "_%_": ("f_modulo", operations.modulo),
    "-_": ("f_negate", operations.negate),
    "_<_": ("f_less", operations.less),
    "_<=_": ("f_less_or_equal", operations.less_or_equal),
    "_>_": ("f_greater", operations.greater),
    "_>=_": ("f_greater_or_equal", operations.greater_or_equal),
    "_==_": ("f_equal", operations.equal),
    "_[_]": ("f_index", operations.index),
    "@in": ("f_in", operations.contains),
}
FUNCTIONS: Final[Mapping[str, tuple[str, Callable[..., Any]]]] = {
    "size": ("f_size", operations.size),
    "type": ("f_type", operations.type_value),
    "dyn": ("f_known", operations.known),
    "bool": ("f_to_bool", conversions.to_bool),
    "int": ("f_to_int", conversions.to_int),
    "uint": ("f_to_uint", conversions.to_uint),
    "double": ("f_to_double", conversions.to_double),
    "string": ("f_to_string", conversions.to_string),
    "bytes": ("f_to_bytes", conversions.to_bytes),
    "duration": ("f_to_duration", conversions.to_duration),
    "timestamp": ("f_to_timestamp", conversions.to_timestamp),
    "contains": ("f_contains", texts.contains),
    "startsWith": ("f_starts_with", texts.starts_with),
    "endsWith": ("f_ends_with", texts.ends_with),
    "matches": ("f_matches", texts.matches),
    "lowerAscii": ("f_lower_ascii", texts.lower_ascii),
    "upperAscii": ("f_upper_ascii", texts.upper_ascii),
    "trim": ("f_trim", texts.trim),
    "charAt": ("f_char_at", texts.char_at),
    "substring": ("f_substring", texts.substring),
    "indexOf": ("f_index_of", texts.index_of),
    "lastIndexOf": ("f_last_index_of", texts.last_index_of),
    "replace": ("f_replace", texts.replace),
    "split": ("f_split", texts.split),
    "join": ("f_join", texts.join),
    **{name: (f"f_{name}", partial(moments.part, name)) for name in moments.PARTS},
}
SUPPORT: Final[Mapping[str, Callable[..., Any]]] = {
    "f_known": operations.known,
    "f_boolean": operations.boolean,
    "f_int64": operations.int64,
    "f_uint64": operations.uint64,
    "f_concatenate": operations.concatenate,
    "f_and": operations.conjunction,
    "f_or": operations.disjunction,
    "f_all": operations.every,
    "f_exists": operations.some,
    "f_items": operations.items,
    "f_certain": operations.certain,
    "f_has": operations.has,
    "f_map": Map,
    **dict(OPERATORS.values()),
    **dict(FUNCTIONS.values()),
}
"""Every function that generated code may name."""
