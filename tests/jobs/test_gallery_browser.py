"""The page in a real browser, opened as a file: played, filtered, sorted, by mouse and by keyboard."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from made_gallery import made_record, make_output, write_report
from mfv2a.jobs.cards import make_card
from mfv2a.jobs.gallery import PAGE_NAME, make_gallery, render

pytestmark = pytest.mark.browser
HOSTILE = '50% #1? it\'s "é" &<b>.webm'
EVIL = "</script><script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
)


class Page:
    """A page in the browser, and what tests ask of it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path) -> None:
        """Opens a file; what the console said before is forgotten. Before its first picture a browser drops keys."""
        self.driver.get(path.as_uri())
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(path.as_uri())
        self.wait("return performance.getEntriesByName('first-contentful-paint').length > 0")

    def js(self, script: str, *words: Any) -> Any:
        """Runs a script in the page."""
        return self.driver.execute_script(script, *words)

    def wait(self, script: str) -> Any:
        """Waits until a script gives something true, and gives it back."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, 30, 0.05).until(lambda _: self.js(script))

    def press(self, *keys: str) -> None:
        """Presses keys where the focus is."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def click(self, selector: str) -> None:
        """Clicks the first element that fits, as a mouse would."""
        self.driver.find_element("css selector", selector).click()

    def names(self) -> list[str]:
        """The clips that are shown, in order."""
        names: list[str] = self.js(
            "return [...document.querySelectorAll('.card:not([hidden]) h2 bdi')].map(e => e.textContent)"
        )
        return names

    def text(self, selector: str) -> str:
        """The text of an element."""
        return str(self.js("return document.querySelector(arguments[0]).textContent", selector))

    def current(self) -> str:
        """The clip that is chosen."""
        return self.text(".card.current h2 bdi")

    def errors(self) -> list[str]:
        """What the console complains of."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def addresses(self) -> list[str]:
        """All that the page asked for."""
        events = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_window_size(1300, 900)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clips, one with a hostile name, and one that failed with a hostile reason."""
    root = tmp_path_factory.mktemp("a #1 folder %")
    out, source = root / "out", root / "in"
    records = []
    for number, name in enumerate(("c10.webm", "c2.webm", HOSTILE, "lost.webm", "take.webm")):
        make_output(out, name, seconds=3)
        if name != "lost.webm":
            make_output(source, name, seconds=3)
        details = {"duration_s": 3.0, "confidence": 0.9 - number / 10, "uncertain": name == "c2.webm"}
        settings: dict[str, Any] = {"prompt": f"prompt number{number} {EVIL}"}
        if name == "take.webm":
            settings["variant"] = 2
            rows = [{"number": 1, "synchrony": 0.25}, {"number": 2, "refused": ["speech"]}]
            details |= {"candidates": rows, "candidate": 1, "still_heard": ["music"], "cuts_s": [1.5]}
        records.append(made_record(source / name, name, details=details, settings=settings))
    records.append(
        made_record(source / "bad.webm", None, status="failed", error=f"broken {EVIL}", hint="copy it again")
    )
    write_report(out, *records)
    make_gallery(out)
    return out


@pytest.fixture
def page(driver: Any, folder: Path) -> Iterator[Page]:
    page = Page(driver)
    page.open(folder / PAGE_NAME)
    # Cards are filled once the browser has told which are near.
    page.wait("return document.querySelectorAll('.card video').length >= 3")
    yield page
    page.js("document.querySelectorAll('video').forEach(video => video.pause())")
    assert page.errors() == []
    assert [address for address in page.addresses() if not address.startswith(("file:", "data:"))] == []
    assert page.js("return document.title") == "out - mfv2a gallery"


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """A folder on a server of this machine."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def video(name: str) -> str:
    """A script that finds the player of a clip."""
    card = f"e => e.querySelector('bdi').textContent === {json.dumps(name)}"
    return f"[...document.querySelectorAll('.card')].find({card}).querySelector('video')"


def test_failures_come_first_with_reason_and_hint(page: Page) -> None:
    assert page.names()[:2] == ["bad.webm", "c2.webm"]
    assert page.text(".card .reason") == f"broken {EVIL}"
    assert page.text(".card .hint") == "copy it again"
    assert page.text("#count") == "6 clips"
    assert "5 dubbed, 1 failed" in page.text(".summary")


@pytest.mark.parametrize("name", ["c10.webm", HOSTILE])
def test_a_clip_plays_and_pauses_whatever_its_name(page: Page, name: str) -> None:
    page.js(f"{video(name)}.closest('.card').focus()")
    page.press(" ")
    page.wait(f"return {video(name)}.currentTime > 0.1 && !{video(name)}.paused")
    assert page.js(f"return {video(name)}.closest('.card').querySelector('.head').style.left !== ''")
    page.press(" ")
    page.wait(f"return {video(name)}.paused")


def test_one_clip_plays_at_a_time(page: Page) -> None:
    page.js(f"{video('c10.webm')}.play()")
    page.wait(f"return !{video('c10.webm')}.paused && {video('c10.webm')}.currentTime > 0")
    page.js(f"{video('c2.webm')}.play()")
    page.wait(f"return !{video('c2.webm')}.paused && {video('c10.webm')}.paused")
    assert page.current() == "c2.webm"


def test_filtering_while_a_clip_plays_does_not_stop_it(page: Page) -> None:
    page.js(f"{video('c10.webm')}.play()")
    page.wait(f"return {video('c10.webm')}.currentTime > 0")
    page.click("#find")
    page.press("c10")
    page.wait("return document.getElementById('count').textContent === '1 of 6 clips'")
    assert page.js(f"return !{video('c10.webm')}.paused")


def test_a_clip_that_is_filtered_away_is_heard_no_longer(page: Page) -> None:
    page.js(f"{video('c10.webm')}.play()")
    page.wait(f"return {video('c10.webm')}.currentTime > 0")
    page.click("#find")
    page.press("take")
    page.wait("return document.getElementById('count').textContent === '1 of 6 clips'")
    page.wait(f"return {video('c10.webm')}.paused")


def test_what_is_muted_or_slow_stays_so_when_the_original_is_shown(page: Page) -> None:
    page.js(f"{video('c10.webm')}.closest('.card').focus()")
    page.js(f"Object.assign({video('c10.webm')}, {{muted: true, playbackRate: 0.5}})")
    page.press("x")
    page.wait(f"return {video('c10.webm')}.src.endsWith('/in/c10.webm')")
    assert page.js(f"return [{video('c10.webm')}.muted, {video('c10.webm')}.playbackRate]") == [True, 0.5]


def test_original_and_dubbed_change_places_at_the_same_moment(page: Page) -> None:
    page.js(f"{video('c10.webm')}.closest('.card').focus()")
    page.wait(f"return {video('c10.webm')}.readyState > 0")
    page.js(f"{video('c10.webm')}.currentTime = 1.5")
    page.press("x")
    page.wait(f"return {video('c10.webm')}.src.endsWith('/in/c10.webm') && {video('c10.webm')}.currentTime === 1.5")
    assert page.text(".card.current .which") == "original"
    assert page.js("return document.querySelector('.card.current .swap').getAttribute('aria-pressed')") == "true"
    page.wait("return document.getElementById('said').textContent === 'Original'")
    page.press(" ")
    page.wait(f"return {video('c10.webm')}.currentTime > 1.6")
    page.press("x")
    page.wait(f"return {video('c10.webm')}.src.endsWith('/out/c10.webm') && !{video('c10.webm')}.paused")
    page.wait(f"return {video('c10.webm')}.currentTime > 1.6")
    assert page.text(".card.current .which") == "dubbed"


def test_a_click_on_the_timeline_goes_there_and_nothing_jumps(page: Page) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    page.wait(f"return {video('c10.webm')}.readyState > 0")
    page.js(f"{video('c10.webm')}.closest('.card').scrollIntoView()")
    timeline = page.js(f"return {video('c10.webm')}.closest('.card').querySelector('.timeline')")
    before = page.js("return window.scrollY")
    ActionChains(page.driver).move_to_element(timeline).click().perform()
    page.wait(f"return Math.abs({video('c10.webm')}.currentTime - 1.5) < 0.1")
    assert page.js("return window.scrollY") == before
    assert page.current() == "c10.webm"


def test_an_original_that_is_gone_cannot_be_asked_for(page: Page) -> None:
    page.press("/")
    page.press("lost")
    page.wait("return document.querySelector('.card:not([hidden]) .swap')?.disabled")
    assert "not there any more" in page.text(".card:not([hidden]) .buttons")


def test_a_dubbed_file_that_is_gone_is_told(driver: Any, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(folder / PAGE_NAME, copy)
    page = Page(driver)
    page.open(copy / PAGE_NAME)
    page.wait("return document.querySelector('.mute-notice')?.textContent.includes('cannot be played here')")


def test_an_original_outside_what_is_served_is_said_to_be_there(driver: Any, folder: Path) -> None:
    page = Page(driver)
    with serve(folder) as address:
        driver.get_log("browser")
        driver.get(f"{address}/{PAGE_NAME}")
        page.wait("return document.querySelectorAll('.card video').length >= 3")
        page.js(f"{video('c10.webm')}.closest('.card').focus()")
        page.press("x")
        page.wait("return document.querySelector('.card.current .mute-notice') !== null")
        assert "outside the folder that is served" in page.text(".card.current .mute-notice")
        assert not [line for line in page.errors() if "local resource" in line]


def test_the_search_and_the_states_filter_and_say_how_many(page: Page) -> None:
    page.press("/")
    page.press("number0")
    page.wait("return document.getElementById('count').textContent === '1 of 6 clips'")
    assert page.names() == ["c10.webm"]
    page.press(" nothing like it")
    page.wait("return !document.getElementById('none').hidden")
    page.click("#clear")
    assert len(page.names()) == 6
    page.click("#states [data-state=failed]")
    assert page.names() == ["bad.webm"]
    page.click("#states [data-state=uncertain]")
    assert page.names() == ["bad.webm", "c2.webm"]
    assert page.text("#count") == "2 of 6 clips"
    assert page.js("return document.getElementById('count').getAttribute('aria-live')") == "polite"


def test_sorting_by_name_counts_numbers_and_by_confidence_begins_with_the_least(page: Page) -> None:
    choose = "const s = document.getElementById('sort'); s.value = arguments[0]; s.dispatchEvent(new Event('change'))"
    page.js(choose, "name")
    names = page.names()
    assert names.index("c2.webm") < names.index("c10.webm")
    page.js(choose, "confidence")
    assert page.names()[0] == "take.webm"
    page.js(choose, "failures")
    assert page.names()[0] == "bad.webm"


def test_all_can_be_done_by_keyboard(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    page.press("jjj")
    assert page.current() == page.names()[2]
    page.press("k")
    assert page.current() == page.names()[1]
    assert page.js("return document.activeElement.classList.contains('current')")
    outline = page.js("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus can be seen"
    page.wait("return document.querySelector('.card.current video').readyState > 0")
    page.press(Keys.ARROW_RIGHT)
    page.wait("return document.querySelector('.card.current video').currentTime === 1")
    page.press(Keys.ARROW_LEFT)
    page.wait("return document.querySelector('.card.current video').currentTime === 0")
    page.press("/")
    assert page.js("return document.activeElement.id") == "find"
    page.press("jx?")
    assert page.js("return document.getElementById('find').value") == "jx?", "letters belong to the field"
    page.press(Keys.ESCAPE)
    assert page.js("return document.getElementById('find').value") == "jx?", "what was searched for stays"
    page.wait("return !document.getElementById('none').hidden")
    page.press("?")
    assert page.js("return document.getElementById('help').open")
    page.click("#help form button")
    assert not page.js("return document.getElementById('help').open")
    page.click("#clear")
    page.click("#keys")
    page.click("#shortcuts")
    page.press(Keys.ESCAPE)
    before = page.js("return document.querySelector('.card.current')?.id ?? ''")
    page.js("document.activeElement.blur()")
    page.press("j")
    assert page.js("return document.querySelector('.card.current')?.id ?? ''") == before, "the keys can be switched off"


def test_the_tabulator_reaches_every_control_of_a_card(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    page.js(f"{video('c10.webm')}.closest('.card').focus()")
    reached = []
    for _ in range(16):  # a player has stops of its own, more or fewer in other versions
        page.press(Keys.TAB)
        reached.append(page.js("const e = document.activeElement; return e.className || e.tagName"))
    stops = [
        name for name in dict.fromkeys(reached) if name in ("VIDEO", "swap", "A", "PRE", "copy", "next", "SUMMARY")
    ]
    assert stops == ["VIDEO", "swap", "A", "PRE", "copy", "next", "SUMMARY"]


def test_the_command_is_copied_with_another_seed(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    page.js(f"{video(HOSTILE)}.closest('.card').focus()")
    page.click(".card.current .next")
    shown = page.text(".card.current pre")
    assert shown.endswith(" --seed 2")
    page.click(".card.current .copy")
    page.wait("return document.getElementById('said').textContent === 'Command copied'")
    page.driver.find_element("id", "find").send_keys(Keys.CONTROL, "v")
    assert page.js("return document.getElementById('find').value") == shown


def test_what_newer_versions_report_is_shown_where_it_is_there(page: Page) -> None:
    page.press("/")
    page.press("take.webm")
    card = ".card:not([hidden])"
    page.wait(
        f"return document.querySelector('{card} summary') !== null && document.querySelectorAll('{card}').length === 1"
    )
    assert "take 2" in page.text(f"{card} h2")
    assert "1 of 2" in page.text(f"{card} .facts")
    assert "music still heard" in page.text(f"{card} .words")
    assert "1 cut" in page.text(f"{card} .legend")
    page.click(f"{card} summary")
    page.wait(f"return document.querySelector('{card} td') !== null")
    cells = page.js(f"return [...document.querySelectorAll('{card} td')].map(e => e.textContent)")
    assert cells == ["1", "0.25", "", "2", "", "speech"]


def test_everything_has_a_name_for_those_who_do_not_see(page: Page) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    def names() -> list[tuple[str, str]]:
        tree = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node["ignored"]]

    def is_told(_: Any) -> bool:  # the tree follows the page a little later
        return any(name.startswith("Spectrogram up to ") and "strikes seen" in name for _, name in names())

    WebDriverWait(page.driver, 30, 0.1).until(is_told)
    seen = names()
    roles = {role for role, _ in seen}
    assert {"banner", "search", "main", "heading", "list", "listitem", "status"} <= roles
    named = {
        "button",
        "link",
        "searchbox",
        "combobox",
        "checkbox",
        "image",
        "Video",
        "heading",
        "region",
        "DisclosureTriangle",
    }
    nameless = [role for role, name in seen if role in named and not name.strip()]
    assert nameless == []
    pictures = [name for role, name in seen if role == "image"]
    assert any(name.startswith("Spectrogram up to ") and "strikes seen" in name for name in pictures)


def contrast(page: Page, selector: str) -> float:
    """The contrast of a text with the ground it stands on, by the formula of WCAG 2.2."""
    script = """
      const parse = (text) => text.match(/[\\d.]+/g).map(Number);
      const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
        .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const element = document.querySelector(arguments[0]);
      let ground = element;
      while (ground && (parse(getComputedStyle(ground).backgroundColor)[3] ?? 1) === 0) ground = ground.parentElement;
      const [a, b] = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor].map(parse).map(light);
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    """
    return float(page.js(script, selector))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_in_both_schemes(page: Page, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    for selector in (
        *(
            ".made",
            ".summary .bad",
            "#count",
            ".badge.failed",
            ".badge.uncertain",
            ".badge.ok",
            ".reason",
            "dt",
            ".tags li",
        ),
        *(".buttons a", "summary", ".axis span", ".legend", ".which", "#states button"),
    ):
        assert contrast(page, selector) >= 4.5, selector
    page.click("#states [data-state=ok]")
    assert contrast(page, "#states [aria-pressed=true]") >= 4.5
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("width", [320, 700])
def test_narrow_windows_need_no_sideways_scrolling(page: Page, width: int) -> None:
    metrics = {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    page.wait(f"return window.innerWidth === {width}")
    assert page.js("return document.documentElement.scrollWidth") <= width
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.fixture(scope="module")
def many(folder: Path) -> Path:
    """A page of 1,000 clips, all with pictures."""
    make = make_gallery(folder)
    assert make.sketched == 0
    text = (folder / PAGE_NAME).read_text(encoding="utf-8")
    whole = next(
        card for card in json.loads(text.split('id="data">')[1].split("</script>")[0])["clips"] if card["strip"]
    )
    cards = []
    for number in range(1000):
        status = "failed" if number % 100 == 7 else "ok"
        name = None if status == "failed" else "c10.webm"
        record = made_record(folder / f"clip {number}.webm", name, status=status, error="broken")
        cards.append({**whole, **make_card(record, folder, None), "name": f"clip {number}.webm"})
        cards[-1] |= {each: whole[each] for each in ("strip", "spectrogram", "span", "topHz", "onsets", "tags")}
    path = folder / "many.html"
    path.write_bytes(render(cards, folder))
    return path


NODES = "return document.querySelectorAll('*').length"


def test_of_a_thousand_clips_only_those_in_sight_are_drawn(driver: Any, many: Path) -> None:
    page = Page(driver)
    page.open(many)
    page.wait("return document.querySelectorAll('.card pre').length > 0")
    assert page.text("#count") == "1,000 clips"
    assert len(page.names()) == 1000
    most_cards, most_nodes = 20, 1000 * 5 + 20 * 120
    seen = set()
    for place in range(0, 21):
        page.js("window.scrollTo(0, arguments[0] * document.documentElement.scrollHeight)", place / 20)
        shown = "[...document.querySelectorAll('.card')].find(e => e.getBoundingClientRect().bottom > 200)"
        page.wait(f"return {shown}.querySelector('pre') !== null")
        seen.add(page.js(f"return {shown}.id"))
        page.wait(f"return document.querySelectorAll('.card pre').length <= {most_cards}")
        assert page.js(NODES) <= most_nodes
    assert len(seen) == 21
    assert page.errors() == []


def test_a_thousand_clips_are_searched_sorted_and_walked_through(driver: Any, many: Path) -> None:
    page = Page(driver)
    page.open(many)
    page.press("/")
    page.press("99.webm")
    page.wait("return document.getElementById('count').textContent === '10 of 1,000 clips'")
    assert set(page.names()) == {f"clip {number}.webm" for number in range(99, 1000, 100)}
    page.press("\ue003" * 7)
    page.wait("return document.getElementById('count').textContent === '1,000 clips'")
    page.js("const s = document.getElementById('sort'); s.value = 'name'; s.dispatchEvent(new Event('change'))")
    assert page.names() == [f"clip {number}.webm" for number in range(1000)]
    page.press("\ue00c")
    page.press("j" * 60)
    assert page.current() == "clip 59.webm"
    page.wait("return document.querySelector('.card.current pre') !== null")
    page.wait("return document.querySelectorAll('.card pre').length <= 20")
    box = page.js("const b = document.querySelector('.card.current').getBoundingClientRect(); return [b.top, b.bottom]")
    assert box[1] > 0
    assert box[0] < 900
    assert page.errors() == []


def test_a_page_of_nothing_is_no_fault(driver: Any, tmp_path: Path) -> None:
    path = tmp_path / "empty.html"
    path.write_bytes(render([], tmp_path))
    page = Page(driver)
    page.open(path)
    assert page.text("#count") == "0 clips"
    page.press("jx c")
    assert page.errors() == []


@pytest.mark.skipif(os.name == "nt", reason="names of bytes")
def test_a_name_of_bytes_plays(driver: Any, tmp_path: Path) -> None:
    name = os.fsdecode(b"raw \xe9\xff.webm")
    try:
        make_output(tmp_path, "plain.webm").rename(tmp_path / name)
    except OSError:
        pytest.skip("this file system takes no such names")
    write_report(tmp_path, made_record(tmp_path / name, name))
    make_gallery(tmp_path)
    page = Page(driver)
    page.open(tmp_path / PAGE_NAME)
    page.wait("return document.querySelector('video')?.readyState > 0")
    assert page.errors() == []


def test_the_next_clip_follows_where_that_is_asked_for(page: Page) -> None:
    play: Callable[[str], str] = lambda name: f"{video(name)}.currentTime = 2.8; {video(name)}.play()"  # noqa: E731
    page.click("#onward")
    first, second = page.names()[1:3]
    page.wait(f"return {video(first)}.readyState > 0")
    page.js(play(first))
    page.wait(f"return {video(second)} && !{video(second)}.paused && {video(second)}.currentTime > 0")
    assert page.current() == second


def test_a_clip_without_prompt_says_whether_its_sound_follows_the_picture(driver: Any, tmp_path: Path) -> None:
    records = []
    for quiet in (False, True):
        name = f"{'quiet' if quiet else 'struck'}.webm"
        make_output(tmp_path / "out", name, seconds=1)
        details = {"duration_s": 1.0, "confidence": 0.2, "uncertain": quiet, "quiet": quiet}
        records.append(made_record(tmp_path / name, name, details=details, settings={"prompt": ""}))
    write_report(tmp_path / "out", *records)
    make_gallery(tmp_path / "out")
    page = Page(driver)
    page.open(tmp_path / "out" / PAGE_NAME)
    page.wait("return document.querySelectorAll('.card .words').length === 2")
    told = page.js("return [...document.querySelectorAll('.card')].map(card => card.textContent)")
    for quiet in (False, True):
        (card,) = (text for text in told if ("quiet.webm" in text) == quiet)
        assert ("none, and nothing surely recognised: quiet ambience; a prompt helps" in card) == quiet
        assert ("none: the sound follows the picture" in card) != quiet
