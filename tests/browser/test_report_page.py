"""The report in a real browser: it works, it is accessible, and it loads nothing."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from film_samples import film_samples
from PIL import Image
from report_samples import samples

from unmask.render.html import write_index, write_report

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    reports = samples(folder)
    found = {name: write_report(report, folder) for name, report in reports.items()}
    found["index"] = write_index(list(reports.values()), folder)
    return found | {name: write_report(report, folder) for name, report in film_samples().items()}


def visible_layers(page: Page) -> list[str]:
    """The names of the layers that the viewer shows."""
    found: list[str] = page.eval_on_selector_all(
        "[data-layer]", "all => all.filter(e => e.getAttribute('visibility') === 'visible').map(e => e.dataset.layer)"
    )
    return found


def pixels(page: Page, selector: str) -> NDArray[np.uint8]:
    """What the browser draws."""
    return np.asarray(Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB"))


def covered(page: Page) -> float:
    """How much of the picture the map covers, 0..1."""
    return float(page.locator("#reveal-rect").get_attribute("width") or 0) / 640


def test_viewer_switches_and_fades(page: Page, pages: dict[str, Path]) -> None:
    page.goto(pages["likely"].as_uri())
    assert page.get_by_role("heading", level=1).inner_text().startswith("This picture was likely changed")
    assert visible_layers(page) == ["layer-image-jpeg-1"]
    assert "Bright blocks" in page.locator("#captions").inner_text()
    strong = pixels(page, "#stage").astype(float)
    page.locator("#opacity").fill("0")
    assert page.locator(".fades").first.get_attribute("opacity") == "0"
    faint = pixels(page, "#stage").astype(float)
    # At the top right, where the map is strong, the yellow goes; elsewhere little changes.
    h, w, _ = strong.shape
    spot = np.s_[int(0.15 * h) : int(0.25 * h), int(0.8 * w) : int(0.9 * w)]
    assert (strong[spot][..., 0] - strong[spot][..., 2]).mean() > 60
    assert abs(faint[spot][..., 0] - faint[spot][..., 2]).mean() < 10
    page.get_by_label("Copied parts: Source and copy").check()
    assert visible_layers(page) == ["layer-image-copy-move-1"]
    assert page.locator("#opacity").is_disabled() and not page.locator("#uncover").is_disabled()
    page.get_by_label("Picture alone").check()
    assert visible_layers(page) == [] and page.locator("#handle").get_attribute("visibility") == "hidden"
    assert "without a map" in page.locator("#captions").inner_text()


def test_divider_follows_keys_and_pointer(page: Page, pages: dict[str, Path]) -> None:
    page.goto(pages["likely"].as_uri())
    assert covered(page) == 1
    page.locator("#uncover").focus()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    assert covered(page) == pytest.approx(0.9)
    assert page.locator("#uncover").get_attribute("aria-valuetext") == "covers 90 % from the left"
    page.locator("#stage").scroll_into_view_if_needed()
    box = page.locator("#stage").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 250)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 290, steps=5)
    page.mouse.up()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 290)
    assert covered(page) == pytest.approx(0.4, abs=0.02)
    # Right of the divider the picture has its colours, left of it it is grey below the map.
    shot = pixels(page, "#stage").astype(float)
    spread = shot.max(axis=2) - shot.min(axis=2)
    bottom = spread[int(0.8 * shot.shape[0]) :]
    assert np.median(bottom[:, : int(0.3 * shot.shape[1])]) < 12 < np.median(bottom[:, int(0.5 * shot.shape[1]) :])


def test_a_finding_shows_its_map_large(page: Page, pages: dict[str, Path]) -> None:
    page.goto(pages["likely"].as_uri())
    page.get_by_role("button", name="Show large Copied parts: Source and copy").press("Enter")
    assert visible_layers(page) == ["layer-image-copy-move-1"]
    assert page.evaluate("document.activeElement.value") == "layer-image-copy-move-1"


def test_all_controls_are_reached_by_keyboard(page: Page, pages: dict[str, Path]) -> None:
    page.goto(pages["likely"].as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["width"] > 50  # type: ignore[index]
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or page.evaluate("document.activeElement === document.body")
    assert {"opacity", "uncover", "INPUT", "SUMMARY", "BUTTON", "PRE", "A"} <= seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_follows_the_scheme(page: Page, pages: dict[str, Path], scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(pages["quiet"].as_uri())
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
    assert (shade > 200) == (scheme == "light")


def test_index_filters(page: Page, pages: dict[str, Path]) -> None:
    page.goto(pages["index"].as_uri())
    assert page.locator("#shown").inner_text() == "8 of 8 shown"
    page.get_by_role("radio", name="Inconclusive 3").check()
    assert page.locator("#shown").inner_text() == "3 of 8 shown"
    page.get_by_label("Search by name").fill("UNSURE")
    assert page.locator("tbody tr:visible").count() == 1
    page.get_by_role("link", name="unsure.jpg").click()
    assert "does not allow an answer" in page.get_by_role("heading", level=1).inner_text()
    page.get_by_role("link", name="Unmask all files").click()
    page.get_by_label("Search by name").fill("nothing has this name")
    assert page.locator("tbody tr:visible").count() == 0 and page.locator("#none").is_visible()


def test_an_index_of_a_thousand_filters_at_once(page: Page, pages: dict[str, Path], tmp_path: Path) -> None:
    one = samples(tmp_path)["quiet"]
    many = [
        one.model_copy(update={"subject": one.subject.model_copy(update={"name": f"{i}.jpg"})}) for i in range(1000)
    ]
    page.goto(write_index(many, tmp_path).as_uri())
    took = page.evaluate(
        """() => { const s = document.getElementById('search'); s.value = '99'; const t = performance.now();
        s.dispatchEvent(new Event('input', {bubbles: true})); document.body.offsetHeight;
        return performance.now() - t }"""
    )
    assert page.locator("#shown").inner_text() == "19 of 1000 shown" and took < 1500


@pytest.mark.parametrize("name", ["likely", "declared", "sound", "film", "damaged", "hostile", "index", "rich", "long"])
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


@pytest.mark.parametrize("name", ["likely", "declared", "sound", "film", "hostile", "index", "rich", "crowd"])
def test_nothing_overflows_on_a_phone(page: Page, pages: dict[str, Path], name: str) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(pages[name].as_uri())
    for fold in page.locator("details").all():
        fold.evaluate("d => d.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_print_opens_what_is_folded(page: Page, pages: dict[str, Path]) -> None:
    page.goto(pages["likely"].as_uri())
    page.locator("summary").first.click()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("[...document.querySelectorAll('details')].every(d => d.open || d.querySelector('.json'))")
    page.emulate_media(media="print")
    assert not page.locator("#controls").is_visible() and not page.locator("#layers").is_visible()
    first, second = (page.locator(".pictures .stage").nth(i) for i in range(2))
    assert first.is_visible() and second.is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("[...document.querySelectorAll('details')].filter(d => d.open).length") == 1


def test_printed_pages_say_everything(page: Page, pages: dict[str, Path]) -> None:
    page.goto(pages["likely"].as_uri())
    paper = page.pdf(format="A4")
    assert paper.startswith(b"%PDF") and 3 <= paper.count(b"/Type /Page\n") <= 8


def test_it_reads_without_script(browser: Browser, pages: dict[str, Path]) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(pages["likely"].as_uri())
    assert not tab.locator("#controls").is_visible() and not tab.get_by_role("button").count()
    assert tab.locator(".evidence .stage").count() == 4
    tab.goto(pages["index"].as_uri())
    assert tab.locator("tbody tr").count() == 8 and not tab.locator("#search").is_visible()
    context.close()
