"""Flows, driven by hand: what they are given, and what a site answers."""

import json

from pydantic import SecretStr

from kit.model.event import Event, derived_id
from kit.netlify.flow import Pause
from kit.netlify.responses import NoResponse, Response
from kit.netlify.router import (
    pack,
    packed_flow,
)
from kit.netlify.site import Site

KEY = "s3cret-key"
TARGET = Site("https://site.example", SecretStr(KEY))
ACK = Response(200, {"x-awl-ack": "ack"})
NOW = 1_767_225_600_000
REFUSED = NoResponse("no connection could be made", may_have_arrived=False)
BROKEN = NoResponse("the connection broke", may_have_arrived=True)
SILENT = NoResponse("it did not answer", may_have_arrived=True, timed_out=True)


def event(name="publish-draft", data=None, **more):
    return Event(name, data, derived_id(name, json.dumps(data, default=str)), **more)


def parcel(name="publish-draft", data=None, **more):
    return pack(event(name, data, **more), TARGET, now=NOW)


def carry_out(flow, *answers):
    """Response a flow's requests in turn; return what it returns, its requests and its pauses."""
    left, requests, pauses = list(answers), [], []
    received = None
    try:
        while True:
            wanted = flow.send(received)
            if isinstance(wanted, Pause):
                pauses.append(wanted.seconds)
                received = None
            else:
                requests.append(wanted)
                received = left.pop(0)
    except StopIteration as end:
        assert not left
        return end.value, requests, pauses


def refusal(*answers, target=TARGET):
    [outcome], requests, _ = carry_out(packed_flow([parcel()], target), *answers)
    assert isinstance(outcome, Exception)
    assert len(requests) == len(answers)
    assert KEY not in str(outcome)
    assert str(outcome).count("\n") < 10
    return outcome
