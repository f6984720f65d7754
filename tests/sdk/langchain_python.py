"""LangChain for Python, on OpenAI and on Anthropic."""

from cell import run
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI


def take(model, said):
    for chunk in model.stream("?"):
        said.text += chunk.text if isinstance(chunk.text, str) else chunk.text()
        metadata = chunk.response_metadata
        said.finish = metadata.get("finish_reason") or metadata.get("stop_reason") or said.finish


def openai(url, said):
    take(ChatOpenAI(model="m", base_url=f"{url}/v1", api_key="k", max_retries=0), said)


def anthropic(url, said):
    take(ChatAnthropic(model="m", base_url=url, api_key="k", max_retries=0), said)


run({"langchain-python openai": openai, "langchain-python anthropic": anthropic})
