import pytest

from kit.model.annotations import encode_data
from kit.model.article import with_article
from kit.model.errors import PayloadError


@pytest.mark.parametrize(
    ("noun", "said"),
    [("object", "an object"), ("OrderedDict", "an OrderedDict"), ("UUID", "a UUID"), ("", "a ")],
)
def test_a_vowel_asks_for_an(noun: str, said: str) -> None:
    assert with_article(noun) == said


def test_what_is_not_json_is_named_with_its_article() -> None:
    with pytest.raises(PayloadError, match="is an object, which is not JSON"):
        encode_data(object(), "the input")
