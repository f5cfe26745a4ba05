"""The clock of the machine is set forth and back while a study runs: its tables stay as they were."""

import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from small_study import finish, start, tables

pytestmark = [pytest.mark.timeout(900), pytest.mark.chaos]

# Laid before the C library of every process of a run, Ray's own too: each second the wall clock is another, by more
# than a year. What counts seconds (monotonic) is left alone, as it is where an administrator sets the date.
CLOCK = textwrap.dedent("""\
    #define _GNU_SOURCE
    #include <sys/syscall.h>
    #include <sys/time.h>
    #include <time.h>
    #include <unistd.h>

    static int real(clockid_t clock, struct timespec *at) { return syscall(SYS_clock_gettime, clock, at); }

    int clock_gettime(clockid_t clock, struct timespec *at) {
        int failed = real(clock, at);
        if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
            struct timespec steady;
            real(CLOCK_MONOTONIC, &steady);
            at->tv_sec += (steady.tv_sec % 3 - 1) * 400L * 86400L;
        }
        return failed;
    }

    time_t time(time_t *kept) {
        struct timespec at;
        clock_gettime(CLOCK_REALTIME, &at);
        if (kept) *kept = at.tv_sec;
        return at.tv_sec;
    }

    int gettimeofday(struct timeval *told, void *zone) {
        struct timespec at;
        clock_gettime(CLOCK_REALTIME, &at);
        told->tv_sec = at.tv_sec;
        told->tv_usec = at.tv_nsec / 1000;
        return 0;
    }
""")


@pytest.fixture(scope="module")
def jumping_clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The library; skips the test where nothing compiles C. Ends what still waits by such a clock."""
    folder = tmp_path_factory.mktemp("clock")
    (folder / "clock.c").write_text(CLOCK)
    library = folder / "clock.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", library, folder / "clock.c"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no C compiler here")
    yield library
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("LD_PRELOAD") == str(library):
                process.kill()


def test_a_clock_that_jumps_by_years_changes_no_table(
    tiny_study: Path, tiny_undisturbed: Path, jumping_clock: Path, tmp_path: Path
) -> None:
    study = tmp_path / "tiny.yaml"
    deadline = datetime.now(UTC) + timedelta(days=500)  # further than the clock jumps from where it stands
    study.write_text(f"{tiny_study.read_text()}limits: {{deadline: {deadline.isoformat(timespec='seconds')}}}\n")
    run = start(study, tmp_path / "store", {"LD_PRELOAD": str(jumping_clock)})
    output = finish(run)
    assert run.returncode == 0, output
    assert "8 cells computed, 0 reused, 0 failed" in output
    assert tables(tmp_path / "store") == tables(tiny_undisturbed)
