#!/usr/bin/env python3
"""Prints how long a click on Generate waits for the first token on the screen: the embedded model, warm, in Chromium.

	build/venv/bin/python3 tests/e2e/click_to_token.py

A program, not a test: it judges nothing. From the click's own event to the animation frame after the text changed, as
the page's clock sees both; the median of five, after one answer that warms everything up.
"""

import statistics

from browser import Page, chromium, expect
from gateway import Gateway

ROUNDS = 5

# Each click begins a promise, and the frame that shows its first text keeps it.
STOPWATCH = """() => {
    const generate = document.getElementById("generate"), answer = document.getElementById("answer");
    let shown = null;
    generate.addEventListener("click", (event) => {
        window.took = new Promise((keep) => { shown = (now) => keep(now - event.timeStamp); });
    }, { capture: true });
    new MutationObserver(() => {
        if (!shown || !answer.textContent) return;
        requestAnimationFrame(shown);
        shown = null;
    }).observe(answer, { childList: true, characterData: true, subtree: true });
}"""


def measure(page, prompt):
    page.generate(prompt)
    took = page.tab.evaluate("() => window.took")
    page.tab.keyboard.press("Escape")
    expect(page.generate_button).to_be_enabled(timeout=60_000)
    return took


def main():
    with Gateway(None, ".", "--listen", "127.0.0.1:0", "--admin", "none") as gateway, chromium() as browser:
        page = Page(browser, "http://%s:%d/" % gateway.address)
        page.tab.evaluate(STOPWATCH)
        measure(page, "Say hello.")
        times = [measure(page, f"Tell me {n} things about the sea.") for n in range(2, 2 + ROUNDS)]
    print("click to first token: %.0f ms (median of %d; %s)" % (
        statistics.median(times), ROUNDS, ", ".join(f"{ms:.0f}" for ms in sorted(times))))


if __name__ == "__main__":
    main()
