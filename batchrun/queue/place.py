"""Where a database file may lie: a regular file on a file system of this machine, readable by its owner alone."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path

from batchrun.errors import StoreError, UsageError

NETWORK = re.compile(
    r"nfs\d*|cifs|smb\d*|smbfs|9p|afs|afpfs|ceph|lustre|beegfs|gpfs|ncpfs|webdav|davfs"
    r"|fuse\.(sshfs|glusterfs|ceph|s3fs|rclone|gcsfuse|davfs2|cephfs|juicefs)"
)
"""File systems that several machines can share. SQLite's write-ahead log needs the memory of one kernel
(sqlite.org/wal.html, 2026-09), and so do our locks."""


def place_of(path: str | Path, *, create: bool = True) -> Path:
    """The real path of the database *path*, created empty for its owner alone if it is missing and *create* is set.

    Raises UsageError where no database can be (no such folder, a folder, a device, a loop of links, a network file
    system, missing without *create*), StoreError where the rights or the disk forbid it.
    """
    try:
        real = Path(os.path.realpath(path, strict=False))
        found = _kind(real)
        if found is None and not real.parent.is_dir():
            raise UsageError(f"there is no folder {real.parent} for the database {path}", hint="make it, or use --db")
        _refuse_network(real)
        if found is None:
            if not create:
                raise UsageError(f"there is no database {path}", hint="`batchrun submit` makes one; --db names another")
            _create(real)
        elif not stat.S_ISREG(found):
            kind = "a folder" if stat.S_ISDIR(found) else "no regular file"
            raise UsageError(f"{path} is {kind}, not a database", hint="--db names the database file")
    except OSError as error:
        raise StoreError(f"the database {path} cannot be used: {error.strerror}", hint=_cure(error)) from error
    return real


def _kind(real: Path) -> int | None:
    try:
        return real.lstat().st_mode
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise UsageError(f"{real.parent} is no folder", hint="--db names the database file") from error


def _create(real: Path) -> None:
    # An existing file is never opened here: closing it would drop the locks that SQLite holds on it in this process.
    try:
        fd = os.open(real, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except FileExistsError:
        return
    try:
        os.fchmod(fd, 0o600)
    finally:
        os.close(fd)


def _cure(error: OSError) -> str:
    match type(error).__name__:
        case "PermissionError":
            return "check who owns the folder and the file; the database needs to be written to"
        case _:
            return "check the path and the disk; --db names another database"


def _refuse_network(real: Path) -> None:
    kind = file_system_of(real.parent)
    if kind is not None and NETWORK.fullmatch(kind):
        raise UsageError(
            f"{real} is on a network file system ({kind}), where SQLite loses data",
            hint="keep the database on a disk of this machine",
        )


def file_system_of(folder: Path) -> str | None:
    """The type of the file system that *folder* is on, as the system names it; None where that cannot be told."""
    best: tuple[int, str] = (-1, "")
    for point, kind in _mounts():
        if folder.is_relative_to(point) and len(point) >= best[0]:
            best = (len(point), kind)
    return best[1] or None


def _mounts() -> list[tuple[str, str]]:
    """Mount points and types, in the order they were mounted."""
    table = Path("/proc/self/mounts")
    try:
        if table.exists():
            lines = table.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
            return [(_unescaped(fields[1]), fields[2]) for fields in map(str.split, lines) if len(fields) > 2]
        told = subprocess.run(["/sbin/mount"], capture_output=True, text=True, check=False, timeout=5).stdout
        return re.findall(r"^.* on (/.*) \((\w+)[,)]", told, re.MULTILINE)
    except (OSError, subprocess.SubprocessError):
        return []


def _unescaped(point: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point)
