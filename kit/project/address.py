"""
Addresses of sites: which are acceptable, and what is said of those that are not.

Of an address, only its origin counts. A message never repeats what may be a secret.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_ADVICE = "write it as https://my-site.netlify.app"


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
