"""The browser of the page tests: Debian's Chromium by Playwright, and the page in verbs.

CHROMIUM names another binary. Nothing of Playwright's own browsers is used or downloaded.
"""

import os
import re
from contextlib import contextmanager

from playwright.sync_api import expect, sync_playwright

expect.set_options(timeout=15_000)

FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]


@contextmanager
def chromium():
    with sync_playwright() as playwright:
        flags = FLAGS + (["--no-sandbox"] if os.geteuid() == 0 else [])
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=flags)
        yield browser
        browser.close()


class Page:
    """lastword's page, open in a tab of its own. `complaints` is all that the console, scripts and dialogs said."""

    def __init__(self, browser, url, **options):
        self.tab = browser.new_page(**options)
        self.complaints = []
        self.tab.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("dialog", lambda dialog: (self.complaints.append("dialog: " + dialog.message), dialog.dismiss()))
        self.tab.goto(url)
        self.answer = self.tab.locator("#answer")
        self.status = self.tab.locator("#status")
        self.facts = self.tab.locator("#facts")
        self.generate_button = self.tab.locator("#generate")
        self.stop_button = self.tab.locator("#stop")

    def generate(self, prompt="hello"):
        self.tab.fill("#prompt", prompt)
        self.generate_button.click()
        return self

    def stop(self):
        self.stop_button.click()
        return self

    def expect_running(self, status=re.compile("^(Connecting|Waiting for the first token|Generating)…$")):
        expect(self.generate_button).to_be_disabled()
        expect(self.generate_button).to_have_text("Generating…")
        expect(self.stop_button).to_be_enabled()
        expect(self.status).to_have_text(status)
        return self

    def expect_text(self, text):
        """Exactly this text, spaces and line ends included."""
        expect(self.answer).to_have_js_property("textContent", text)
        return self

    def expect_end(self, state, status, text=None):
        """How it ended, and that the next one can begin."""
        expect(self.status).to_have_text(status)
        expect(self.status).to_have_attribute("data-state", state)
        expect(self.generate_button).to_be_enabled()
        expect(self.generate_button).to_have_text("Generate")
        expect(self.stop_button).to_be_disabled()
        expect(self.answer).to_have_attribute("aria-busy", "false")
        return self if text is None else self.expect_text(text)

    def expect_complete(self, text):
        return self.expect_end("whole", "[Generation Complete]", text)
