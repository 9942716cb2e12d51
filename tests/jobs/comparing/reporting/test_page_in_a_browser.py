"""The page in a real Chromium: what a reader sees, clicks and types."""

import re
from dataclasses import replace
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

from jobs.comparing.reporting.page import render
from tests.not_tested import CHROMIUM

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
    *("--disable-component-update", "--disable-sync"),
)
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


WITHIN_MS = 30_000
"""A browser on a busy machine may take seconds to draw, and draws before it takes a click."""
expect.set_options(timeout=WITHIN_MS)


@pytest.fixture
def shown(browser, tmp_path):
    """A function: contents -> the page, open; in the end nothing was asked for, nothing broke."""
    faults, pages = [], []

    def show(contents, **options):
        file = tmp_path / "studies" / "one" / "report.html"
        file.parent.mkdir(parents=True)
        file.write_bytes(render(contents))
        page = browser.new_page(viewport={"width": 1300, "height": 800}, **options)
        page.set_default_timeout(WITHIN_MS)
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        page.on("console", lambda told: faults.append(told.text) if told.type == "error" else None)
        page.on("request", lambda asked: faults.append(asked.url) if is_outside(asked) else None)
        page.goto(file.as_uri())
        pages.append(page)
        return page

    def is_outside(asked):
        return not asked.url.startswith("data:") and not asked.url.endswith("/report.html")

    yield show
    for page in pages:
        page.close()
    assert faults == []


def column(page, index, block=0):
    """Texts of one column of a block's rows, as shown."""
    cells = page.locator(".block").nth(block).locator(f"tbody tr:visible > :nth-child({index})")
    return [text.split(" ")[0] for text in cells.all_inner_texts()]


def last_hit(page, text):
    """Block and text of the row in which the browser's own search finds the text last."""
    return page.evaluate(
        """text => {
          getSelection().removeAllRanges();
          if (!find(text, true, true, true)) return null;
          const row = getSelection().anchorNode.parentElement.closest("tr");
          return [row.closest(".block").ariaLabel, row.textContent];
        }""",
        text,
    )


def test_a_header_sorts_up_then_down_then_as_given_and_the_missing_stay_last(shown, small):
    page = shown(small)
    head = page.locator(".block").first.locator("thead tr").last.locator("th").nth(2)
    assert column(page, 3) == ["2.00", "—a", "10.00", "1.50"]
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, 3) == ["1.50", "2.00", "10.00", "—a"]
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, 3) == ["10.00", "2.00", "1.50", "—a"]
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "none"
    assert column(page, 3) == ["2.00", "—a", "10.00", "1.50"]


def test_a_filter_keeps_rows_and_columns_that_hold_a_matching_cell(shown, small):
    page = shown(small)
    page.keyboard.press("/")
    page.keyboard.type("m2 sft")
    expect(page.locator("#found")).to_have_text("2 of 16 cells")
    assert column(page, 2) == ["m2"]
    assert page.locator(".block").first.locator("thead tr").last.inner_text().split() == [
        *("family", "model", "sft")
    ]
    page.keyboard.type(" consistency")
    assert [block.is_visible() for block in page.locator(".block").all()] == [False, True]
    page.keyboard.press("Escape")
    expect(page.locator("#found")).to_have_text("16 cells")
    expect(page.locator("#filter")).to_have_value("")


def test_typing_a_filter_brings_the_tables_into_sight(shown, small):
    section = small.sections[0]
    page = shown(replace(small, sections=[replace(section, answers=section.answers * 20)]))
    expect(page.locator("#tables-title")).not_to_be_in_viewport()
    page.keyboard.press("/")
    page.keyboard.type("m2")
    expect(page.locator("#tables-title")).to_be_in_viewport()


def test_a_status_button_keeps_the_cells_of_that_status(shown, small):
    page = shown(small)
    button = page.locator('[data-status="not_run"].status')
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    expect(page.locator("#found")).to_have_text("1 of 16 cells")
    assert column(page, 2) == ["m2"]
    button.click()
    expect(page.locator("#found")).to_have_text("16 cells")


def test_the_browser_finds_the_last_row_of_every_table(shown, large):
    page = shown(large)
    assert last_hit(page, "m299") == ["metric_19", "gpt2m299200.00 ± 0.50"]
    page.locator("#filter").fill("m29")
    expect(page.locator("#found")).to_have_text("220 of 6,000 cells")
    assert last_hit(page, "m299") == ["metric_19", "gpt2m299200.00 ± 0.50"]
    assert last_hit(page, "m280") is None
    page.locator("#filter").fill("metric_07")
    assert last_hit(page, "m299") == ["metric_07", "gpt2m299188.00 ± 0.50"]


def test_the_list_is_whole_too_and_sorts(shown, large):
    page = shown(large)
    page.locator('[data-shape="list"]').click()
    expect(page.locator(".list tbody tr")).to_have_count(6_000)
    assert last_hit(page, "m299")[0] == "metric_19"
    page.locator(".block").first.get_by_role("button", name="value").click()
    values = page.locator(".block").first.locator("tbody td:has(a)").all_inner_texts()
    assert values[:2] == ["0.00 ± 0.50", "1.00 ± 0.50"]


def test_arrows_move_in_a_table_enter_opens_the_trace_and_escape_returns(shown, small):
    page = shown(small)
    focused = "document.activeElement.closest('th, td').innerText.split('\\n')[0]"
    page.locator(".block thead button").first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == "m3"
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == "10.00 ± 0.50"
    page.keyboard.press("Enter")
    dialog = page.locator("#trace")
    dialog.locator("text=measure[model=m1]").wait_for()
    expect(dialog.locator("h2")).to_contain_text("m3 · toxic_mass · dpo")
    expect(dialog).to_contain_text("[9.5, 10.5]")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page).to_have_url(re.compile(r"^[^#]*$"))
    page.wait_for_function(f"{focused} === '10.00 ± 0.50'")


def walked(page, *keys):
    """Focus the table's first header and press keys."""
    page.locator(".block thead button").first.focus()
    for key in keys:
        page.keyboard.press(key)
    return page


def test_a_table_is_one_stop_of_the_tab_key(shown, small):
    page = walked(shown(small), "ArrowDown", "ArrowRight", "ArrowRight")
    block = "document.activeElement.closest('.block').ariaLabel"
    page.keyboard.press("Tab")
    assert page.evaluate(block) == "consistency"
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(block) == "toxic_mass"
    assert page.evaluate("document.activeElement.innerText") == "2.00 ± 0.50"


def test_a_header_sorts_by_keyboard(shown, small):
    page = walked(shown(small), "End", "ArrowLeft", "Enter")
    assert column(page, 3) == ["1.50", "2.00", "10.00", "—a"]


def test_a_trace_tells_the_chain_and_its_links_lead_to_files_below_the_root(
    shown, small, artifact, tmp_path
):
    odd = "a folder/50%#?.parquet"
    chain = artifact(
        "measure", "a", artifact("align", "b", role="delta"), files=((odd, 3, "0" * 16),)
    )
    file = tmp_path / chain.folder / odd
    file.parent.mkdir(parents=True)
    file.write_text("abc")
    page = shown(replace(small, traces=[chain]))
    page.locator(".block tbody td a").first.click()
    told = page.locator("#trace .chain")
    expect(told.locator("li")).to_have_count(2)
    expect(told.locator("li li")).to_contain_text("delta")
    href = told.get_by_text(odd).evaluate("link => link.href")
    assert tmp_path.joinpath(unquote(urlsplit(href).path)).read_text() == "abc"


def test_a_missing_cell_tells_why(shown, small):
    page = shown(small)
    page.locator(".block tbody td a").nth(2).click()
    expect(page.locator("#trace")).to_contain_text("not run: it was stopped")


def test_controls_stand_beside_the_value_in_the_list_and_in_the_trace(shown, controlled):
    page = shown(controlled)
    page.locator('[data-shape="list"]').click()
    line = page.locator(".list tbody tr").first
    expect(line).to_contain_text("2.00 ± 0.50[1.5, 2.5]0.25-11")
    line.locator("a").click()
    expect(page.locator("#trace .pairs").first).to_contain_text("floor0.25null low-1null high1")


def test_an_address_of_a_cell_opens_its_trace(shown, small):
    page = shown(small)
    page.evaluate("location.hash = '#cell/0/3/2'")
    expect(page.locator("#trace h2")).to_contain_text("m4 · consistency · dpo")


def test_evidence_leads_to_the_job_behind_it(shown, small):
    page = shown(small)
    page.locator("details summary").first.click()
    page.locator(".evidence a").first.click()
    expect(page.locator("#trace")).to_contain_text("measure[model=m1]")


def test_names_that_hold_markup_are_shown_and_never_run(shown, hostile):
    page = shown(hostile)
    expect(page.locator("h1")).to_have_text(hostile.study)
    page.locator(".block tbody td a").first.click()
    for summary in page.locator("#trace summary").all()[1:]:
        summary.click()
    expect(page.locator("#trace h2")).to_contain_text(hostile.study)
    page.keyboard.press("Escape")
    page.locator("button.figure").click()
    page.keyboard.press("Escape")
    page.locator('[data-shape="list"]').click()
    page.locator(".list tbody a").first.wait_for()
    assert page.evaluate("window.broken") is None
    expect(page.locator("img[onerror]")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_system_until_a_theme_is_chosen(shown, small, scheme):
    page = shown(small, color_scheme=scheme)
    brightness = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    assert (page.evaluate(brightness) > 128) == (scheme == "light")
    other = "Light" if scheme == "dark" else "Dark"
    while page.locator("#theme").inner_text() != f"Theme: {other.lower()}":
        page.locator("#theme").click()
    assert (page.evaluate(brightness) > 128) == (scheme == "dark")
    page.reload()
    expect(page.locator("#theme")).to_have_text(f"Theme: {other.lower()}")


def test_a_figure_is_enlarged_by_click_keys_and_wheel_and_left_by_escape(shown, small):
    page = shown(small)
    page.locator("button.figure").first.click()
    stage = page.locator("#stage")
    width = "document.querySelector('#stage img').clientWidth"
    fitted = page.evaluate(width)
    page.keyboard.press("+")
    page.wait_for_function(f"{width} > {fitted} * 1.25")
    page.keyboard.press("0")
    page.wait_for_function(f"{width} === {fitted}")
    stage.hover(position={"x": 100, "y": 100})
    page.mouse.wheel(0, -400)
    expect(stage).to_have_attribute("data-zoom", re.compile(r"[2-9]\..*"))
    page.keyboard.press("n")
    expect(page.locator("#lightbox-title")).to_have_text("two")
    page.keyboard.press("Escape")
    expect(page.locator("#lightbox")).to_be_hidden()
    expect(page.get_by_label("enlarge two", exact=True)).to_be_focused()


def test_paper_has_all_rows_and_columns_that_are_shown(shown, small, large, tmp_path):
    page = shown(large)
    page.locator("#filter").fill("metric_07")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    text = page.locator("#shown").inner_text()
    assert all(f"m{number}\t" in text for number in range(300)) and "metric_08" not in text
    expect(page.locator("tbody a:visible")).to_have_count(300)


def test_paper_cuts_a_wide_table_into_pieces_that_fit(shown, small):
    section = small.sections[0]
    table = section.tables[0]
    wide = replace(
        table,
        columns=tuple(("toxic_mass", f"objective-{number}") for number in range(20)),
        cells=tuple(line * 5 for line in table.cells),
    )
    page = shown(replace(small, sections=[replace(section, tables=[wide])]))
    page.locator("#filter").fill("m2")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 720, "height": 1000})
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    pieces = page.locator(".scroller:visible")
    assert pieces.count() > 1
    heads = page.locator(".scroller th:visible button").all_inner_texts()
    assert [text for text in heads if text.startswith("objective")] == [
        f"objective-{number}" for number in range(20)
    ]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(page.locator(".scroller")).to_have_count(1)
    assert page.locator('tbody a[href^="#cell/0/1/"]').count() == 20


def test_a_narrow_screen_scrolls_tables_and_not_the_page(shown, small):
    page = shown(small)
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
