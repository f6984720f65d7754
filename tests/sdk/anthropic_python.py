"""The official Anthropic client for Python."""

import asyncio

from anthropic import Anthropic, AsyncAnthropic
from cell import run

ASKED = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "?"}]}


def client(url):
    return Anthropic(base_url=url, api_key="k", max_retries=0)


def take_event(event, said):
    if event.type == "content_block_delta":
        said.text += event.delta.text
    elif event.type == "message_delta":
        said.finish = event.delta.stop_reason


def create(url, said):
    for event in client(url).messages.create(**ASKED, stream=True):
        take_event(event, said)


def create_async(url, said):
    async def use():
        async with AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as client:
            async for event in await client.messages.create(**ASKED, stream=True):
                take_event(event, said)

    asyncio.run(use())


def stream(url, said):
    with client(url).messages.stream(**ASKED) as stream:
        for text in stream.text_stream:
            said.text += text
        said.finish = stream.get_final_message().stop_reason


run({"anthropic-python create": create, "anthropic-python create, async": create_async, "anthropic-python stream": stream})
