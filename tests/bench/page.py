"""How long Chromium takes to open the page of a thousand jobs until it can be used, beside an empty page.

`python -m tests.bench.page`, or `make test-page`, which installs Chromium and its driver.
"""

from __future__ import annotations

import tempfile
from contextlib import chdir
from pathlib import Path
from statistics import median

from tests.page.browser import Browser
from tests.page.pages import THOUSAND, written

from ftgen.review.page.document import document
from ftgen.review.page.markup import tag

_TIMES = 7
# The script stands at the end of the body and runs at once: afterwards the page can be used.
_USABLE = """
const [entry] = performance.getEntriesByType('navigation');
return entry.domContentLoadedEventEnd - entry.startTime;
"""


def main() -> None:
    """Print the medians, and how often one is in the other."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        pages = {
            "an empty page": document("empty", tag("main", tag("h1", "empty"))),
            "1000 jobs": written("plan", "--format", "html", *THOUSAND),
        }
        browser = Browser()
        try:
            found = {name: _opened(browser, text) for name, text in pages.items()}
        finally:
            browser.driver.quit()
    empty, thousand = found.values()
    for (name, text), taken in zip(pages.items(), found.values(), strict=True):
        print(f"{name}: {len(text.encode()) / 1000:.0f} kB, usable after {taken:.0f} ms (median of {_TIMES})")
    print(f"ratio: {thousand / empty:.1f}")


def _opened(browser: Browser, text: str) -> float:
    file = Path("page.html")
    file.write_text(text, encoding="utf-8")
    taken = []
    for _ in range(_TIMES):
        browser.open(file.absolute().as_uri())
        taken.append(float(browser.run(_USABLE)))
    return median(taken)


if __name__ == "__main__":
    main()
