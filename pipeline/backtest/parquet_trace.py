"""A Parquet file as a trace: the same columns as a CSV file has, typed. pyarrow reads it, and is optional.

The one importer of pyarrow: 40 MB that the image of the stages does without.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.backtest.asked import Gaps
from pipeline.backtest.columns import columns_of
from pipeline.backtest.messages import Message, Mine, Order, TraceError
from pipeline.backtest.rows import Rows
from pipeline.process.failures import ConfigurationError
from pipeline.stages.payloads import PayloadShape

_BATCH = 16_384


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise ConfigurationError(
            "reading Parquet needs pyarrow: pip install 'telltale[parquet]', or convert the file to CSV"
        ) from None
    return pyarrow.parquet


class ParquetTrace:
    """One file. Rows are counted from 1."""

    def __init__(
        self, file: Path, shape: PayloadShape, aliases: dict[str, str], wanted: frozenset[str], gaps: Gaps
    ) -> None:
        self._gaps = gaps
        self._read = 0
        self.name = str(file)
        self.dropped: Counter[str] = Counter()
        try:
            self._parquet = _parquet().ParquetFile(file)
        except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
            raise TraceError(f"{file}: it is no Parquet file: {error}") from None
        self._rows = self._parquet.metadata.num_rows
        if self._rows == 0:
            raise TraceError(f"{file}: it has no row")
        header = [field.name for field in self._parquet.schema_arrow]
        self._columns = columns_of(header, shape, aliases, wanted, gaps, str(file))
        self.signals: frozenset[str] | None = self._columns.known
        self.ignored = self._columns.ignored

    def messages(self, mine: Mine, order: Order) -> Iterator[Message]:
        columns = self._columns
        rows = Rows(self.name, columns, self._gaps, mine, order)
        self.dropped = rows.dropped
        needed = columns.needed()
        empty: list[object] = [None] * columns.width
        names = [columns.names[place] for place in needed]
        for batch in self._parquet.iter_batches(_BATCH, columns=names):
            # Columns come in the file's order, and so do the needed positions.
            found = [batch.column(index).to_pylist() for index in range(batch.num_columns)]
            for number, values in enumerate(zip(*found, strict=True) if found else [()] * batch.num_rows):
                cells = empty.copy()
                for place, value in zip(needed, values, strict=True):
                    cells[place] = value
                message = rows.message(cells, self._read + number + 1)
                if message is not None:
                    yield message
            self._read += batch.num_rows

    def progress(self) -> float:
        return self._read / int(self._rows)
