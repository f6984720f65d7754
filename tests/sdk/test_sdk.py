"""Official clients before a gateway before a model server that goes wrong: none is left in silence."""

import pytest
from speech import FAULTS, TEXT
from clients import CLIENTS, Client
from matrix import cells, run_direct, run_program, run_through, through_lastword
from report import complaint, sign

pytestmark = pytest.mark.timeout(600)  # the whole table is made before its first cell is looked at

TABLE = [(client.name, fault.name) for client in CLIENTS.values() for fault in cells(client)]
RETRYING = {"openai-python": "openai-chat", "anthropic-python": "anthropic", "openai-node": "openai-chat", "anthropic-node": "anthropic"}


@pytest.fixture(scope="module")
def through():
    return run_through(CLIENTS.values())


@pytest.mark.parametrize("client, fault", TABLE)
def test_a_whole_answer_is_whole_and_every_fault_is_told(through, client, fault):
    assert not complaint(through[client, fault])


def test_without_the_gateway_there_is_silence():
    """The table can show it; a table that could not would prove nothing."""
    client = CLIENTS["openai-python create"]
    direct = run_direct([client])
    signs = {fault: sign(direct[client.name, fault]) for fault in ("good", "eof", "done", "silence", "fin", "abort")}
    assert signs == {"good": "✓", "eof": "S", "done": "S", "silence": "H", "fin": "R", "abort": "S"}
    assert direct[client.name, "eof"]["text"] == TEXT


@pytest.fixture(scope="module")
def asked():
    """How often each client asked the model server."""
    counts = {}
    for name, dialect in RETRYING.items():
        program = "retries_python.py" if "python" in name else "retries_node.mjs"
        with through_lastword() as (server, url):
            run_program(program, [Client(name, program, dialect)], url, faults=["429", "500", "first", "nothing", "eof"])
            counts |= {(name, fault): times for (_, fault), times in server.requests.items()}
    return counts


@pytest.mark.parametrize("client", RETRYING)
@pytest.mark.parametrize("fault, times", [("429", 3), ("500", 3), ("first", 3), ("nothing", 1), ("eof", 1)])
def test_what_cost_nothing_is_tried_again_and_what_was_paid_is_not(asked, client, fault, times):
    assert asked[client, fault] == times, FAULTS[fault].what
