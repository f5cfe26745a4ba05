"""The report's page in a real browser, from file://, without a network."""

import asyncio
import os
import re
from pathlib import Path

import made_tables
import pytest
from browser import CHROMIUM, Page, browser
from made_tables import World, scores

from app import tables
from app.analysis.estimation.correlation import correlations
from app.analysis.pairing.pairs import pairs
from app.analysis.reporting.report import Facts, render
from app.study import Analysis

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("FEWTUNE_BROWSER") != "required", reason="no chromium on this machine"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All sections; one base model's few-shot score is missing on one task, and one tuned score on another."""
    lost = [
        ("falcon-32x2", None, "base-few-shot", "task-03"),
        ("opt-32x2", "opt-32x2.lora.s0", "tuned-direct", "task-05"),
    ]
    made = scores(World(bases=1, recipes=2, tasks=12)).to_pylist()
    kept = [row for row in made if (row["base"], row["run"], row["condition"], row["task"]) not in lost]
    table = tables.build("scores", kept)
    found = pairs(table, Analysis())
    rows = made_tables.with_more(correlations(found.table, Analysis(), "made"))
    facts = Facts(
        "made",
        command="fewtune run made.yaml",
        ladder=True,
        items=made_tables.items(found.table, 4),
        agreement=made_tables.agreement(found.table),
        components=made_tables.components(),
        limits=made_tables.limits(),
        confounds=made_tables.CONFOUNDS,
        gained=made_tables.GAINED,
        views=made_tables.views(),
        power=made_tables.OUTLOOK,
    )
    path = tmp_path_factory.mktemp("report") / "index.html"
    path.write_bytes(render(found, rows, table, Analysis(), facts)["index.html"])
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
    assert [said.split(" ")[0] for _, said in seen] == ["141", "141", "141"]  # centring copes with those missing


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
        column = (
            "[...document.querySelectorAll('#bases .sortable tbody td:nth-child(4)')].map(c => Number(c.dataset.v))"
        )
        return left, await tab.run(f"{column}.every((v, i, all) => !i || all[i - 1] >= v)")

    assert looked_at(page, tmp_path, look) == (119, True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_window_needs_no_sideways_scrolling(page: Path, tmp_path: Path, scheme: str) -> None:
    async def look(tab: Page) -> int:
        return await tab.run("document.documentElement.scrollWidth")

    assert looked_at(page, tmp_path, look, width=400, scheme=scheme) <= 400


@pytest.mark.parametrize("width", [400, 700, 980])
def test_the_sections_need_no_scroll_bar(page: Path, tmp_path: Path, width: int) -> None:
    async def look(tab: Page) -> tuple[int, bool]:
        ul = "document.querySelector('nav ul')"
        return await tab.run(f"{ul}.offsetHeight - {ul}.clientHeight"), await tab.run(
            f"{ul}.scrollWidth <= {ul}.clientWidth"
        )

    bar, fits = looked_at(page, tmp_path, look, width=width)
    assert bar == 0
    assert fits or width == 400


def tip(selector: str) -> str:
    """What the tip beside a plot says, after whether it can be seen."""
    box = f"document.querySelector('{selector}').closest('.plot').querySelector('.tip')"
    return f"getComputedStyle({box}).visibility + ' ' + {box}.textContent"


async def hover(tab: Page, selector: str) -> None:
    """The pointer on the middle of an element."""
    await tab.run(f"document.querySelector('{selector}').scrollIntoView({{block: 'center', inline: 'center'}})")
    box = f"document.querySelector('{selector}').getBoundingClientRect()"
    x, y = [
        await tab.run(f"{box}.{start} + {box}.{size} / 2") for start, size in (("left", "width"), ("top", "height"))
    ]
    await tab.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)


async def choose(tab: Page, selector: str, value: str) -> None:
    chosen = f"document.querySelector('{selector}')"
    await tab.run(f"{chosen}.value = '{value}'; {chosen}.dispatchEvent(new Event('change'))")


def test_a_narrow_window_keeps_reasons_and_says_what_numbers_are(page: Path, tmp_path: Path) -> None:
    async def look(tab: Page) -> tuple[bool, str, float]:
        open_ = "document.querySelectorAll('.forest tbody .shape:not(.bare):not(details:not([open]) *)')"
        shown = f"{open_}.length > 5 && [...{open_}].every(c => c.offsetHeight > 0)"
        first = "document.querySelector('.agreement [data-label]')"
        label = await tab.run(f"getComputedStyle({first}, '::before').content")
        scale, bar = (f"document.querySelector('.agreement {name} {part}').getBoundingClientRect()"
                      for name, part in ((".axis-head", ".scale"), ("td.bar", "svg")))  # fmt: skip
        apart = await tab.run(f"Math.abs({scale}.left - {bar}.left) + Math.abs({scale}.right - {bar}.right)")
        return bool(await tab.run(shown)), str(label), float(apart)

    shown, label, apart = looked_at(page, tmp_path, look, width=400)
    assert shown
    assert label.startswith('"phi')
    assert apart < 3  # the strips stand under their scale


def test_what_the_grid_says_stays_in_a_narrow_window(page: Path, tmp_path: Path) -> None:
    async def look(tab: Page) -> tuple[float, float]:
        await tab.run("document.getElementById('heat').focus()")
        for key in ("ArrowRight", "End"):
            await tab.run(
                f"document.getElementById('heat').dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}'}}))"
            )
        right = await tab.run("document.querySelector('#heat .chosen').getBoundingClientRect().right")
        return float(right), float(await tab.run("document.documentElement.scrollWidth"))

    right, wide = looked_at(page, tmp_path, look, width=400)
    assert 0 < right <= 400
    assert wide <= 400


def test_hovering_a_point_says_its_model_task_scores_and_items(page: Path, tmp_path: Path) -> None:
    async def look(tab: Page) -> str:
        await hover(tab, "#scatter .p:nth-child(40)")
        return await tab.run(tip("#scatter"))

    said = looked_at(page, tmp_path, look)
    assert said.startswith("visible task-")
    for part in ("x2.", "base, few-shot", "tuned, zero-shot", "100 items", "chance"):
        assert part in said


def test_points_at_the_floor_are_flagged_and_can_be_left_out(page: Path, tmp_path: Path) -> None:
    async def look(tab: Page) -> tuple[bool, int]:
        await tab.run("document.getElementById('scatter').focus()")
        await tab.key("Home")
        flagged = "not told from chance" in await tab.run(tip("#scatter"))
        await choose(tab, "select[data-state=show]", "away from floor and ceiling")
        return flagged, await tab.run(f"{POINTS}.length")

    flagged, left = looked_at(page, tmp_path, look)
    assert flagged
    assert 0 < left < 141


def test_a_side_that_is_missing_is_void_in_the_grid(page: Path, tmp_path: Path) -> None:
    async def look(tab: Page) -> tuple[int, bool, int, str]:
        void = "document.querySelectorAll('#heat rect.void').length"
        seen = await tab.run(void), await tab.run("document.querySelectorAll('#heat path.some').length > 0")
        await hover(tab, "#heat rect.void")
        said = await tab.run(tip("#heat"))
        await choose(tab, "select[data-grid=rows]", "unit")
        return (*seen, await tab.run(void), said)

    bases, some, runs, said = looked_at(page, tmp_path, look)
    assert (bases, some, runs) == (1, True, 3)
    assert said.startswith("visible falcon-32x2task-03")
    assert "base, few-shotmissing" in said
    assert "tuned, zero-shothas no partner" in said
    assert "2 pairs: x not scored" in said


def test_the_grid_obeys_keys_and_is_ordered_as_asked(page: Path, tmp_path: Path) -> None:
    async def look(tab: Page) -> tuple[list[str], list[str]]:
        await tab.run("document.getElementById('heat').focus()")
        said = []
        for key in ("ArrowDown", "ArrowDown", "ArrowRight", "End", "Escape"):
            await tab.key(key)
            said.append(await tab.run(tip("#heat")))
        await choose(tab, "select[data-grid=down]", "name")
        return said, await tab.run(
            "[...document.querySelectorAll('#heat text[text-anchor=end]')].map(t => t.textContent)"
        )

    said, rows = looked_at(page, tmp_path, look)
    assert len(set(said[:4])) == 4
    assert "mean over tasks" in said[3]
    assert said[4].startswith("hidden")
    assert rows == sorted(rows)
    assert len(rows) == 6


def test_the_slopes_follow_the_task_and_say_which_model_a_line_is(page: Path, tmp_path: Path) -> None:
    async def look(tab: Page) -> list[str]:
        said = [await tab.run("document.getElementById('slopes-said').textContent")]
        await choose(tab, "#slopes-task", "5")
        said.append(await tab.run("document.getElementById('slopes-said').textContent"))
        await tab.run("document.getElementById('slopes').focus()")
        await tab.key("Home")
        said.append(await tab.run(tip("#slopes")))
        return said

    mean, one, line = looked_at(page, tmp_path, look)
    assert mean.startswith("12 tuned models")
    assert one.startswith("11 tuned models")
    assert line.startswith("visible ")
    assert "1 task" in line
    assert "→" in line


def test_items_are_filtered_by_outcome_and_task_and_marks_can_go(page: Path, tmp_path: Path) -> None:
    shown = "[...document.querySelectorAll('details.item')].filter(d => !d.hidden).map(d => d.dataset.outcome)"
    mark = "getComputedStyle(document.querySelector('#explorer mark')).backgroundColor"

    async def look(tab: Page) -> tuple[list[str], list[str], bool]:
        await choose(tab, "select[data-explore=outcome]", "only tuned right")
        first = await tab.run(shown)
        await choose(tab, "select[data-explore=task]", "task-01")
        second = await tab.run(shown)
        before = await tab.run(mark)
        await tab.run("document.getElementById('marks').click()")
        return first, second, before != await tab.run(mark)

    assert looked_at(page, tmp_path, look) == (3 * ["only tuned right"], ["only tuned right"], True)


def test_both_predictors_stand_side_by_side_with_as_many_points(page: Path, tmp_path: Path) -> None:
    dots = "[...svg.querySelectorAll('.dots')].map(p => p.getAttribute('d').split('M').length - 1)"

    async def look(tab: Page) -> list[int]:
        every = f"[...document.querySelectorAll('svg[data-trap]')].map(svg => {dots}.reduce((p, q) => p + q))"
        return await tab.run(every)

    assert looked_at(page, tmp_path, look) == [141, 141]


def test_each_tuned_model_has_a_dot_that_says_what_both_predictors_reach(page: Path, tmp_path: Path) -> None:
    async def look(tab: Page) -> tuple[int, list[str]]:
        await hover(tab, "#each .one:nth-of-type(7)")
        said = [await tab.run(tip("#each"))]
        await tab.run("document.getElementById('each').focus()")
        for key in ("Home", "End", "Escape"):
            await tab.key(key)
            said.append(await tab.run(tip("#each")))
        return await tab.run("document.querySelectorAll('#each .one').length"), said

    count, (under, *walked, last) = looked_at(page, tmp_path, look)
    assert count == 12
    for said in (under, *walked):
        assert re.fullmatch(r"visible \S+x2\.\S+, 1[12] tasksbase, few-shot: rho = \S+base, zero-shot: rho = \S+", said)
    assert len(set(walked)) == 2
    assert last.startswith("hidden")


def test_on_paper_there_are_no_controls_and_hidden_tables_open(page: Path, tmp_path: Path) -> None:
    async def look(tab: Page) -> tuple[str, str, bool]:
        await tab.send("Emulation.setEmulatedMedia", media="print")
        await tab.run("dispatchEvent(new Event('beforeprint'))")
        shown = "getComputedStyle(document.querySelector('{}')).display"
        opened = "[...document.querySelectorAll('details[data-print]')].every(d => d.open)"
        return await tab.run(shown.format("nav")), await tab.run(shown.format(".controls")), await tab.run(opened)

    assert looked_at(page, tmp_path, look) == ("none", "none", True)


def test_the_page_of_ninety_models_is_small_and_obeys_hover_and_filters(tmp_path: Path) -> None:
    table = scores(World(tasks=31))
    found = pairs(table, Analysis())
    assert found.table.num_rows == 2790
    facts = Facts(
        "made",
        items=made_tables.items(found.table, 4),
        agreement=made_tables.agreement(found.table),
        components=made_tables.components(),
        views=made_tables.views(31),
        power=made_tables.OUTLOOK,
    )
    files = render(found, correlations(found.table, Analysis(), "made"), table, Analysis(), facts)
    assert len(files["index.html"]) < 5_000_000
    path = tmp_path / "index.html"
    path.write_bytes(files["index.html"])

    async def look(tab: Page) -> tuple[list[int], list[str]]:
        seen, said = [await tab.run(f"{POINTS}.length")], []
        await choose(tab, "select[data-state=show]", "held out from tuning")
        seen.append(await tab.run(f"{POINTS}.length"))
        await choose(tab, "#focus", "task=20")
        await hover(tab, "#scatter .p.on")
        said.append(await tab.run(tip("#scatter")))
        await tab.run("document.querySelector('#legend button').click()")
        seen.append(await tab.run(f"{POINTS}.length"))
        await hover(tab, "#heat rect.h10")
        said.append(await tab.run(tip("#heat")))
        await hover(tab, "#each .one:nth-of-type(45)")
        said.append(await tab.run(tip("#each")))
        return [*seen, await tab.run("document.querySelectorAll('#each .one').length")], said

    counts, (point, cell, model) = looked_at(path, tmp_path / "profile", look)
    assert counts == [2790, 16 * 90, 16 * 75, 90]
    assert point.startswith("visible task-20")
    assert re.match(r"visible \S+x2task-\d\d", cell)
    assert re.match(r"visible \S+x2\.\S+, 31 tasks", model)


CONTRAST = """(() => {
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const channels = (colour, under) => {  // any notation of CSS, over what lies below
    paint.fillStyle = `rgb(${under.join()})`;
    paint.fillRect(0, 0, 1, 1);
    paint.fillStyle = colour;
    paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const below = (one) => {
    const stack = [];
    for (let at = one; at; at = at.parentElement) stack.push(getComputedStyle(at).backgroundColor);
    return stack.reverse().reduce((under, colour) => channels(colour, under), [255, 255, 255]);
  };
  const found = [];
  for (const details of document.querySelectorAll("details")) details.open = true;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const one = text.parentElement;
    const said = text.data.trim();
    if (!said || one.closest("script, style, noscript") || !one.checkVisibility({ visibilityProperty: true })) continue;
    const style = getComputedStyle(one), under = below(one);
    const over = channels(one.closest("svg") ? style.fill : style.color, under);
    const [low, high] = [under, over].map(luminance).sort((p, q) => p - q);
    found.push([(high + 0.05) / (low + 0.05), `${one.tagName}.${one.getAttribute("class") ?? ""}: ${said}`]);
  }
  return found;
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_its_background(page: Path, tmp_path: Path, scheme: str) -> None:
    """The ratio that WCAG 2.2 asks of text of ordinary size, level AA."""

    async def look(tab: Page) -> list[tuple[float, str]]:
        return await tab.run(CONTRAST)

    found = looked_at(page, tmp_path, look, scheme=scheme)
    assert len(found) > 1000
    assert [(round(ratio, 2), text) for ratio, text in found if ratio < 4.5] == []
