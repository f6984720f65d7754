"""Official clients before a gateway that asks for a key: each raises what it raises before its own provider."""

import json

import programs
import pytest
from gateway import Gateway
from upstream import Upstream
from viewer import Viewer

SECRET = "canary-of-alice-0123456789"
UNKNOWN = {"openai": "AuthenticationError", "responses": "AuthenticationError", "anthropic": "AuthenticationError",
           "gemini": "ClientError", "ollama": "ResponseError"}
AT_ITS_LIMIT = {"openai": "RateLimitError", "responses": "RateLimitError", "anthropic": "RateLimitError",
                "gemini": "ClientError", "ollama": "ResponseError"}


@pytest.fixture
def gateway(tmp_path):
    """One in which the only key is at its limit."""
    up = Upstream()
    (tmp_path / "alice").write_text(SECRET)
    config = f"""
listen: 127.0.0.1:0
admin: none
keys: [{{ name: alice, key: 'file:{tmp_path}/alice', streams: 1 }}]
routes: [{{ path: /*, upstream: '{up.url}' }}, {{ path: /text, upstream: '{up.url}/generate', grace: 5min }}]
"""
    with Gateway(config, tmp_path) as gateway:
        first = Viewer(gateway.address).watch("/text?prompt=hi", headers={"x-api-key": SECRET})
        up.expect_request()
        yield gateway
        assert up.requests == 1
        up.head().done().end()
        first.expect_last_word("finished")
    up.close()


@pytest.mark.parametrize("key, status, names", [("canary-of-nobody-0123456789", 401, UNKNOWN), (SECRET, 429, AT_ITS_LIMIT)],
                         ids=["unknown", "at its limit"])
def test_clients_raise_what_they_know(gateway, key, status, names):
    said = programs.run(programs.HERE / "keys_python.py", json.dumps({"url": "http://%s:%d" % gateway.address, "key": key}))
    raised = json.loads(said.stdout or "null")
    assert raised, said.stderr
    assert {client: (name, told) for client, (name, told, _) in raised.items()} == {client: (name, status) for client, name in names.items()}
    words = "asks for a key" if status == 401 else "as many as it may have at once"
    assert all(words in text and "canary" not in text for _, _, text in raised.values()), raised
