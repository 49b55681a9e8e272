"""Chromium for the tests of pages: one process, whose theme, width and scripts are as a test asks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

_FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en-US")
HEIGHT = 900
AXE = Path(__file__).parents[2] / ".browser" / "package" / "axe.min.js"
"""The accessibility checker, as `make test-page` unpacks it."""
# Notes whatever would tell that a text of the page ran as a script.
_WATCH = "window.ran = []; for (const name of ['alert', 'confirm', 'prompt']) window[name] = (text) => ran.push(text);"
_GREY = """
const [picture, columns, rows, done] = arguments;
const image = new Image();
image.onload = () => {
  const canvas = Object.assign(document.createElement('canvas'), {width: columns, height: rows});
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(image, 0, 0, columns, rows);
  const points = context.getImageData(0, 0, columns, rows).data;
  done(Array.from({length: columns * rows}, (_, i) => Math.round((points[4*i] + points[4*i+1] + points[4*i+2]) / 3)));
};
image.src = 'data:image/png;base64,' + picture;
"""


class Browser:
    """A window of Chromium."""

    def __init__(self) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        for flag in _FLAGS:
            options.add_argument(flag)
        options.binary_location = shutil.which("chromium") or ""
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(shutil.which("chromedriver") or "")
        self.driver = webdriver.Chrome(options=options, service=service)
        self.cdp("Page.addScriptToEvaluateOnNewDocument", source=_WATCH)

    def cdp(self, command: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, arguments)

    def open(self, address: str, *, width: int = 1280, dark: bool = False, media: str = "") -> None:
        """Open a page; wait until its script has run."""
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.cdp("Emulation.setEmulatedMedia", media=media, features=[theme])
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=HEIGHT, deviceScaleFactor=1, mobile=False)
        self.driver.get_log("browser")
        self.driver.get(address)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent.trim())"
        return list(self.run(script, selector))

    def shown(self, selector: str) -> list[str]:
        """Return the texts of elements that take room on the page."""
        script = (
            "return [...document.querySelectorAll(arguments[0])].filter((each) => each.getClientRects().length)"
            ".map((each) => each.textContent.trim())"
        )
        return list(self.run(script, selector))

    def choose(self, selector: str, value: str) -> None:
        """Choose an option of a select box."""
        script = "const [box, value] = arguments; box.value = value; box.dispatchEvent(new Event('change'))"
        self.run(script, self.find(selector), value)

    def sort(self, heading: str) -> None:
        """Click on a column's heading."""
        script = "[...document.querySelectorAll('#job-table th button')].find((at) => at.textContent === arguments[0])"
        self.run(f"{script}.click()", heading)

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, where the focus is."""
        from selenium.webdriver.common.keys import Keys

        for key in keys:
            self.driver.switch_to.active_element.send_keys(getattr(Keys, key, key))

    @property
    def focus(self) -> str:
        """Return the text or the id of the element that has the focus."""
        return str(self.run("const at = document.activeElement; return at.textContent.trim() || at.id"))

    @property
    def complaints(self) -> list[str]:
        """Return what the browser wrote to its console, where refused requests and scripts stand."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def violations(self) -> list[str]:
        """Ask axe-core what keeps people from using the page."""
        self.run(AXE.read_text(encoding="utf-8"))
        script = "const done = arguments[0]; axe.run().then((found) => done(found.violations))"
        found = self.driver.execute_async_script(script)
        return [f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:200]}" for each in found]

    def greys(self, columns: int, rows: int) -> list[int]:
        """Return the window as a small picture: a grey from 0 to 255 for each of its cells."""
        picture = self.cdp("Page.captureScreenshot", format="png")["data"]
        self.driver.get("about:blank")
        return list(self.driver.execute_async_script(_GREY, picture, columns, rows))
