"""Pages in Chromium: keys, themes, print, what assistive technology is told, and hostile texts.

`make test-page` installs what this needs and runs it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import mean
from threading import Thread
from typing import Any

import pytest
from tests.page.browser import Browser
from tests.page.pages import HOSTILE, SMALL, read, rows, written

from ftgen import cli

pytestmark = pytest.mark.browser

EXPECTED = Path(__file__).parent / "expected"
COLUMNS, ROWS = 32, 22
TOLERANCE = 4  # mean difference of greys; another language differs by less than 2
THEMES = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    started = Browser()
    yield started
    started.driver.quit()


def _saved(text: str) -> str:
    Path("page.html").write_text(text, encoding="utf-8")
    return Path("page.html").absolute().as_uri()


def _jobs(browser: Browser) -> list[str]:
    return browser.shown("#job-table tbody tr th")


# as it looks


@THEMES
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [1280, 420])
def test_the_page_looks_as_it_did(browser: Browser, dark: bool, language: str, width: int, update_golden: bool) -> None:
    browser.open(_saved(written("plan", *SMALL, "--lang", language)), width=width, dark=dark)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    found = browser.greys(COLUMNS, ROWS)
    file = EXPECTED / f"{language}-{width}-{'dark' if dark else 'light'}.pgm"
    if update_golden:
        _write_picture(file, found)
    assert _distance(found, _read_picture(file)) < TOLERANCE


def test_another_look_would_be_noticed(browser: Browser, small: str) -> None:
    """The pictures are small, and still tell a theme, a width, and a page whose style is refused."""
    looks = [_read_picture(EXPECTED / f"en-{name}.pgm") for name in ("1280-light", "1280-dark", "420-light")]
    unstyled = small.replace("style-src &#x27;sha256-", "style-src &#x27;sha256-A")
    browser.open(_saved(unstyled))
    assert "Content Security Policy" in " ".join(browser.complaints)
    looks.append(browser.greys(COLUMNS, ROWS))
    distances = [_distance(one, other) for i, one in enumerate(looks) for other in looks[:i]]
    assert min(distances) > 1.5 * TOLERANCE


def _distance(one: list[int], other: list[int]) -> float:
    return mean(abs(a - b) for a, b in zip(one, other, strict=True))


def _write_picture(file: Path, greys: list[int]) -> None:
    """Write a picture in the portable grey map's text form, which image viewers and git both read."""
    lines = [" ".join(map(str, greys[start : start + COLUMNS])) for start in range(0, len(greys), COLUMNS)]
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"P2\n{COLUMNS} {ROWS}\n255\n" + "\n".join(lines) + "\n", encoding="ascii")


def _read_picture(file: Path) -> list[int]:
    return [int(word) for word in file.read_text(encoding="ascii").split()[4:]]


def test_a_wide_table_scrolls_in_its_own_box(browser: Browser, small: str) -> None:
    browser.open(_saved(small), width=420)
    box = browser.run(
        "const box = document.querySelector('#jobs .scroll'); return [box.scrollWidth > box.clientWidth, box.tabIndex]"
    )
    assert box == [True, 0]


# for everybody


@THEMES
@pytest.mark.parametrize("language", ["en", "zh"])
def test_axe_finds_nothing(browser: Browser, dark: bool, language: str) -> None:
    words = ["-m", "name=ablation", "model=qwen3-8b", "hardware.memory=20Gi,40Gi", "trainer.lr=1e-4,2e-4"]
    assert cli.main(["-q", *words, "cluster.priority_class=low"]) == 0
    text = written(
        "diff", *words, "cluster.priority_class=high", "cluster.annotations={note: x}", "--lang", language, code=1
    )
    browser.open(_saved(text), dark=dark)
    browser.run("for (const each of document.querySelectorAll('details')) each.open = true")
    assert {"tight", "fits"} <= set(browser.texts("#job-table td")) or language == "zh"
    assert browser.violations() == []


@THEMES
def test_axe_finds_nothing_on_a_page_of_data(browser: Browser, dark: bool, capsys: pytest.CaptureFixture[str]) -> None:
    Path("rows.jsonl").write_text(json.dumps({"instruction": "a", "input": "", "output": "b"}) + "\n{}\n")
    assert cli.main(["data", "rows.jsonl", "--format", "html"]) in {0, 1}
    browser.open(_saved(capsys.readouterr().out), dark=dark)
    assert browser.violations() == []


def test_axe_finds_what_is_wrong(browser: Browser, small: str) -> None:
    browser.open(_saved(small.replace('<html lang="en">', "<html>")))
    assert [each.partition(":")[0] for each in browser.violations()] == ["html-has-lang"]


def test_columns_are_sorted_by_the_keyboard(browser: Browser, small: str) -> None:
    browser.open(_saved(small))
    before = _jobs(browser)
    browser.run("document.querySelector('#filter').focus()")
    browser.press("TAB", "TAB", "TAB", "TAB")  # the box of the table, job, model, lr
    assert browser.focus == "lr"
    orders = []
    for _ in range(3):
        browser.press("ENTER")
        state = browser.run("return document.activeElement.parentNode.getAttribute('aria-sort')")
        orders.append((state, browser.texts("#job-table tbody td:nth-child(3)")))
    up, down = ["0.0001", "0.0001", "0.0002", "0.0002"], ["0.0002", "0.0002", "0.0001", "0.0001"]
    assert orders[:2] == [("ascending", up), ("descending", down)]
    assert orders[2][0] == "none"
    assert _jobs(browser) == before


def test_numbers_are_sorted_as_numbers(browser: Browser) -> None:
    browser.open(_saved(written("plan", "-m", "trainer.cutoff_len=512,4096,1024", "trainer.args.seed=9,10")))
    browser.run(
        "[...document.querySelectorAll('#job-table th button')].find((each) => each.textContent === 'seed').click()"
    )
    assert browser.texts("#job-table tbody td:nth-child(3)") == ["9", "9", "9", "10", "10", "10"]
    browser.sort("GiB of a card")
    used = [float(text.partition(" /")[0]) for text in browser.texts("#job-table tbody td:nth-child(6)")]
    assert used == sorted(used)
    assert len(set(used)) == 3


def test_jobs_are_filtered_by_the_keyboard(browser: Browser, small: str) -> None:
    browser.open(_saved(small))
    browser.find("#filter").send_keys("8b lr=0.0002")
    assert [name.rpartition("-")[0] for name in _jobs(browser)] == ["ablation-qwen3-8b-lr2e-4"]
    assert browser.texts("#shown") == ["1 of 4 jobs shown"]
    browser.press("ESCAPE")
    assert len(_jobs(browser)) == 4
    browser.find("#filter").send_keys("lr=nothing")
    assert (_jobs(browser), browser.texts("#shown")) == ([], ["0 of 4 jobs shown"])


def test_a_cell_of_the_matrix_lists_its_jobs(browser: Browser, small: str) -> None:
    browser.open(_saved(small))
    browser.run("document.querySelector('#matrix-table tbody button').focus()")
    browser.press("ENTER")
    assert browser.focus == "filter"
    assert browser.run("return document.activeElement.value") == "model=qwen3-0.6b lr=0.0001"
    assert [name.rpartition("-")[0] for name in _jobs(browser)] == ["ablation-qwen3-0-6b-lr1e-4"]


def test_the_matrix_is_turned(browser: Browser, thousand: str) -> None:
    browser.open(_saved(thousand))
    written_ = browser.texts("#matrix-table th, #matrix-table td")
    browser.choose("#pivot-rows", "model")
    browser.choose("#pivot-columns", "trainer.lr")
    browser.choose("#pivot-measure", "jobs")
    assert browser.texts("#matrix-table thead th") == ["model", "0.0001", "0.0002", "0.0003", "0.0004", "0.0005"]
    assert browser.texts("#matrix-table tbody td") == ["100"] * 10
    browser.choose("#pivot-measure", "storage")
    assert browser.texts("#matrix-table tbody td") == ["500"] * 5 + ["3300"] * 5
    assert browser.texts("#matrix-table caption") == ["Jobs by model (rows) and lr (columns): storage GiB"]
    browser.choose("#pivot-measure", "memory")
    browser.choose("#pivot-rows", "trainer.cutoff_len")
    browser.choose("#pivot-columns", "trainer.args.lora_rank")
    assert browser.texts("#matrix-table th, #matrix-table td") == written_
    tight = read(text := written("plan", "-m", "model=qwen3-8b", "hardware.memory=20Gi,40Gi", "trainer.lr=1e-4,2e-4"))
    browser.open(_saved(text))
    assert "21.48 tight" in browser.texts("#matrix-table td")
    assert browser.texts("#matrix-table tbody td") == [cell for row in rows(tight, "matrix-table") for cell in row[1:]]


# without a script, and on paper


def test_without_a_script_the_tables_are_there(browser: Browser, small: str) -> None:
    browser.cdp("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(_saved(small))
        seen = browser.cdp("Page.captureSnapshot")["data"]
        assert "data-ready" not in seen
        visible = [each for each in browser.driver.find_elements("css selector", ".controls") if each.is_displayed()]
        assert visible == []
        shown = browser.driver.find_elements("css selector", "#job-table tbody tr")
        assert [each.is_displayed() for each in shown] == [True] * 4
    finally:
        browser.cdp("Emulation.setScriptExecutionDisabled", value=False)


def test_on_paper_everything_is_unfolded_and_nothing_is_a_control(browser: Browser, thousand: str) -> None:
    browser.open(_saved(thousand), media="print")
    assert browser.shown("nav, .controls, .hint.scripted") == []
    assert len(_jobs(browser)) == 1000
    box = "const box = document.querySelector('#jobs .scroll'); return box.scrollHeight - box.clientHeight"
    assert browser.run(box) == 0
    browser.open(_saved(written("plan", "hardware=full-gpu", "hardware.nodes=2")), media="print")
    height = "return document.querySelector('#FT276 + pre').getBoundingClientRect().height"
    assert browser.run(height) > 20


# closed


@contextmanager
def _served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_the_page_is_all_that_is_loaded(browser: Browser, small: str, tmp_path: Path) -> None:
    _saved(small)
    with _served(tmp_path) as (address, asked):
        browser.open(f"{address}/page.html")
        assert len(_jobs(browser)) == 4
        assert browser.complaints == []
        loaded = browser.run("return performance.getEntriesByType('resource').map((each) => each.name)")
    assert loaded == []
    assert set(asked) <= {"/page.html", "/favicon.ico"}  # a browser asks a server for its icon, whatever the page says


def test_hostile_values_do_nothing(browser: Browser) -> None:
    note = json.dumps(HOSTILE)
    other = json.dumps('constructor="><svg onload=alert(2)>')
    browser.open(_saved(written("plan", "-m", "name=run", f"cluster.annotations={{note: {note}}},{{note: {other}}}")))
    browser.choose("#pivot-measure", "jobs")
    for number in range(2):
        browser.run("document.querySelectorAll('#matrix-table tbody button')[arguments[0]].click()", number)
    browser.find("#filter").send_keys('<img src=x onerror=alert(3)> constructor="x')
    browser.run("for (const each of document.querySelectorAll('th button')) each.click()")
    assert browser.run("return [ran, document.images.length, document.scripts.length]") == [[], 0, 1]
    assert browser.complaints == []


def test_hostile_manifests_and_diagnostics_do_nothing(browser: Browser, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = {"apiVersion": "v1", "kind": HOSTILE, "metadata": {"name": HOSTILE, "labels": {HOSTILE: HOSTILE}}}
    Path("old.json").write_text(json.dumps(manifest))
    Path("new.json").write_text(json.dumps({**manifest, "data": {HOSTILE: f"{HOSTILE}\n{HOSTILE}"}}))
    browser.open(_saved(written("diff", "old.json", "new.json", code=1)))
    assert browser.run("return [ran, document.images.length, document.scripts.length]") == [[], 0, 1]
    assert "</script></style><img src=x onerror=alert(1)>\\u202egnp." in browser.run("return document.body.innerText")
    assert browser.complaints == []
    name = "<img src=x onerror=alert(4)>.jsonl"
    Path(name).write_text('{"<svg onload=alert(5)>": 1}\n')
    capsys.readouterr()
    assert cli.main(["data", name, "--format", "html"]) == 1
    browser.open(_saved(capsys.readouterr().out))
    assert name in browser.texts("#findings td code")
    assert browser.run("return [ran, document.images.length, document.scripts.length]") == [[], 0, 0]
    assert browser.complaints == []


def test_the_policy_stops_what_a_mistake_would_let_through(browser: Browser, small: str) -> None:
    broken = small.replace("<main", "<img src=x onerror=alert(1)><script>alert(2)</script><main", 1)
    browser.open(_saved(broken))
    assert browser.run("return ran") == []
    refused = " ".join(browser.complaints)
    assert "script-src" in refused
    assert "img-src" in refused or "default-src" in refused
