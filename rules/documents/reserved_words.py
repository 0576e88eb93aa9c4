"""Words that no signal, alias or definition can have: they mean something in every expression."""

import re

# CEL's own reserved words (language definition, "Syntax"), then names that our conditions give a meaning.
RESERVED_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        as break const continue else false for function if import in let loop namespace null package return
        true var void while
        vehicle value bool bytes double duration dyn has int list map matches size string timestamp type uint
        all exists exists_one filter
        age avg changed count delta distance increase inside max min percentile prev rate stddev sum
        """,
    )
)
