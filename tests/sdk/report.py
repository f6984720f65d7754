"""The answers of the clients as tables, on a terminal and in docs/sdks.md."""

import platform
import re
import subprocess
from collections import Counter

from speech import FAULTS, TEXT, WHOLE
from clients import CLIENTS, versions

from gateway import ROOT

PAGE = ROOT / "docs/sdks.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
GOOD_FINISHES = {"stop", "end_turn", "completed", "ready"}
SIGNS = {
    "✓": "the answer is whole, and the client says so",
    "R": "the client raises an exception",
    "E": "the client hands over an error as a value: a part of the stream, `onError`, finish reason “error”",
    "S": "silence: the client ends as if all were well",
    "H": "the client waits for ever",
    "–": "servers of this dialect cannot do that",
}


def sign(answer):
    whole = answer["text"] == TEXT and (answer["finish"] or "").lower() in GOOD_FINISHES
    if answer["hangs"]:
        return "H"
    if answer["raised"]:
        return "R"
    if answer["part"]:
        return "E"
    return "✓" if whole and answer["fault"] in (*WHOLE, "json") else "S"


def complaint(answer):
    """What is wrong with an answer that came through lastword, or None."""
    fault, said = FAULTS[answer["fault"]], sign(answer)
    if said not in ("✓" if fault.name in WHOLE else "RE"):
        return f"{said}: {answer}"
    if fault.late and answer["text"] != TEXT:
        return f"{said}, but of the text only {answer['text']!r}: {answer}"
    if not re.search(fault.says, f"{answer['raised']} {answer['part']}"):
        return f"{said}, but not with the words {fault.says!r}: {answer}"
    return None


def rows(*lines):
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def signs(answers, clients, show="{}".format):
    """One row for each client, one column for each fault."""
    lines = [["client", *FAULTS], ["---", *[":-:" for _ in FAULTS]]]
    for client in clients:
        row = [answers.get((client.name, fault)) for fault in FAULTS]
        lines.append([client.name, *[show(sign(answer)) if answer else "–" for answer in row]])
    return rows(*lines)


def count(answers):
    found = Counter(sign(answer) for (_, fault), answer in answers.items() if fault not in WHOLE)
    return f"{sum(found.values())} faults: " + ", ".join(f"{n} {said}" for said, n in found.most_common())


def loud(said):
    return f"**{said}**" if said in "SH" else said


def kind(answer):
    return (answer["raised"] or answer["part"]).partition(":")[0]


def what_is_raised(through, clients):
    """What a program has to catch."""
    lines = [["client", "in mid-answer", "before the first token", "of an answer without an end it says"], ["---"] * 4]
    for client in clients:
        mine = [answer for (name, fault), answer in through.items() if name == client.name and fault not in WHOLE]
        late = sorted({kind(answer) for answer in mine if FAULTS[answer["fault"]].late})
        early = sorted({kind(answer) for answer in mine if not FAULTS[answer["fault"]].late})
        eof = through[client.name, "eof"]
        words = (eof["raised"] or eof["part"]).replace("|", "\\|").replace("\n", " ")
        lines.append([client.name, *[", ".join(f"`{name}`" for name in names) for names in (late, early)], f"`{words}`"])
    return rows(*lines)


def command_version(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def measured(direct, through):
    clients = list(CLIENTS.values())
    pinned = versions()
    parts = [
        f"lastword {(ROOT / 'VERSION').read_text().strip()}, Python {platform.python_version()}, "
        f"Node {command_version('node', '--version').lstrip('v')}, and of the clients",
        "\n".join(f"- for {language}: " + ", ".join(f"{name} {version}" for name, version in packages.items()) + ";"
                  for language, packages in pinned.items()).rstrip(";") + ".",
        rows(["fault", "what the server does"], ["---", "---"], *([fault.name, fault.what] for fault in FAULTS.values())),
        rows(["sign", "what the client does"], ["---", "---"], *([loud(name), what] for name, what in SIGNS.items())),
        f"## Directly\n\n{count(direct)}.\n\n{signs(direct, clients, loud)}",
        f"## Through lastword\n\n{count(through)}.\n\n{signs(through, clients, loud)}",
        f"## What a program has to catch\n\nThrough lastword.\n\n{what_is_raised(through, clients)}",
    ]
    return "\n\n".join(parts) + "\n"


def write(direct, through):
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + measured(direct, through) + END + after)
