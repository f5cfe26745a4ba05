"""The report's page in a real browser, from file://, without a network."""

import asyncio
from pathlib import Path

import pytest
from browser import CHROMIUM, Page, browser
from made_tables import World, scores

from app.analysis.correlation import correlations
from app.analysis.pairs import pairs
from app.analysis.report import Facts, render
from app.study import Analysis

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = scores(World(bases=1, recipes=2, tasks=12))
    found = pairs(made, Analysis())
    table = correlations(found.table, Analysis(), "made")
    facts = Facts("made", command="fewtune run made.yaml", ladder=True)
    path = tmp_path_factory.mktemp("report") / "index.html"
    path.write_bytes(render(found, table, made, Analysis(), facts)["index.html"])
    return path


def looked_at(path: Path, profile: Path, look: object, width: int = 1280, scheme: str = "light") -> object:
    async def go() -> object:
        async with browser(profile) as tab:
            await tab.open(path, width=width, scheme=scheme)
            seen = await look(tab)
            assert tab.problems == []
            return seen

    return asyncio.run(go())


POINTS = "[...document.querySelectorAll('#scatter .p')].filter(c => c.style.display !== 'none')"


def test_the_toggle_moves_the_points_and_recomputes_r(page: Path, tmp_path: Path) -> None:
    async def look(tab: Page) -> list[tuple[str, str]]:
        seen = []
        for view in ("raw", "corrected", "centred"):
            await tab.run(f"document.querySelector('input[value={view}]').click()")
            where = await tab.run(f"{POINTS}.map(c => c.getAttribute('cx')).join()")
            seen.append((where, await tab.run("document.getElementById('shown').textContent")))
        return seen

    seen = looked_at(page, tmp_path, look)
    assert len({where for where, _ in seen}) == 3
    assert len({said for _, said in seen}) == 3
    assert all("144 pairs shown" in said for _, said in seen)


def test_the_r_of_the_doubly_centred_plot_is_the_reported_one(page: Path, tmp_path: Path) -> None:
    async def look(tab: Page) -> bool:
        await tab.run("document.querySelector('input[value=centred]').click()")
        shown = await tab.run("document.getElementById('shown').textContent.match(/r = (\\S+?)\\. /)[1]")
        return f"r = {shown}," in await tab.run("document.querySelector('.answer').textContent")

    assert looked_at(page, tmp_path, look)


def test_keys_walk_through_the_points_and_say_what_they_are(page: Path, tmp_path: Path) -> None:
    async def look(tab: Page) -> list[str]:
        await tab.run("document.getElementById('scatter').focus()")
        said = []
        for key in ("Home", "ArrowRight", "End", "Escape"):
            await tab.key(key)
            shown = "getComputedStyle(document.getElementById('tip')).visibility"
            said.append(await tab.run(f"{shown} + ' ' + document.getElementById('tip').textContent"))
        return said

    said = looked_at(page, tmp_path, look)
    assert len(set(said[:3])) == 3
    assert all(text.startswith("visible task-") and "items, chance" in text for text in said[:3])
    assert said[3].startswith("hidden")


def test_a_family_can_be_hidden_and_tables_sorted(page: Path, tmp_path: Path) -> None:
    async def look(tab: Page) -> tuple[int, bool]:
        await tab.run("document.querySelector('#legend button').click()")
        left = await tab.run(f"{POINTS}.length")
        await tab.run("document.querySelector('#bases th:nth-child(4) button').click()")
        column = "[...document.querySelectorAll('#bases tbody td:nth-child(4)')].map(c => Number(c.dataset.v))"
        return left, await tab.run(f"{column}.every((v, i, all) => !i || all[i - 1] >= v)")

    assert looked_at(page, tmp_path, look) == (120, True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_window_needs_no_sideways_scrolling(page: Path, tmp_path: Path, scheme: str) -> None:
    async def look(tab: Page) -> int:
        return await tab.run("document.documentElement.scrollWidth")

    assert looked_at(page, tmp_path, look, width=400, scheme=scheme) <= 400
