"""The supervisor restarts what dies, stops in order, and leaves no process behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from botsite.platform.bootstrap import ROOT
from botsite.platform.lock import AlreadyRunning, platform_lock
from botsite.platform.supervisor import TRIES, Backoff

Start = Callable[..., "subprocess.Popen[str]"]


def wait_for(happened: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def starts(folder: Path, name: str) -> list[tuple[int, float]]:
    """Return the pid and the time of each start that a program noted."""
    try:
        lines = (folder / name).read_text().splitlines()
    except FileNotFoundError:
        return []
    return [(int(pid), float(at)) for pid, at in (line.split() for line in lines)]


def lives(pid: int) -> bool:
    """Return whether a process runs; one that ended and was not yet fetched by init does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a supervisor over toy programs; see tests/supervised.py."""
    running: list[subprocess.Popen[str]] = []

    def begin(*names: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.supervised", str(tmp_path), *names],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        for name in names:
            wait_for(lambda name=name: bool(starts(tmp_path, name)))  # type: ignore[misc]
        return process

    yield begin
    for process in running:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def test_the_waits_double_up_to_half_a_minute() -> None:
    assert [Backoff().delay(deaths) for deaths in range(1, 9)] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_program_that_dies_is_started_again_later_each_time(start: Start, tmp_path: Path) -> None:
    process = start("dies", "obeys")
    wait_for(lambda: len(starts(tmp_path, "dies")) >= 4)
    times = [at for _pid, at in starts(tmp_path, "dies")]
    first, second, third = (later - at for at, later in pairwise(times[:4]))
    assert 0.2 <= first < second < third
    assert second >= 0.4
    assert third >= 0.8
    assert len(starts(tmp_path, "obeys")) == 1
    process.terminate()
    said = process.communicate()[0]
    assert "dies ended (exit code 3); starting it again in 0.2 s" in said
    assert process.returncode == 0


def test_a_program_that_is_to_run_once_is_done_when_it_ends_well(
    start: Start, tmp_path: Path
) -> None:
    process = start("once", "dies")
    wait_for(lambda: len(starts(tmp_path, "dies")) >= 5)
    assert len(starts(tmp_path, "once")) == 2
    process.terminate()
    said = process.communicate()[0]
    assert said.count("once ended") == 1
    assert process.returncode == 0


def test_what_is_to_run_once_and_always_dies_is_given_up(start: Start, tmp_path: Path) -> None:
    process = start("dies-once", "dies")
    wait_for(lambda: len(starts(tmp_path, "dies")) >= 7, seconds=20)
    assert len(starts(tmp_path, "dies-once")) == TRIES
    process.terminate()
    assert "dies-once ended (exit code 3) 5 times; given up" in process.communicate()[0]


def test_a_stop_goes_backwards_and_is_clean(start: Start, tmp_path: Path) -> None:
    process = start("obeys-1", "obeys-2", "obeys-3")
    process.terminate()
    process.communicate()
    assert process.returncode == 0
    ends = [float((tmp_path / f"obeys-{number}.end").read_text()) for number in (3, 2, 1)]
    assert ends == sorted(ends)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_refuses_to_stop_is_killed_with_its_children(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    process = start("refuses")
    wait_for(lambda: len(starts(tmp_path, "refuses")) == 2)
    process.send_signal(number)
    process.communicate()
    assert process.returncode == 1
    assert not any(lives(pid) for pid, _at in starts(tmp_path, "refuses"))


def test_a_killed_supervisor_leaves_no_program_behind(start: Start, tmp_path: Path) -> None:
    process = start("obeys")
    process.kill()
    pid, _at = starts(tmp_path, "obeys")[0]
    wait_for(lambda: not lives(pid))
    wait_for((tmp_path / "obeys.end").exists)


def test_what_a_dead_program_leaves_in_its_group_is_ended(start: Start, tmp_path: Path) -> None:
    start("refuses")
    wait_for(lambda: len(starts(tmp_path, "refuses")) == 2)
    (parent, _), (child, _) = starts(tmp_path, "refuses")
    os.kill(parent, signal.SIGKILL)
    wait_for(lambda: not lives(child))
    wait_for(lambda: len(starts(tmp_path, "refuses")) == 4)


def _hold(folder: Path) -> "subprocess.Popen[str]":
    code = (
        "import sys, time; from pathlib import Path\n"
        "from botsite.platform.lock import platform_lock\n"
        "with platform_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_platform_on_the_same_data_is_refused(tmp_path: Path) -> None:
    first = _hold(tmp_path)
    try:
        refusal = pytest.raises(AlreadyRunning, match=rf"already running .*process {first.pid}")
        with refusal, platform_lock(tmp_path):
            pytest.fail("two platforms share one DATA_DIR")
    finally:
        first.kill()
        first.communicate()
    with platform_lock(tmp_path) as handle:
        assert os.fstat(handle).st_mode & 0o077 == 0


def test_a_start_waits_for_the_guard_of_a_killed_platform(tmp_path: Path) -> None:
    with platform_lock(tmp_path) as handle:
        guard = subprocess.Popen(["sleep", "0.5"], pass_fds=[handle])
        # The file names a process that is gone, as after a SIGKILL of the supervisor.
        gone = subprocess.Popen(["true"])
        gone.wait()
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(gone.pid).encode(), 0)
    with platform_lock(tmp_path):
        assert guard.poll() is not None or guard.wait(1) == 0
