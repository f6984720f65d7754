"""Ollama's official client for Python."""

from cell import run
from ollama import Client


def chat(url, said):
    for line in Client(host=url).chat("m", messages=[{"role": "user", "content": "?"}], stream=True):
        said.text += line.message.content or ""
        said.finish = line.done_reason or said.finish


def generate(url, said):
    for line in Client(host=url).generate("m", "?", stream=True):
        said.text += line.response or ""
        said.finish = line.done_reason or said.finish


run({"ollama-python chat": chat, "ollama-python generate": generate})
