"""A CSV file as a trace: a header, then a row a message; an empty cell is a signal that was not sent."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.backtest.asked import Gaps
from pipeline.backtest.columns import Columns, columns_of
from pipeline.backtest.messages import Message, Mine, Order, TraceError
from pipeline.backtest.rows import Rows
from pipeline.stages.payloads import PayloadShape

_LONGEST_LINE = 1 << 20


class CsvTrace:
    """One file. Separated by commas, semicolons or tabs, whichever the header has most of."""

    def __init__(
        self, file: Path, shape: PayloadShape, aliases: dict[str, str], wanted: frozenset[str], gaps: Gaps
    ) -> None:
        self._file = file
        self._gaps = gaps
        self._size = max(1, file.stat().st_size)
        self._read = 0
        self.name = str(file)
        self.dropped: Counter[str] = Counter()
        with file.open(encoding="utf-8-sig", errors="strict", newline="") as stream:
            try:
                line = stream.readline(_LONGEST_LINE)
            except UnicodeDecodeError as error:
                raise TraceError(f"{file}:1: not UTF-8 ({error.reason})") from None
        if not line.strip():
            raise TraceError(f"{file}: it is empty: a header and rows were expected")
        self._delimiter = max(",;\t", key=line.count)
        header = next(csv.reader([line], delimiter=self._delimiter))
        self._columns: Columns = columns_of(header, shape, aliases, wanted, gaps, str(file))
        self.signals: frozenset[str] | None = self._columns.known
        self.ignored = self._columns.ignored

    def messages(self, mine: Mine, order: Order) -> Iterator[Message]:
        width = self._columns.width
        rows = Rows(self.name, self._columns, self._gaps, mine, order)
        self.dropped = rows.dropped
        with self._file.open(encoding="utf-8-sig", errors="strict", newline="") as stream:
            reader = csv.reader(self._counted(stream), delimiter=self._delimiter)
            next(reader)
            empty = True
            try:
                for cells in reader:
                    if not cells:
                        continue
                    empty = False
                    if len(cells) < width:  # a logger that lost power; what is missing was not sent
                        self.dropped["row-cut-short"] += 1
                        cells += [""] * (width - len(cells))
                    elif len(cells) > width and any(cell.strip() for cell in cells[width:]):
                        raise TraceError(
                            f"{self.name}:{reader.line_num}: {len(cells)} cells under {width} columns"
                        )
                    message = rows.message(cells, reader.line_num)
                    if message is not None:
                        yield message
            except csv.Error as error:
                raise TraceError(f"{self.name}:{reader.line_num}: {error}") from None
            except UnicodeDecodeError as error:
                raise TraceError(
                    f"{self.name}: not UTF-8 ({error.reason}) after line {reader.line_num}"
                ) from None
        if empty:
            raise TraceError(f"{self.name}: there is no row below the header")

    def _counted(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            self._read += len(line)
            yield line

    def progress(self) -> float:
        return min(1.0, self._read / self._size)
