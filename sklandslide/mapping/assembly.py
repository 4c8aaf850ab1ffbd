"""Turn the tiles of a journal into the map's file, in the file's own order, beside the computing."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from .journal import Journal
from .writer import BLOCK, MapWriter

__all__ = ["Assembly"]


class Assembly:
    """Writes the map's rows of blocks as soon as their tiles are finished.

    The order of writing is the file's own whatever the order of computing, so the same tiles give the same bytes. All
    writing happens in one thread.

    Parameters
    ----------
    journal : Journal
    writer : MapWriter
        Not yet entered.
    """

    def __init__(self, journal: Journal, writer: MapWriter) -> None:
        self._journal, self._writer = journal, writer
        rows = journal.layout.shape[0]
        self._bands = [(first, min(first + BLOCK, rows)) for first in range(0, rows, BLOCK)]
        self._next = 0
        self._written: list[Future] = []

    def __enter__(self) -> Assembly:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sklandslide-writer")
        entered = self._thread.submit(self._writer.__enter__)
        try:
            entered.result()
        except BaseException as error:
            self._thread.submit(self._leave, entered, error)
            self._thread.shutdown()
            raise
        return self

    def _leave(self, entered: Future, error: BaseException) -> None:
        """Where the waiting was interrupted, and not the beginning itself: the file is open."""
        if entered.exception() is None:
            self._writer.__exit__(type(error), error, None)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        for row in self._written:
            row.cancel()
        try:
            self._thread.submit(self._writer.__exit__, kind, error, trace).result()
        finally:
            self._thread.shutdown()
            if self._writer.published:  # perhaps although the waiting was interrupted
                self._journal.forget()

    def advance(self) -> None:
        """Write what can be written; raise what went wrong with the writing before."""
        while self._next < len(self._bands) and self._complete(*self._bands[self._next]):
            self._written.append(self._thread.submit(self._write, *self._bands[self._next]))
            self._next += 1
        for row in self._written:
            if row.done():
                row.result()

    def finish(self) -> bool:
        """Write the rest; tell whether any value of the map is valid."""
        self.advance()
        return sum(row.result() for row in self._written) > 0  # all of them: each may raise

    def _complete(self, first: int, last: int) -> bool:
        return all(number in self._journal for number in self._journal.layout.touching(first, last))

    def _write(self, first: int, last: int) -> bool:
        values = self._journal.rows(first, last)
        self._writer.write_rows(values, first)
        return bool(np.isfinite(values).any())
