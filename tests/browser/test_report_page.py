"""The report in a real browser: it works, it is accessible, and it loads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from report_samples import samples

from unmask.render.html import write_index, write_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    reports = samples(folder)
    found = {name: write_report(report, folder) for name, report in reports.items()}
    found["index"] = write_index(list(reports.values()), folder)
    return found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    tab = context.new_page()
    problems: list[str] = []
    tab.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    tab.on("pageerror", lambda e: problems.append(str(e)))
    tab.on("request", lambda r: problems.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
    yield tab
    context.close()
    assert problems == []


def test_viewer_switches_fades_and_uncovers(page: Page, pages: dict[str, Path]) -> None:
    page.goto(pages["likely"].as_uri())
    assert page.get_by_role("heading", level=1).inner_text().startswith("This picture was likely changed")
    layers = page.locator("#layers > g")
    assert layers.count() == 2
    assert layers.nth(0).get_attribute("visibility") == "visible"
    assert "Bright blocks" in page.locator("#layer-text").inner_text()
    page.get_by_label("Jpeg: Source and copy").check()
    assert [layers.nth(i).get_attribute("visibility") for i in range(2)] == ["hidden", "visible"]
    page.locator("#opacity").fill("20")
    assert page.locator("#layers").get_attribute("opacity") == "0.2"
    page.locator("#uncover").focus()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    assert float(page.locator("#reveal-rect").get_attribute("width") or 0) < 640 * 0.95
    assert page.locator("#divider").get_attribute("visibility") == "visible"
    page.get_by_label("picture alone").check()
    assert page.locator("#divider").get_attribute("visibility") == "hidden"


def test_picture_is_drawn(page: Page, pages: dict[str, Path]) -> None:
    page.goto(pages["likely"].as_uri())
    box = page.locator("#stage").bounding_box()
    assert box is not None and box["width"] > 300 and box["height"] > 180
    shot = page.locator("#stage").screenshot()
    from io import BytesIO

    import numpy as np
    from PIL import Image

    assert np.asarray(Image.open(BytesIO(shot)).convert("L")).std() > 10


def test_index_filters(page: Page, pages: dict[str, Path]) -> None:
    page.goto(pages["index"].as_uri())
    assert page.locator("#shown").inner_text() == "7 of 7 shown"
    page.locator("#label").select_option("inconclusive")
    assert page.locator("#shown").inner_text() == "2 of 7 shown"
    page.locator("#search").fill("unsure")
    assert page.locator("tbody tr:visible").count() == 1
    page.get_by_role("link", name="unsure.jpg").click()
    assert "does not allow an answer" in page.get_by_role("heading", level=1).inner_text()


@pytest.mark.parametrize("name", ["likely", "declared", "sound", "hostile", "index"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(page: Page, pages: dict[str, Path], name: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(pages[name].as_uri())
    for fold in page.locator("details").all():
        fold.evaluate("d => d.open = true")
    # The page's own policy forbids foreign scripts, so the checker is put in by the debugger.
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("name", ["likely", "declared", "sound", "film", "hostile", "index"])
def test_nothing_overflows_on_a_phone(page: Page, pages: dict[str, Path], name: str) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(pages[name].as_uri())
    for fold in page.locator("details").all():
        fold.evaluate("d => d.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_print_opens_what_is_folded(page: Page, pages: dict[str, Path]) -> None:
    page.goto(pages["quiet"].as_uri())
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("[...document.querySelectorAll('details')].every(d => d.open || d.querySelector('.json'))")
    page.emulate_media(media="print")
    assert not page.locator("#controls").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not page.evaluate("[...document.querySelectorAll('details')].every(d => d.open)")


def test_it_reads_without_script(browser: Browser, pages: dict[str, Path]) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(pages["likely"].as_uri())
    assert not tab.locator("#controls").is_visible()
    assert tab.locator(".evidence .stage").count() == 2
    context.close()
