"""
Where this process runs, judged from a mapping of variables; and which addresses are acceptable.

Nothing here reads the environment: `config` hands it in.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

KIT_ENTRY = "KIT_ENTRY"
"""Set to 1 by the function entry `kit build` writes, in the Python process it starts."""

MARKS = ("NETLIFY", "NETLIFY_LOCAL", "NETLIFY_DEV", KIT_ENTRY)
"""The variables of which any one says that this is Netlify."""

_FALSE = frozenset({"", "0", "false", "no", "off"})
_KEY = re.compile(r"AWL_API_KEY_P([0-9]{1,9})")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_ADVICE = "write it as https://my-site.netlify.app"


@dataclass(frozen=True, slots=True)
class Found:
    """A value and the variable it stood in. The value stays out of the repr: it may be a key."""

    variable: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Hosting:
    """
    What the environment says about where this process runs.

    `reason` names the variable that decided. `urls` are this site's own addresses, the preferred
    one first; empty unless this is Netlify. `context` is the deploy context, such as `production`.
    """

    is_netlify: bool
    reason: str
    context: str | None = None
    urls: tuple[Found, ...] = ()
    api_key: Found | None = None

    @property
    def base_url(self) -> Found | None:
        """The address to send events to, or None if none was found."""
        return self.urls[0] if self.urls else None


def detect(environ: Mapping[str, str]) -> Hosting:
    """Return what *environ* says about where this process runs."""
    mark = next((name for name in MARKS if is_true(environ.get(name))), None)
    return Hosting(
        is_netlify=mark is not None,
        reason=f"{mark} is set" if mark else f"none of {', '.join(MARKS)} is set",
        context=environ.get("CONTEXT") or None,
        urls=tuple(_urls(environ)) if mark else (),
        api_key=_api_key(environ),
    )


def is_true(value: str | None) -> bool:
    """Tell whether a variable is set to anything but an empty text, 0, false, no or off."""
    return (value or "").strip().lower() not in _FALSE


def _urls(environ: Mapping[str, str]) -> Iterator[Found]:
    own = ("URL", "DEPLOY_URL") if environ.get("CONTEXT") == "production" else ("DEPLOY_URL", "URL")
    for name in own:
        if value := environ.get(name):
            yield Found(name, value)


def _api_key(environ: Mapping[str, str]) -> Found | None:
    # documented order: the highest number sends; as numbers, so that P10 comes after P9
    numbered = [
        (int(match[1]), name)
        for name, value in environ.items()
        if value and (match := _KEY.fullmatch(name))
    ]
    name = max(numbered)[1] if numbered else "AWL_API_KEY"
    value = environ.get(name)
    return Found(name, value) if value else None


def origin_of(url: str) -> str:
    """
    Return the origin of *url*: scheme, host and any unusual port, all lower case.

    Raises:
        ValueError: If it is no http or https address, or holds a user name or password. The text
            never repeats what may be a secret.
    """
    _check_characters(url)
    if "://" not in url:
        msg = f"{_shown(url)} has no scheme: {_suggestion(url)}"
        raise ValueError(msg)
    parts = _split(url)
    if parts.scheme not in _DEFAULT_PORTS:
        msg = f"{_shown(url)} has the scheme {parts.scheme!r}, which cannot be used: {_ADVICE}"
        raise ValueError(msg)
    host, port = _host(parts, url), _port(parts, url)
    has_port = port is not None and port != _DEFAULT_PORTS[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if has_port else "")


def check_key_may_travel(origin: str, has_key: bool) -> None:
    """
    Refuse to send a key where others can read it on its way.

    Raises:
        ValueError: If there is a key and *origin* is plain http to anything but this machine.
    """
    if has_key and origin.startswith("http://") and not _is_loopback(urlsplit(origin).hostname):
        msg = f"{origin!r} is plain http, and an API key would travel in the clear: use https://"
        raise ValueError(msg)


def _check_characters(url: str) -> None:
    if not url:
        msg = f"it is empty: {_ADVICE}"
        raise ValueError(msg)
    # urlsplit would drop some of these silently, and browsers read a backslash as a slash
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        msg = (
            f"{_shown(url)} holds a blank, a backslash or a character outside ASCII:"
            f" {_ADVICE}; international names in their xn-- form"
        )
        raise ValueError(msg)
    if "@" in re.split(r"[/?#]", url.partition("://")[2] or url)[0]:
        msg = "it holds a user name or password, which belong in no address: leave out all up to @"
        raise ValueError(msg)


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:  # brackets that enclose no IPv6 address
        msg = f"{_shown(url)} is no address ({error}): {_ADVICE}"
        raise ValueError(msg) from None


def _host(parts: SplitResult, url: str) -> str:
    host = parts.hostname or ""
    if "[" in parts.netloc:
        return f"[{_ipv6(host, url)}]"
    # a scheme in the host's place: https://https://…
    if host in _DEFAULT_PORTS or len(host) > 253 or not _HOST.fullmatch(host):
        msg = f"{_shown(url)} names no host that could exist: {_ADVICE}"
        raise ValueError(msg)
    return host


def _ipv6(host: str, url: str) -> str:
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        address = None
    if address is None or address.scope_id:
        msg = f"{_shown(url)} holds no complete IPv6 address in its brackets: {_ADVICE}"
        raise ValueError(msg)
    return address.compressed


def _port(parts: SplitResult, url: str) -> int | None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        msg = f"{_shown(url)} has a port that is no number from 1 to 65535: correct or drop it"
        raise ValueError(msg)
    return port


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _suggestion(url: str) -> str:
    rest = url.lstrip("/")
    host = re.split(r"[:/?#]", rest)[0]
    scheme = "http" if _is_loopback(host) else "https"
    try:
        return f"did you mean {origin_of(f'{scheme}://{rest}')!r}?"
    except ValueError:
        return _ADVICE


def _shown(url: str) -> str:
    # a query may hold a token, and what stands before an @ may be a password
    address = re.split(r"[?#]", url)[0]
    return "the address" if "@" in address else repr(address[:100])
