"""The time line in a real browser: mouse, keys, what the lanes say, and the reader's own copy of the film."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from film_samples import film_samples

from unmask.render.html import write_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    return {name: write_report(report, folder) for name, report in film_samples().items()}


def place(page: Page) -> float:
    return float(page.locator("#head").get_attribute("aria-valuenow") or -1)


def says(page: Page) -> str:
    return page.locator("#says").inner_text()


def test_keys_move_the_playhead(page: Page, films: dict[str, Path]) -> None:
    page.goto(films["rich"].as_uri())
    page.locator("#head").focus()
    assert place(page) == 0 and page.locator("#now").inner_text() == "0:00.0"
    for key, at in (
        ("ArrowRight", 1),
        ("Shift+ArrowRight", 11),
        ("ArrowLeft", 10),
        ("End", 75.5),
        ("ArrowRight", 75.5),
        ("Home", 0),
        ("ArrowLeft", 0),
    ):
        page.keyboard.press(key)
        assert place(page) == pytest.approx(at), key
    page.keyboard.press("n")
    assert place(page) == pytest.approx(20.1, abs=0.1)
    assert page.locator("#head").get_attribute("aria-valuetext").startswith("0:20.1; Face 1 Suspicious")  # type: ignore[union-attr]
    page.keyboard.press("End")
    page.keyboard.press("p")
    assert place(page) == pytest.approx(20.1, abs=0.1)


def test_the_lanes_say_what_is_at_the_playhead(page: Page, films: dict[str, Path]) -> None:
    page.goto(films["rich"].as_uri())
    page.locator("#head").focus()
    assert "Speaker 1 speaks" in says(page) and "Face 1 " not in says(page).replace("Face 1 over", "")
    page.keyboard.press("n")
    page.keyboard.press("ArrowRight")
    first = says(page).splitlines()[0]
    assert first.startswith("Face 1 Suspicious stretches") and page.locator("#says .marked").count() == 1
    # 6 sin(21.1 / 75.5 * 9)
    assert "Face 1 over time 3.5" in says(page).replace("3.49", "3.5") and "lag" in says(page)
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert "Scene cuts scene cut" in says(page)
    page.locator("#head").press("Home")
    for _ in range(37):
        page.keyboard.press("ArrowRight")
    # In a gap of a curve nothing is known.
    assert "Face 1 over time" not in says(page) and "Lips and voice" in says(page)


def test_the_mouse_scrubs_and_the_frame_follows(page: Page, films: dict[str, Path]) -> None:
    page.goto(films["rich"].as_uri())
    # The large picture stays until somebody moves.
    assert page.locator("#shown").get_attribute("href") == "#picture"
    page.evaluate("document.getElementById('timeline').scrollIntoView()")
    box = page.locator(".strip").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 20)
    page.mouse.down()
    assert place(page) == pytest.approx(37.75, abs=0.2)
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 90, steps=4)
    page.mouse.up()
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 90)
    assert place(page) == pytest.approx(56.6, abs=0.2)
    assert page.locator("#shown").get_attribute("href") in ("#strip-17", "#strip-18")
    assert page.evaluate("document.activeElement.id") == "head"
    line = page.locator("#line").bounding_box()
    assert line is not None and line["x"] == pytest.approx(box["x"] + 0.75 * box["width"], abs=3)


def test_times_in_the_text_lead_to_the_time_line(page: Page, films: dict[str, Path]) -> None:
    page.goto(films["rich"].as_uri())
    assert page.locator(".shots li").count() == 3
    page.locator(".shots .seek").nth(1).click()
    assert place(page) == pytest.approx(34.6, abs=0.1)
    assert "Faces at their worst moments Face 2" in says(page)


def test_short_films_go_by_tenths(page: Page, films: dict[str, Path], tmp_path: Path) -> None:
    report = film_samples()["crowd"]
    report = report.model_copy(update={"subject": report.subject.model_copy(update={"duration": 8.0})})
    page.goto(write_report(report, tmp_path).as_uri())
    page.locator("#head").press("ArrowRight")
    assert place(page) == pytest.approx(0.1)
    assert "a tenth of a second" in page.locator(".keys").inner_text()


def test_two_hours_are_quick_and_all_reached(page: Page, films: dict[str, Path]) -> None:
    page.goto(films["long"].as_uri())
    head = page.locator("#head")
    head.press("End")
    assert place(page) == 7200 and page.locator("#now").inner_text() == "2:00:00"
    head.press("p")
    assert 7000 < place(page) < 7200
    took = page.evaluate(
        """() => { const h = document.getElementById('head'); const t = performance.now();
        for (let i = 0; i < 50; i++) h.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft', bubbles: true}));
        return (performance.now() - t) / 50 }"""
    )
    assert took < 100
    assert "more not drawn" in page.locator("#board").inner_text() and "17 more" in page.locator("#board").inner_text()


def movie(path: Path, seconds: int = 3) -> Path:
    """A film that every browser plays."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(10 * seconds):
            picture = np.full((48, 64, 3), 8 * i % 255, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def until(page: Page, true: str) -> None:
    """Playwright's own waiting compiles strings in the page, which the page's policy forbids."""
    for _ in range(150):
        if page.evaluate(true):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"never: {true}")


def opened(page: Page, file: Path) -> str:
    page.locator("#open").set_input_files(file)
    until(page, "!document.getElementById('opened').textContent.startsWith('Comparing')")
    until(page, "document.getElementById('player').readyState > 0 || document.getElementById('player').hidden")
    return page.locator("#opened").inner_text()


def test_the_readers_copy_plays_beside_the_lanes(page: Page, tmp_path: Path) -> None:
    file = movie(tmp_path / "film.webm", 120)
    report = film_samples()["crowd"]
    about = {"duration": 120.0, "bytes": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    report = report.model_copy(update={"subject": report.subject.model_copy(update=about)})
    page.goto(write_report(report, tmp_path).as_uri())
    assert opened(page, file) == "film.webm is the examined file: same SHA-256."
    assert page.locator("#player").is_visible() and not page.locator("#screen").is_visible()
    page.locator("#head").press("ArrowRight")
    until(page, "Math.abs(document.getElementById('player').currentTime - 1) < 0.05")
    page.locator("#head").press(" ")
    until(page, "Number(document.getElementById('head').ariaValueNow) > 1.2")
    page.locator("#head").press(" ")
    assert page.evaluate("document.getElementById('player').paused")


def test_another_file_is_told_apart(page: Page, tmp_path: Path) -> None:
    file = movie(tmp_path / "film.webm")
    report = film_samples()["crowd"]
    other = report.model_copy(
        update={"subject": report.subject.model_copy(update={"bytes": file.stat().st_size, "sha256": "0" * 64})}
    )
    page.goto(write_report(report, tmp_path).as_uri())
    assert "is NOT the examined file: it has another size" in opened(page, file)
    page.goto(write_report(other, tmp_path).as_uri())
    assert "is NOT the examined file: its content differs" in opened(page, file)
    broken = tmp_path / "broken.webm"
    broken.write_bytes(b"no film" * 100)
    page.locator("#open").set_input_files(broken)
    until(page, "document.getElementById('opened').textContent.includes('cannot play')")
    assert page.locator("#screen").is_visible() and not page.locator("#player").is_visible()


def test_lanes_stand_without_script(browser: Browser, films: dict[str, Path]) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1200, "height": 900})
    tab = context.new_page()
    tab.goto(films["rich"].as_uri())
    assert tab.locator(".stretch").first.is_visible() and tab.locator(".strip").is_visible()
    assert tab.locator("#screen").is_visible() and tab.locator(".mini").count() == 2
    for part in ("#head", "#open", ".keys", "#now"):
        assert not tab.locator(part).is_visible(), part
    context.close()


def test_a_film_prints(page: Page, films: dict[str, Path]) -> None:
    page.goto(films["rich"].as_uri())
    page.emulate_media(media="print")
    assert not page.locator("#head").is_visible() and not page.locator("#open").is_visible()
    assert page.locator(".strip").is_visible() and page.locator(".shot").first.is_visible()
    assert page.pdf(format="A4").count(b"/Type /Page\n") <= 9
