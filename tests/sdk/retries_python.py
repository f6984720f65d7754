"""The official clients for Python as they are by default: they ask again, up to twice, by their own rules."""

from anthropic import Anthropic
from cell import run
from openai import OpenAI

MESSAGES = [{"role": "user", "content": "?"}]


def openai(url, said):
    for _ in OpenAI(base_url=f"{url}/v1", api_key="k").chat.completions.create(model="m", messages=MESSAGES, stream=True):
        pass


def anthropic(url, said):
    for _ in Anthropic(base_url=url, api_key="k").messages.create(model="m", max_tokens=9, messages=MESSAGES, stream=True):
        pass


run({"openai-python": openai, "anthropic-python": anthropic})
