"""The examples of the README, as they stand there, before the configuration that stands there."""

import re

import programs
import pytest
from speech import TEXT
from browser import chromium, expect
from gateway import ROOT, Gateway
from model_server import ModelServer

EXAMPLES = {  # by a word that only this example has: its dialect
    "from openai import": "openai-chat",
    "from anthropic import": "anthropic",
    "from ollama import": "ollama-chat",
    "@ai-sdk/openai-compatible": "openai-chat",
}
MESSAGES = {"python": 'messages = [{"role": "user", "content": "?"}]\n', "js": 'const messages = [{ role: "user", content: "?" }];\n'}


def block(word, readme="README.md"):
    """The one fenced block that has this word: its language and its text."""
    found = [(language, text) for language, text in re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / readme).read_text(), re.M | re.S)
             if word in text]
    assert len(found) == 1, f"{word!r} in {len(found)} blocks of {readme}"
    return found[0]


def replace(text, instead):
    for shipped, here in instead.items():
        assert shipped in text
        text = text.replace(shipped, here)
    return text


@pytest.fixture(scope="module")
def server():
    with ModelServer() as server:
        yield server


@pytest.fixture
def gateway(server, tmp_path):
    """gateway("anthropic", "eof"): as the README configures it, before a server of this kind."""
    started = []

    def start(dialect, fault):
        here = f"{server.url}/{dialect}/{fault}"
        config = replace(block("/api/*")[1], {"http://127.0.0.1:8000": here, "http://127.0.0.1:11434": here})
        started.append(Gateway("listen: 127.0.0.1:0\nadmin: none\n" + config, tmp_path).start())
        return "http://%s:%d" % started[-1].address

    yield start
    for gateway in started:
        gateway.stop()


@pytest.mark.parametrize("fault", ["good", "eof", "fin", "error"])
@pytest.mark.parametrize("word, dialect", EXAMPLES.items())
def test_an_example_shows_the_whole_answer_and_fails_if_it_is_not_whole(gateway, tmp_path, word, dialect, fault):
    language, text = block(word)
    program = tmp_path / ("example.py" if language == "python" else "example.mjs")
    program.write_text(MESSAGES[language] + replace(text, {"http://127.0.0.1:8080": gateway(dialect, fault)}))
    ended = programs.run(program)
    assert ended.stdout == TEXT, ended.stderr
    assert (ended.returncode == 0) == (fault == "good"), ended.stderr


@pytest.mark.parametrize("fault, status", [("good", "[Generation Complete]"), ("eof", re.compile("^Failed: ")),
                                           ("error", re.compile("^Failed: "))])
def test_an_event_source_in_a_browser(gateway, fault, status):
    url = gateway("openai-chat", fault)
    script = replace(block("new EventSource")[1], {"http://127.0.0.1:8080": url})
    add = "const {} = document.body.appendChild(document.createElement('pre')); {}.id = 'of-the-readme-{}';"
    elements = "".join(add.format(name, name, name) for name in ("answer", "statusLine"))
    with chromium() as browser:
        tab = browser.new_page()
        tab.goto(url)
        tab.evaluate(f"() => {{ const prompt = '?'; {elements} {script} }}")
        expect(tab.locator("#of-the-readme-statusLine")).to_have_text(status)
        expect(tab.locator("#of-the-readme-answer")).to_have_js_property("textContent", TEXT)


@pytest.mark.parametrize("word", [*EXAMPLES, "/api/*", "new EventSource"])
def test_the_chinese_readme_has_the_same_examples(word):
    def code(readme):
        return re.sub(r" *(#|//) .*", "", re.sub(r'"(Failed: |失败：)"|"(The gateway.*|无法连接网关。)"', '""', block(word, readme)[1]))

    assert code("README.zh-CN.md") == code("README.md")
