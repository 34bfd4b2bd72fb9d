"""Files that are compressed are read as what they expand to."""

from __future__ import annotations

import gzip
import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from batchrun.jobfile import compressed
from batchrun.jobfile.reading import digest_of
from batchrun.jobfile.source import Source
from tests.jobfile.desk import GOOD, HEAD, read, read_files


def zstd(content: bytes) -> bytes:
    return bytes(pytest.importorskip("backports.zstd").compress(content))


FORMS: list[Callable[[bytes], bytes]] = [gzip.compress, zstd]


@pytest.mark.parametrize("press", FORMS)
def test_lines_keep_their_places_and_the_digest_is_of_the_content(
    tmp_path: Path, press: Callable[[bytes], bytes]
) -> None:
    text = (GOOD + "\n" + GOOD.replace('"good"', '"bad"').replace("5", '"x"') + "\n").encode()
    (tmp_path / "jobs.jsonl.z").write_bytes(press(text))
    (tmp_path / "jobs.jsonl").write_bytes(text)
    found, plain = read_files(tmp_path / "jobs.jsonl.z"), read_files(tmp_path / "jobs.jsonl")
    assert found.keys == ["good"]
    assert [problem.where and problem.where.line for problem in found.problems] == [2]
    assert found.digest == plain.digest == digest_of([Source(str(tmp_path / "jobs.jsonl.z"))])


def test_yaml_and_a_table_may_be_compressed_too(tmp_path: Path) -> None:
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(b"t\nx\ny\n"))
    yaml = HEAD + "template: {prompt: '{{ t }}'}\ndata: rows.csv.gz\n"
    (tmp_path / "jobs.yaml.gz").write_bytes(gzip.compress(yaml.encode()))
    assert len(read_files(tmp_path / "jobs.yaml.gz").jobs) == 2


@pytest.mark.parametrize("press", FORMS)
def test_what_is_cut_short_or_broken_is_a_problem(press: Callable[[bytes], bytes]) -> None:
    whole = press(b"".join(GOOD.replace("good", str(n)).encode() + b"\n" for n in range(2000)))
    broken_gzip = whole[:60] + bytes(40) + whole[100:]  # zstd has no checksum here
    for broken in (whole[:-20], whole[: len(whole) // 2], *([broken_gzip] if press is gzip.compress else [])):
        error = read(broken).errors[-1]
        assert (error.code, "data are broken or cut short" in error.message) == ("BR010", True)


@pytest.mark.parametrize("press", FORMS)
def test_a_bomb_is_left_alone(monkeypatch: pytest.MonkeyPatch, press: Callable[[bytes], bytes]) -> None:
    monkeypatch.setattr(compressed, "FREE", 1 << 16)
    monkeypatch.setattr(compressed, "MOST_TIMES", 100)
    assert "more than 100 times their size" in read(press(b"\n" * (1 << 24))).errors[-1].message


def test_without_a_reader_for_zstd_the_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", none)
    assert "batchrun[zstd]" in read(b"\x28\xb5\x2f\xfd\0\0").only_error().hint


def test_the_ending_of_a_compressed_file_is_no_part_of_its_name() -> None:
    assert compressed.bare("a/rows.csv.gz") == "a/rows.csv"
    assert compressed.bare("rows.csv") == "rows.csv"
