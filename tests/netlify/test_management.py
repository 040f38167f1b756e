"""Orders to a site's management API: never an empty one, and accepted is not done."""

import json

import pytest
from pydantic import SecretStr

from kit.model.errors import RejectedError
from kit.model.event import derived_id
from kit.netlify.management import STATES, Accepted, delete_flow, management_probe, retry_flow
from kit.netlify.responses import Response
from kit.netlify.site import Site

KEY = "s3cret-key"
TARGET = Site("https://site.example", SecretStr(KEY))
ONE, TWO = derived_id("one"), derived_id("two")
OK = Response(200, {}, json.dumps({"workloadResult": {"sendStatus": "succeeded", "eventId": ONE}}))


def order(flow):
    request = next(flow)
    assert request.key == SecretStr(KEY)
    with pytest.raises(StopIteration) as ended:
        flow.send(OK)
    assert ended.value.value == Accepted(ONE)
    path = request.url.removeprefix("https://site.example/.netlify/functions/async-workloads-api/")
    return request.method, path, json.loads(request.content)


@pytest.mark.parametrize(
    ("chosen", "body"),
    [
        ({"ids": [ONE, TWO]}, {"eventIds": [ONE, TWO]}),
        ({"states": ["pending"]}, {"states": ["pending"]}),
        ({"ids": [ONE], "states": ["delayed"]}, {"eventIds": [ONE], "states": ["delayed"]}),
        ({"everything": True}, {"states": [*STATES]}),
    ],
)
def test_what_is_to_be_deleted_is_always_named(chosen, body):
    assert order(delete_flow(TARGET, **chosen)) == ("DELETE", "events", body)


@pytest.mark.parametrize(
    ("chosen", "body"),
    [
        ({"ids": [ONE]}, {"eventIds": [ONE]}),
        ({"names": ["publish-draft"]}, {"eventNames": ["publish-draft"]}),
        ({"ids": [ONE], "names": ["a"]}, {"eventIds": [ONE], "eventNames": ["a"]}),
        ({"everything": True}, {}),
    ],
)
def test_dead_letters_are_chosen_by_id_and_name(chosen, body):
    assert order(retry_flow(TARGET, **chosen)) == ("POST", "failed-events", body)


@pytest.mark.parametrize("flow", [delete_flow, retry_flow])
@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({}, "no event is chosen"),
        ({"ids": []}, "no event is chosen"),
        ({"ids": ONE}, "as lists, not as one text"),
        ({"ids": [ONE], "everything": True}, "either ids"),
        ({"ids": ["x"]}, "version-4 UUID"),
    ],
)
def test_a_choice_that_could_mean_everything_is_refused(flow, chosen, words):
    with pytest.raises(ValueError, match=words):
        flow(TARGET, **chosen)


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ([], "no event is chosen"),
        ([*STATES], "these states are all there are"),
        ([*STATES, "more"], "these states are all there are"),
        (["done"], "'done' is no state of an event: it is one of pending,"),
        ("pending", "as lists"),
    ],
)
def test_states_never_mean_everything(states, words):
    with pytest.raises(ValueError, match=words):
        delete_flow(TARGET, states=states)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Response(200, {"content-type": "text/html"}, "<html>"), "not as Async Workloads does"),
        (Response(200, {}, "[]"), "not as Async Workloads does"),
        (Response(200, {}, '{"workloadResult": 5}'), "not as Async Workloads does"),
        (Response(204, {}), "not as Async Workloads does"),
        (Response(401, {"x-awl-reason": "invalid API key"}), "API key was refused"),
        (Response(404, {}), "Install Async Workloads"),
        (Response(200, {}, '{"workloadResult": {"sendStatus": "failed"}}'), "could not send the"),
    ],
)
def test_anything_but_an_acceptance_is_an_error(answer, words):
    flow = retry_flow(TARGET, everything=True)
    next(flow)
    with pytest.raises(RejectedError, match=words) as caught:
        flow.send(answer)
    assert "the order to retry events was" in str(caught.value)
    assert KEY not in str(caught.value)


def test_an_acceptance_may_lack_an_id():
    flow = delete_flow(TARGET, everything=True)
    next(flow)
    with pytest.raises(StopIteration) as ended:
        flow.send(Response(200, {}, '{"workloadResult": {"sendStatus": "succeeded"}}'))
    assert ended.value.value == Accepted(None)


def test_a_probe_orders_nothing():
    request = management_probe(TARGET)

    assert request.method == "POST"
    assert request.url.endswith("/async-workloads-api/failed-events")
    assert request.content == b""
