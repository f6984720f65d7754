"""Google's official Gemini client for Python."""

from cell import run
from google import genai


def generate(url, said):
    client = genai.Client(api_key="k", http_options={"base_url": url, "api_version": "v1beta"})
    for chunk in client.models.generate_content_stream(model="m", contents="?"):
        said.text += chunk.text or ""
        for candidate in chunk.candidates or []:
            said.finish = candidate.finish_reason and candidate.finish_reason.name or said.finish


run({"google-genai python": generate})
