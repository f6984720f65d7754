"""A model server as many are written: FastAPI, an async generator, StreamingResponse.

Its client cannot tell an end from a crash: both are just silence. The cure is the last line of `stream`: one event more,
sent only when the model has really finished. `--as-it-was` leaves it out.
"""

import argparse
import asyncio
import re
import socket
import threading
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

HERE = Path(__file__).parent
app = FastAPI()


def event(data, name=None):
    """One event: a newline inside a token becomes a second data line."""
    head = f"event: {name}\n" if name else ""
    return head + "".join(f"data: {line}\n" for line in data.split("\n")) + "\n"


async def play_script(prompt):
    """A text file, word by word."""
    for token in re.findall(r"\s*\S+", app.state.options.script.read_text()):
        yield token
        await asyncio.sleep(app.state.options.pace)


async def ask_model(prompt):
    """A model of transformers, in a thread of its own; what it raises is raised here."""
    from transformers import TextIteratorStreamer

    tokenizer, model = app.state.model
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    inputs = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True,
                                           return_tensors="pt", return_dict=True)
    failure = []

    def generate():
        try:
            model.generate(**inputs, streamer=streamer, max_new_tokens=512)
        except Exception as error:
            failure.append(error)
            streamer.end()

    threading.Thread(target=generate, daemon=True).start()
    while (text := await asyncio.to_thread(next, streamer, None)) is not None:
        if text:
            yield text
    if failure:
        raise failure[0]


async def generate_tokens(prompt):
    source = ask_model if app.state.options.model else play_script
    async for token in source(prompt):
        yield token


async def stream(prompt):
    async for token in generate_tokens(prompt):
        yield event(token)
    if not app.state.options.as_it_was:
        yield event("finished", name="close")


@app.get("/generate")
async def generate(prompt: str):
    return StreamingResponse(stream(prompt), media_type="text/event-stream")


def load(name):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoTokenizer.from_pretrained(name), AutoModelForCausalLM.from_pretrained(name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=8000, help="0: a free one")
    parser.add_argument("--as-it-was", action="store_true", help="say no last word")
    parser.add_argument("--model", help="answer with this model of transformers (a name or a folder) instead of the script")
    parser.add_argument("--script", type=Path, default=HERE / "answer.txt", help="the text that is played")
    parser.add_argument("--pace", type=float, default=0.06, help="seconds between two words")
    app.state.options = parser.parse_args()
    app.state.model = load(app.state.options.model) if app.state.options.model else None
    listener = socket.create_server(("127.0.0.1", app.state.options.port))
    print("model server: http://127.0.0.1:%d/generate" % listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
