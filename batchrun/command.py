"""A command of the user's own, run beside the work: without a shell, without keys, for a while, its words bounded."""

from __future__ import annotations

import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress

from batchrun.core.secrets import redacted

TIME = 30.0
"""Seconds that it may take."""

WORDS = 1_000
"""Characters of its output that are kept."""

READ = 65_536
LOOK = 0.05
"""Seconds between two looks whether it is at its end."""

KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "BATCHRUN_API_KEY_FILE", "BATCHRUN_API_KEY_COMMAND")


def without_keys(environ: Mapping[str, str]) -> dict[str, str]:
    """*environ* without keys, and without what leads to one."""
    return {name: value for name, value in environ.items() if name not in KEYS and redacted(value) == value}


def told(command: str, record: bytes, *, seconds: float = TIME) -> tuple[int | None, str]:
    """Run *command* with *record* on its standard input, in this thread.

    Returns its exit code, None if it could not be started or took too long, and what it said, or why there is none.
    What it leaves running in the background is left alone; what takes too long is ended with all that it started.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  # the user's own command, without a shell
            shlex.split(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=without_keys(os.environ),
            start_new_session=True,  # Ctrl-C is for batchrun
        )
    except (OSError, ValueError) as error:
        return None, f"cannot be started: {getattr(error, 'strerror', None) or error}"
    said = bytearray()
    with process:
        try:
            _exchange(process, record, said, time.monotonic() + seconds)
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            return None, f"took longer than {seconds:g} s{_words(said, ': ')}"
        finally:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()
    return process.returncode, _words(said)


def _exchange(process: subprocess.Popen[bytes], record: bytes, said: bytearray, deadline: float) -> None:
    """Write and read until it is at its end. Raises TimeoutError at *deadline*."""
    assert process.stdin is not None
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        for stream, event in ((process.stdin, selectors.EVENT_WRITE), (process.stdout, selectors.EVENT_READ)):
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, event)
        rest = memoryview(record)
        while process.poll() is None or selector.get_map():
            if time.monotonic() >= deadline:
                raise TimeoutError
            ready = selector.select(LOOK) if selector.get_map() else []
            if not ready and process.poll() is not None:
                return  # what it left in the background holds its end of a pipe
            if not ready and not selector.get_map():
                time.sleep(LOOK)  # it closed both and goes on
            for key, _ in ready:
                over = True
                if key.fileobj is process.stdout:
                    block = os.read(key.fd, READ)
                    said += block[: max(0, 4 * WORDS - len(said))]
                    over = not block
                else:
                    with suppress(BrokenPipeError):  # it need not read
                        rest = rest[os.write(key.fd, rest[:READ]) :]
                        over = not rest
                if over:
                    selector.unregister(key.fileobj)
                    if key.fileobj is process.stdin:
                        process.stdin.close()


def _words(said: bytes | bytearray, before: str = "") -> str:
    words = redacted(" ".join(said.decode("utf-8", errors="replace").split()))[:WORDS]
    return before + words if words else ""
