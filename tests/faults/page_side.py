"""A browser route: what a page must be told of a cut, and whether it was."""

from judge import CLEAN, LAST_WORDS, EventReader, judge
from transcripts import judge_end

def label(dialect, fault):
    return f"/page/{dialect.name}" + ("/silence" if fault == "silence" else "")


def route(dialect, fault, url):
    """The upstream is asked at a path that names no dialect."""
    clocks = "idle: 2s, first_event: 2s, " if fault == "silence" else ""
    return f"  - {{ path: {label(dialect, fault)}, {clocks}dialect: {dialect.name}, upstream: '{url}/x' }}"


class Reading:
    """One answer, as it comes."""

    is_counted = True        # as soon as it was asked for
    shows_nothing = False    # the first block shows that the gateway is there

    def __init__(self, run):
        self.run, self.expected = run, judge_end(run.transcript, run.cut, choices=1)
        self.reader, self.read = EventReader(), 0

    def ask(self, host):
        path = label(self.run.transcript.dialect, self.run.fault)
        return f"GET {path}?prompt={self.run.name} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()

    def has_all(self, response):
        """All that was sent before a reset has been read by the gateway: it was shown, and no more will be."""
        self.reader.feed(bytes(response.body[self.read:]))
        self.read = len(response.body)
        events = self.reader.events
        if events and events[-1].name in LAST_WORDS:
            return True
        return bool(self.reader.blocks) and not self.expected.by_piece and len(events) >= len(self.expected.shown)

    def verdict(self, response):
        return wrong_for_a_page(self.expected, response)

    def asks_again(self, response):
        return False


def wrong_for_a_page(expected, response):
    """None, or a sentence."""
    if (response.status, response.end) != (200, CLEAN):
        return f"status {response.status}, ended {response.end}"
    verdict = judge(bytes(response.body))
    if verdict.wrong:
        return "; ".join(verdict.wrong)
    shown = [(event.name, event.data) for event in verdict.events if event.name not in LAST_WORDS]
    said, right = (verdict.word, verdict["cause"], verdict["proof"], shown), (expected.word, expected.cause, expected.proof, expected.shown)
    if said != right:
        return f"said {said}, but right is {right}"
    if expected.word == "close" and verdict["finish"] != expected.finish:
        return f"finish {verdict['finish']!r}, but right is {expected.finish!r}"
    if expected.cause == "error" and expected.pieces[-1].error not in verdict["detail"]:
        return f"detail {verdict['detail']!r}"
    return None
