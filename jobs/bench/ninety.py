"""What the statistics and the report of a 90-model study cost: the tables in docs/ninety, in a process of their own."""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa

from app.analysis.estimation.bootstrap import DRAWS
from app.analysis.pairing import pairs
from app.analysis.pairing.items import FIRST, Items
from app.analysis.statistics import statistics as compute
from app.store import Store
from app.study import load
from jobs.bench.document import Options, Section, Table, Target
from jobs.bench.spending import how, spend

SECONDS, GIGABYTES, PAGE_MEGABYTES, OPENED = 20.0, 1.0, 5.0, 3.0
"""At most."""
_ROOT = Path(__file__).parents[2]
_NINETY = _ROOT / "docs" / "ninety"
_ABOUT = f"""All statistics from the tables of scores and items in docs/ninety (correlations with {DRAWS:,} bootstrap
draws each, corrected coefficients, agreement, components, the limit test), in a process of its own with as many threads
as there are cores: seconds on the clock from its start to its end, imports included. Then the report that lies there:
its size, and how long a fresh headless chromium takes from the request for the page to the end of its scripts."""
_CLOCK = """<script>addEventListener("load", () => {
  document.body.getBoundingClientRect();
  document.documentElement.dataset.opened = performance.now();
})</script>"""
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync", "--disable-extensions",
          "--disable-background-networking", "--disable-component-update")  # fmt: skip


def part(options: Options) -> Section:
    """The section of `python -m jobs.bench statistics`."""
    section = Section("Statistics and report of 90 models", _ABOUT, tables=[Table(("what", "found"))])
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root:
        threads = {"OMP_NUM_THREADS": str(cores), "PYTHONPATH": str(_ROOT)}
        spent = spend([sys.executable, "-m", "jobs.bench.ninety"], Path(root), threads)
        opened = _opened(_NINETY / "report" / "index.html", Path(root), options.rounds)
    told = json.loads(spent.told.splitlines()[-1])
    gigabytes, size = told["peak"] / 1e9, (_NINETY / "report" / "index.html").stat().st_size / 1e6
    section.targets = [
        Target(f"all statistics of {told['models']} models", spent.wall, SECONDS, "s", at_most=True),
        Target("their peak memory", gigabytes, GIGABYTES, "GB", at_most=True),
        Target("size of the report", size, PAGE_MEGABYTES, "MB", at_most=True),
        *([Target("the report opens", opened, OPENED, "s", at_most=True)] if opened is not None else []),
    ]
    section.tables[0].rows += [
        ("models, pairs, items", f"{told['models']}, {told['pairs']:,}, {told['items']:,}"),
        ("whole process", f"{spent.wall:.1f} s, {spent.cpu:.1f} CPU seconds"),
        ("of that, statistics", f"{told['seconds']:.1f} s, {told['cpu']:.1f} CPU seconds"),
        ("peak resident memory", f"{gigabytes:.2f} GB"),
        ("rows of correlations", f"{told['correlations']:,}"),
        ("index.html", f"{size:.2f} MB" + (f", opens in {opened:.2f} s" if opened is not None else "")),
    ]
    section.figures = {"seconds": spent.wall, "CPU seconds": spent.cpu, "gigabytes": gigabytes, "megabytes": size}
    section.notes = [
        f"{cores} cores, on which others took {spent.others:.0f} CPU seconds meanwhile. {how(spent)}",
        *(["No chromium on this machine: the report was not opened."] if opened is None else []),
    ]
    return section


def _opened(page: Path, folder: Path, rounds: int) -> float | None:
    """Seconds, the median; None where there is no browser."""
    browser = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if browser is None:
        return None
    copy = folder / "index.html"
    copy.write_text(page.read_text().replace("</body>", f"{_CLOCK}</body>", 1))
    found: list[float] = []
    for number in range(rounds):
        profile = folder / f"profile-{number}"
        command = [browser, *_FLAGS, f"--user-data-dir={profile}", "--dump-dom", f"file://{quote(str(copy))}"]
        environment = {**os.environ, "HOME": str(folder)}
        told = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout  # noqa: S603
        found.append(float(told.split('data-opened="', 1)[1].split('"', 1)[0]) / 1000)
    return statistics.median(found)


def _alone() -> dict[str, float]:
    """Compute everything once in this process."""
    file, store = load(_NINETY / "study.yaml"), Store(_NINETY)
    analysis = file.study.analysis.model_copy(update={"wording": file.study.wordings[0]})
    began, cpu = time.monotonic(), time.process_time()
    scores, table = (store.read_table(name, f"tables/{name}.parquet") for name in ("scores", "items"))
    # One seed of demonstrations: its answers are the shares.
    first = pa.table(
        {side: [share if share is None else share == 1 for share in table[side].to_pylist()] for side in ("x", "y")},
        FIRST,
    )
    made = pairs.pairs(scores, analysis)
    found = compute(scores, made, Items(table, first, [], [], []), analysis, file.study.name)
    return {
        "seconds": time.monotonic() - began,
        "cpu": time.process_time() - cpu,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "models": len(found.pairs.table["run"].unique()),
        "pairs": found.pairs.table.num_rows,
        "items": table.num_rows,
        "correlations": found.tables["correlations"].num_rows,
    }


if __name__ == "__main__":
    print(json.dumps(_alone()))
