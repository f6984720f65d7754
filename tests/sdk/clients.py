"""The clients of the table: which program runs each, in which dialect it asks, and the packages it is made of."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Client:
    name: str
    program: str      # a file in this folder
    dialect: str


CLIENTS = {name: Client(name, program, dialect) for program, clients in {
    "openai_python.py": {
        "openai-python create": "openai-chat", "openai-python create, async": "openai-chat", "openai-python stream": "openai-chat",
        "openai-python completions": "openai-completions",
        "openai-python responses": "openai-responses", "openai-python responses.stream": "openai-responses"},
    "openai_node.mjs": {
        "openai-node create": "openai-chat", "openai-node stream": "openai-chat", "openai-node completions": "openai-completions",
        "openai-node responses": "openai-responses", "openai-node responses.stream": "openai-responses"},
    "langchain_python.py": {"langchain-python openai": "openai-chat", "langchain-python anthropic": "anthropic"},
    "langchain_node.mjs": {"langchain-js openai": "openai-chat", "langchain-js anthropic": "anthropic"},
    "ai_node.mjs": {
        "ai openai.chat": "openai-chat", "ai openai-compatible": "openai-chat", "ai openai.responses": "openai-responses",
        "ai anthropic": "anthropic", "ai google": "gemini", "ai useChat": "ai-ui"},
    "anthropic_python.py": dict.fromkeys(
        ["anthropic-python create", "anthropic-python create, async", "anthropic-python stream"], "anthropic"),
    "anthropic_node.mjs": dict.fromkeys(["anthropic-node create", "anthropic-node stream"], "anthropic"),
    "genai_python.py": {"google-genai python": "gemini"},
    "genai_node.mjs": {"google-genai node": "gemini"},
    "ollama_python.py": {"ollama-python chat": "ollama-chat", "ollama-python generate": "ollama-generate"},
    "ollama_node.mjs": {"ollama-js chat": "ollama-chat", "ollama-js generate": "ollama-generate"},
}.items() for name, dialect in clients.items()}


def versions():
    """What is asked, as it is pinned: {"Python": {"openai": "3.57.0", …}, "Node": {…}}."""
    asked = (HERE / "requirements.txt").read_text().partition("\n\n")[0]
    return {"Python": dict(re.findall(r"^([\w-]+)==(\S+)", asked, re.MULTILINE)),
            "Node": json.loads((HERE / "package.json").read_text())["devDependencies"]}
