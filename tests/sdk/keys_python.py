"""What official clients raise before a gateway that asks for a key: one question on standard input, {"url", "key"}, and the
exception of each client on standard output, with the status that it tells."""

import json
import sys

from anthropic import Anthropic
from google import genai
from ollama import Client
from openai import OpenAI

MESSAGES = [{"role": "user", "content": "?"}]


def openai(url, key):
    return OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0).chat.completions.create(model="m", messages=MESSAGES, stream=True)


def responses(url, key):
    return OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0).responses.create(model="m", input="?", stream=True)


def anthropic(url, key):
    return Anthropic(base_url=url, api_key=key, max_retries=0).messages.create(model="m", max_tokens=9, messages=MESSAGES, stream=True)


def gemini(url, key):
    client = genai.Client(api_key=key, http_options={"base_url": url, "api_version": "v1beta"})
    yield from client.models.generate_content_stream(model="m", contents="?")


def ollama(url, key):
    return Client(host=url, headers={"Authorization": f"Bearer {key}"}).chat("m", messages=MESSAGES, stream=True)


def raised(client, url, key):
    try:
        for _ in client(url, key):
            return "it said something"
    except Exception as error:
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
        return [type(error).__name__, status, str(error)]


asked = json.loads(sys.stdin.read())
print(json.dumps({client.__name__: raised(client, **asked) for client in (openai, responses, anthropic, gemini, ollama)}))
