"""Which addresses are acceptable, and what is said of the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.project.address import check_key_may_travel, origin_of


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://my-site.netlify.app", "https://my-site.netlify.app"),
        ("HTTPS://My-Site.Netlify.APP/", "https://my-site.netlify.app"),
        ("https://x.example/a/b?c=d#e", "https://x.example"),
        ("https://x.example?token=s@cret", "https://x.example"),
        ("https://x.example/@scope", "https://x.example"),
        ("https://x.example:443", "https://x.example"),
        ("http://x.example:80/", "http://x.example"),
        ("http://x.example:443", "http://x.example:443"),
        ("https://x.example:", "https://x.example"),
        ("http://localhost:8888", "http://localhost:8888"),
        ("http://[::1]:8888/x", "http://[::1]:8888"),
        ("https://[0:0:0:0:0:0:0:1]:443", "https://[::1]"),
        ("https://[2001:DB8::1]", "https://[2001:db8::1]"),
        ("https://deploy-preview-1--my_site.netlify.app", None),
    ],
)
def test_only_the_origin_of_an_address_counts(url: str, origin: str | None) -> None:
    assert origin_of(url) == (origin or url)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "it is empty"),
        ("my-site.netlify.app", "did you mean 'https://my-site.netlify.app'?"),
        ("my-site.netlify.app/x", "did you mean 'https://my-site.netlify.app'?"),
        ("//my-site.netlify.app", "did you mean 'https://my-site.netlify.app'?"),
        ("localhost:8888", "did you mean 'http://localhost:8888'?"),
        ("127.0.0.1:8888", "did you mean 'http://127.0.0.1:8888'?"),
        ("javascript:alert(1)", "no scheme: write it as"),
        ("https:/x.example", "no scheme: write it as"),
        ("ftp://x.example", "the scheme 'ftp', which cannot be used"),
        ("://x.example", "the scheme '', which cannot be used"),
        ("https://", "names no host"),
        ("https:///path", "names no host"),
        ("https://https://x.example", "names no host"),
        ("https://x..example", "names no host"),
        ("https://-x.example", "names no host"),
        ("https://x.example.", "names no host"),
        ("https://" + "x" * 300, "names no host"),
        ("https://%41.example", "names no host"),
        ("https://x.example:0", "a port that is no number from 1 to 65535"),
        ("https://x.example:65536", "a port that is no number from 1 to 65535"),
        ("https://x.example:8o8o", "a port that is no number from 1 to 65535"),
        ("https://[::1", "is no address"),
        ("https://[::1%25eth0]", "no complete IPv6 address"),
        ("https://[v1.a]", "no complete IPv6 address"),
        (" https://x.example", "holds a blank"),
        ("https://x.example\n", "holds a blank"),
        ("https://x\t.example", "holds a blank"),
        ("https://good.example\\@evil.example", "holds a blank, a backslash"),
        ("https://bücher.example", "xn-- form"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_advice(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        origin_of(url)

    assert says in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:s3cret@x.example",
        "user:s3cret@x.example",
        "https://s3cret@x.example/",
        "https://user:s3cret/rest@x.example",
        "https://user:s3 cret@x.example",
        "ftp://user:s3cret@x.example",
        "https://x.example:bad?token=s3cret",
        "https://s3cret!/@x.example",
    ],
)
def test_a_refused_address_never_repeats_what_may_be_a_secret(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        origin_of(url)

    assert "s3" not in str(caught.value)


@given(
    st.sampled_from(["http", "HTTPS"]),
    st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z]{2,5}){0,2}\Z"),
    st.none() | st.integers(1, 65535),
    st.text("abc/?#=&.", max_size=10),
)
def test_an_origin_is_its_own_origin(scheme: str, host: str, port: int | None, rest: str) -> None:
    if host in ("http", "https"):
        return
    origin = origin_of(f"{scheme}://{host}{'' if port is None else f':{port}'}/{rest}")

    assert origin_of(origin) == origin
    assert origin.startswith(f"{scheme.lower()}://{host}")


@given(st.text())
def test_any_text_is_an_origin_or_a_value_error(text: str) -> None:
    try:
        origin = origin_of(text)
    except ValueError:
        return

    assert origin_of(origin) == origin


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:8888",
        "http://127.0.0.1",
        "http://127.8.9.10:1",
        "http://[::1]:8888",
        "https://x.example",
        "",
    ],
)
def test_a_key_may_travel_encrypted_or_within_this_machine(origin: str) -> None:
    check_key_may_travel(origin, has_key=True)


@pytest.mark.parametrize(
    "origin",
    ["http://x.example", "http://192.168.1.5", "http://localhost.evil.example", "http://127.1"],
)
def test_a_key_may_not_travel_in_the_clear(origin: str) -> None:
    check_key_may_travel(origin, has_key=False)

    with pytest.raises(ValueError, match="use https://"):
        check_key_may_travel(origin, has_key=True)
