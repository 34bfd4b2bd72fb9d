"""Where batches are kept, so that they outlive the process that took them: one folder, a few files for each batch.

A batch was accepted if and only if its `.json` is there, which is the last thing that is written and there before the
reply. Files are replaced as a whole; a kill at any moment leaves the old or the new one. One simulator at a time.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
import time
import weakref
from array import array
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from batchrun.errors import UsageError
from batchrun.simulator.batch import Batch
from batchrun.simulator.lots import Lot

STALE = 3600
"""Seconds after which an upload that nobody took is left over from a kill."""


class Shelf:
    """All batches by id, in the order of creation; those that were deleted as well. Without a path it ends with it.

    Raises UsageError for a path that is no folder for it.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.batches: dict[str, Batch] = {}
        self._path = path
        if path is None:
            return
        if not path.parent.is_dir() or (path.exists() and not path.is_dir()):
            raise UsageError(f"{path} is no folder for batches", hint="name a folder, or a new one in a folder")
        self._read(path)

    @property
    def path(self) -> Path:
        """The folder, which is made when it is needed."""
        if self._path is None:
            self._path = Path(tempfile.mkdtemp(prefix="batchrun-simulator-"))
            weakref.finalize(self, shutil.rmtree, self._path, ignore_errors=True)
        self._path.mkdir(mode=0o700, exist_ok=True)
        return self._path

    def upload(self) -> Path:
        """A new place for a body on its way in."""
        # Never a name that a killed process may have left: its file can be a batch's body as well.
        return self.path / f"{secrets.token_hex(16)}.upload"

    def spool(self, body: bytes) -> Path:
        """*body* in a place of its own."""
        path = self.upload()
        with self.create(path) as file:
            file.write(body)
        return path

    @staticmethod
    def create(path: Path) -> BinaryIO:
        """A new file that is nobody else's business."""
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=1 << 16)

    def accept(self, batch: Batch, body: Path | None, lot: Lot) -> None:
        """Take a new batch; its *body* goes with it, and a colleague's has none."""
        if body is not None:
            body.rename(self._file(batch.id, "body"))
        self._replace(batch.id, "lot", lot.plain())
        self.keep(batch)

    def keep(self, batch: Batch) -> None:
        """Write down what changed of *batch*."""
        self._replace(batch.id, "json", asdict(batch))
        self.batches[batch.id] = batch

    def lot(self, id_: str) -> Lot:
        return Lot(**json.loads(self._file(id_, "lot").read_bytes()))

    def body(self, id_: str) -> BinaryIO:
        return self._file(id_, "body").open("rb")

    def settle(self, batch: Batch, lines: Path, ends: array[int], lot: Lot) -> None:
        """Keep the results of *batch*, which has its counts now: *lines*, where each ends, and the ledger's part."""
        lines.rename(self._file(batch.id, "lines"))
        index = self.upload()
        with self.create(index) as file:
            ends.tofile(file)
        index.rename(self._file(batch.id, "index"))
        self._replace(batch.id, "lot", lot.plain())
        self.keep(batch)
        with suppress(FileNotFoundError):
            self._file(batch.id, "body").unlink()

    def results(self, id_: str) -> tuple[Path, array[int]]:
        """The file with the lines of a settled batch in the order of its requests, and where each ends."""
        ends = array("Q")
        ends.frombytes(self._file(id_, "index").read_bytes())
        return self._file(id_, "lines"), ends

    def discard(self, id_: str) -> None:
        """Its results are gone."""
        for kind in ("body", "lines", "index"):
            with suppress(FileNotFoundError):
                self._file(id_, kind).unlink()

    def _file(self, id_: str, kind: str) -> Path:
        return self.path / f"{id_}.{kind}"

    def _replace(self, id_: str, kind: str, value: Mapping[str, Any]) -> None:
        path = self.upload()
        with self.create(path) as file:
            file.write(json.dumps(value, separators=(",", ":")).encode())
        path.rename(self._file(id_, kind))

    def _read(self, path: Path) -> None:
        found = []
        for file in path.glob("msgbatch_*.json"):
            try:
                found.append(Batch(**json.loads(file.read_bytes())))
            except (ValueError, TypeError):
                raise UsageError(f"{file} is no batch of this version", hint=f"delete {path}") from None
        self.batches = {batch.id: batch for batch in sorted(found, key=lambda batch: batch.number)}
        for left in path.glob("*.upload"):
            with suppress(FileNotFoundError):
                if left.stat().st_mtime < time.time() - STALE:
                    left.unlink()
