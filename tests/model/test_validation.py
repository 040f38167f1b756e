import pytest
from pydantic import BaseModel

from kit import PayloadError, read_validated_payload


class Draft(BaseModel):
    title: str


def test_a_model_converts_the_value():
    assert read_validated_payload({"title": "x"}, Draft) == Draft(title="x")


def test_any_type_that_pydantic_knows_will_do():
    assert read_validated_payload(["1", 2], list[int]) == [1, 2]


def test_an_invalid_value_is_a_400_that_names_the_field():
    with pytest.raises(PayloadError) as caught:
        read_validated_payload({}, Draft)
    assert caught.value.http_status == 400
    assert caught.value.code == "VALIDATION_ERROR"
    assert caught.value.issues[0]["loc"] == ("title",)
    assert "title: Field required" in str(caught.value)


@pytest.mark.parametrize("answer", [True, None])
def test_a_function_that_says_true_or_nothing_keeps_the_value(answer):
    value = {"a": 1}
    assert read_validated_payload(value, lambda _: answer) is value


def test_a_function_that_says_false_refuses_the_value():
    with pytest.raises(PayloadError, match="refused"):
        read_validated_payload(1, lambda _: False)


def test_whatever_else_a_function_says_replaces_the_value():
    assert read_validated_payload(" a ", str.strip) == "a"
    assert read_validated_payload(5, lambda _: 0) == 0


def test_what_a_function_raises_becomes_a_payload_error():
    def check(_):
        raise ValueError("too long")

    with pytest.raises(PayloadError, match="too long") as caught:
        read_validated_payload(1, check)
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_error_with_its_own_http_status_is_left_alone():
    class TeapotError(Exception):
        status_code = 418

    def check(_):
        raise TeapotError

    with pytest.raises(TeapotError):
        read_validated_payload(1, check)
