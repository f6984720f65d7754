"""The official OpenAI client for Python: each of its ways to read a stream."""

import asyncio

from cell import run
from openai import AsyncOpenAI, OpenAI

MESSAGES = [{"role": "user", "content": "?"}]


def client(url):
    return OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)


def take_chunks(chunks, said):
    for chunk in chunks:
        take_chunk(chunk, said)


def take_chunk(chunk, said):
    for choice in chunk.choices:
        said.text += choice.delta.content or ""
        said.finish = choice.finish_reason or said.finish


def chat(url, said):
    take_chunks(client(url).chat.completions.create(model="m", messages=MESSAGES, stream=True), said)


def chat_stream(url, said):
    with client(url).chat.completions.stream(model="m", messages=MESSAGES) as stream:
        for event in stream:
            if event.type == "content.delta":
                said.text += event.delta
        said.finish = stream.get_final_completion().choices[0].finish_reason


def chat_async(url, said):
    async def use():
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
            async for chunk in await client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
                take_chunk(chunk, said)

    asyncio.run(use())


def completions(url, said):
    for chunk in client(url).completions.create(model="m", prompt="?", stream=True):
        for choice in chunk.choices:
            said.text += choice.text or ""
            said.finish = choice.finish_reason or said.finish


def responses(url, said):
    for event in client(url).responses.create(model="m", input="?", stream=True):
        take_event(event, said)


def responses_stream(url, said):
    with client(url).responses.stream(model="m", input="?") as stream:
        for event in stream:
            take_event(event, said)
        said.finish = stream.get_final_response().status


def take_event(event, said):
    if event.type == "response.output_text.delta":
        said.text += event.delta
    elif event.type == "response.completed":
        said.finish = event.response.status


run({
    "openai-python create": chat,
    "openai-python create, async": chat_async,
    "openai-python stream": chat_stream,
    "openai-python completions": completions,
    "openai-python responses": responses,
    "openai-python responses.stream": responses_stream,
})
