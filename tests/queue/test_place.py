"""Where a database may lie, and what is said where it may not."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from batchrun.errors import SchemaError, StoreError, UsageError
from batchrun.queue import place
from batchrun.queue.connect import close_queue, open_queue


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_only_its_owner_can_read_it_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "batchrun.db"
    before = os.umask(umask)
    try:
        engine = open_queue(path)
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE meta SET value = value")
        files = [path, Path(f"{path}-wal"), Path(f"{path}-shm")]
        assert [mode_of(file) for file in files] == [0o600] * 3
        close_queue(engine)
    finally:
        os.umask(before)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no folder .*nowhere"):
        open_queue(tmp_path / "nowhere" / "batchrun.db")


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        open_queue(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="file is no folder"):
        open_queue(tmp_path / "file" / "batchrun.db")


def test_a_socket_or_pipe_is_no_database(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is no regular file"):
        open_queue(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(UsageError, match="is no regular file"):
            open_queue(tmp_path / "socket")


def test_a_loop_of_links_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises((UsageError, StoreError), match=r"link|regular"):
        open_queue(tmp_path / "a")


def test_a_link_leads_to_the_one_database(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    engine = open_queue(tmp_path / "link.db")
    assert engine.url.database == str(tmp_path / "real.db")
    assert not (tmp_path / "link.db-wal").exists()
    close_queue(engine)
    assert (tmp_path / "real.db").is_file()


def test_nothing_is_made_unless_it_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no database"):
        open_queue(tmp_path / "batchrun.db", create=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="Permission denied"):
            open_queue(tmp_path / "batchrun.db")
    finally:
        tmp_path.chmod(0o700)


def test_a_text_file_is_no_database_and_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to look at " * 50)
    before = path.read_bytes()
    with pytest.raises(SchemaError, match="this is no database"):
        open_queue(path)
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_queue(tmp_path: Path) -> None:
    path = tmp_path / "batchrun.db"
    path.touch()
    close_queue(open_queue(path))
    assert path.stat().st_size > 0


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.rclone", "ceph"])
def test_network_file_systems_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    mounts = [("/", "ext4"), (str(tmp_path.parent), kind), (f"{tmp_path}-beside", "ext4")]
    monkeypatch.setattr(place, "_mounts", lambda: mounts)
    with pytest.raises(UsageError, match=rf"network file system .{kind}"):
        open_queue(tmp_path / "batchrun.db")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "apfs", "fuse.fuse-overlayfs"])
def test_local_file_systems_are_not(kind: str) -> None:
    assert not place.NETWORK.fullmatch(kind)


def test_the_file_system_is_that_of_the_innermost_mount_and_of_the_latest_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "with space"
    inner.mkdir()
    mounts = [("/", "ext4"), (str(inner), "nfs"), (str(inner), "tmpfs"), (str(tmp_path), "xfs")]
    monkeypatch.setattr(place, "_mounts", lambda: mounts)
    assert place.file_system_of(inner) == "tmpfs"
    assert place.file_system_of(tmp_path) == "xfs"


def test_mount_points_are_read_with_their_spaces() -> None:
    assert place._unescaped(r"/mnt/a\040b\134c") == r"/mnt/a b\c"


def test_this_machine_says_what_its_root_is_on() -> None:
    assert place.file_system_of(Path("/"))
