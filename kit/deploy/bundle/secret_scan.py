"""
What may be a secret: by a file's name, or by what is in it.

Rather too much than too little: what is left out wrongly is told by the build, and can be named in
the settings. A password in a file called `notes.txt` that looks like any word is found by nobody.
"""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from dataclasses import dataclass

LOOKED_AT = 4_194_304
"""Bytes of a file that are looked at, from its beginning; secrets are small."""

_NAMES = (
    # by what it says it is
    *("*credential*", "*secret*", "*password*", "*passwd*", "*passphrase*", "*pwd", "*pwd.*"),
    *("token", "token.*", "*-token", "*-token.*", "*access-token*", "*auth-token*", "*.jwt"),
    *("tokens.json", "*api-tokens", "*api-tokens.*"),  # not tokens.txt: that is a vocabulary
    *("*api-key*", "*apikey*", "*private-key*", "*privatekey*", "*key-pair*", "*keypair*"),
    *("*service-account*", "*serviceaccount*", "*adminsdk*", "*keyfile*", "oauth*.json"),
    *("*-key", "*-key.json", "*-key.txt"),
    # environments and settings of tools that hold keys
    *("env", "*.env", "env.*", "*.env.*", "*netrc", "npmrc", "pypirc", "pgpass", "my.cnf"),
    *("htpasswd*", "auth.json", "kubeconfig*", "*.kubeconfig", "kube.config", "*.ovpn"),
    *("wallet.dat", "cookies.txt", "*.cookie", "*.cookies"),
    *("*.tfstate", "*.tfstate.*", "*.tfvars", "*.tfvars.*"),
    # keys and their stores
    *("*.key", "*.pem", "*.p8", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdb", "*.kdbx"),
    *("*.keytab", "*.bks", "*.ppk", "*.pgp", "*.gpg"),
    *("id-rsa*", "id-dsa*", "id-ecdsa*", "id-ed25519*"),
    # data of people rather than of the program
    *("*.db", "*.db3", "*.sqlite", "*.sqlite3", "*.rdb", "*.dump"),
    *("*dump.sql*", "dump-*.sql*", "*backup.sql*", "backup-*.sql*", "*.sql.gz"),
)
_COPIES = re.compile(r"(~|\.(bak|backup|old|orig|save|copy|tmp|swp|[0-9]+)|-copy|-?\([0-9]+\))$")


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of secret: texts one of which is in it, quickly looked for, and then the pattern."""

    what: str
    parts: tuple[bytes, ...]
    pattern: re.Pattern[bytes]

    def search(self, content: bytes) -> re.Match[bytes] | None:
        return self.pattern.search(content) if any(map(content.__contains__, self.parts)) else None


def _kind(what: str, parts: str, pattern: bytes) -> _Kind:
    return _Kind(what, tuple(part.encode() for part in parts.split()), re.compile(pattern))


_KEYS = (
    _kind(
        "a private key",
        "-----BEGIN",
        rb"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----",
    ),
    _kind("a key of AWS", "AKIA ASIA", rb"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b"),
    _kind("a token of GitHub", "gho_ ghp_ ghr_ ghs_ ghu_", rb"\bgh[oprsu]_[A-Za-z0-9]{36}"),
    _kind("a token of GitHub", "github_pat_", rb"\bgithub_pat_[A-Za-z0-9_]{22}"),
    _kind("a token of GitLab", "glpat-", rb"\bglpat-[A-Za-z0-9_-]{20}"),
    _kind("a token of Slack", "xox", rb"\bxox[abeoprs]-[A-Za-z0-9-]{10}"),
    _kind(
        "an address of a Slack webhook",
        "hooks.slack.com/",
        rb"\bhooks\.slack\.com/services/T[A-Z0-9]{6,20}/B[A-Z0-9]{6,20}/[A-Za-z0-9]{16}",
    ),
    _kind("a token of Hugging Face", "hf_", rb"\bhf_[A-Za-z0-9]{34}\b"),
    _kind("a key of Azure", "AccountKey=", rb"\bAccountKey=[A-Za-z0-9+/]{60,100}={0,2}"),
    _kind("a key of Stripe", "k_live_", rb"\b[rs]k_live_[A-Za-z0-9]{16}"),
    _kind("a key of Google", "AIza", rb"\bAIza[A-Za-z0-9_-]{35}"),
    _kind("a key of Anthropic or OpenAI", "sk-", rb"\bsk-(?:ant|proj)-[A-Za-z0-9_-]{20}"),
    _kind("a token of Netlify", "nfp_", rb"\bnfp_[A-Za-z0-9]{36}"),
    _kind("a token of npm", "npm_", rb"\bnpm_[A-Za-z0-9]{36}"),
    _kind("a token of PyPI", "pypi-AgE", rb"\bpypi-AgE[A-Za-z0-9_-]{40}"),
    _kind("a key of SendGrid", "SG.", rb"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
)
_IN_DATA = (
    _kind(
        "a token in JSON",  # of a length and with a digit, as no word or sentence is
        'oken" auth"',
        rb'"(?:[A-Za-z]{1,20}_)?(?:[Tt]oken|auth)"\s*:\s*"(?:Bearer |Basic )?'
        rb"(?=[A-Za-z_.+/=-]{0,40}[0-9])[A-Za-z0-9_.+/=-]{20}",
    ),
    _kind(
        "a token in a header",
        "uthorization",
        rb"\b[Aa]uthorization['\"]?[ \t]{0,8}[:=][ \t]{0,8}['\"]?(?:Bearer|Basic|Token) "
        rb"(?=[A-Za-z_.~+/=-]{0,40}[0-9])[A-Za-z0-9_.~+/=-]{16}",
    ),
    _kind(
        "a secret in JSON",
        '_key" ey" ecret" oken" assword"',
        rb'"(?:[A-Za-z_]{0,40}(?:private_?[Kk]ey|[Ss]ecret|ccess_?[Kk]ey|[Aa]pi_?[Kk]ey|[Pp]assword)'
        rb'|(?:refresh|access|auth)_?[Tt]oken)"\s*:\s*"[^"\s]{8}',
    ),
    _kind(
        "a variable that is a secret",
        "SECRET PASSWORD PASSWD TOKEN API_KEY APIKEY PRIVATE_KEY",
        rb"(?m)^[ \t]{0,80}(?:export[ \t]{1,80})?"
        rb"[A-Z0-9_]{0,80}(?:SECRET|PASSWORD|PASSWD|TOKEN|API_?KEY|PRIVATE_KEY)[A-Z0-9_]{0,80}"
        rb"[ \t]{0,80}=[ \t]{0,80}['\"]?[^\s'\"]{8}",
    ),
    _kind(
        "a setting that is a secret",  # of INI, TOML, YAML and properties
        "assword asswd ecret pi_key piKey pikey rivate_key rivateKey ccess_key ccessKey",
        rb"(?m)^[ \t]{0,80}[A-Za-z0-9_.-]{0,80}"
        rb"(?:[Pp]assw(?:or)?d|[Ss]ecret|[Aa]pi_?[Kk]ey|[Pp]rivate_?[Kk]ey|[Aa]ccess_?[Kk]ey)"
        rb"[A-Za-z0-9_]{0,80}[ \t]{0,80}[=:][ \t]{0,80}['\"]?[^\s'\"]{8,200}['\"]?[ \t\r]{0,80}$",
    ),
    _kind(
        "a password in SQL",
        "PASSWORD password IDENTIFIED identified",
        rb"(?i)\b(?:user|role|login)\b[^;'\n]{1,200}\b(?:password|identified[ \t]{1,9}by)[ \t]{1,9}"
        rb"(?:=[ \t]{0,9})?'[^'\s]{8}",
    ),
    _kind(
        "an address with a password",
        "://",
        rb"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"]{1,80}:[^\s/@'\"]{3,80}@",
    ),
)


def named_like_secret(path: str) -> bool:
    """Tell whether one of the names in *path* says that a secret is kept there."""
    return any(_is_secret(name) for part in path.split("/") for name in _originals(part))


def secret_in_data(content: bytes) -> str | None:
    """Say what kind of secret *content* seems to hold, if any."""
    plain = _plain(content[:LOOKED_AT])
    return next((kind.what for kind in (*_KEYS, *_IN_DATA) if kind.search(plain)), None)


def secret_in_code(content: bytes) -> tuple[int, str] | None:
    """Return the line of a program that seems to hold a key, and what kind of key."""
    for kind in _KEYS:
        if match := kind.search(content):
            return content.count(b"\n", 0, match.start()) + 1, kind.what
    return None


def _plain(content: bytes) -> bytes:
    """Return *content* with a byte a character, where Windows has written two."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace").encode("utf-8", "replace")
    return content


def _originals(name: str) -> list[str]:
    """Return the forms of *name* that matter: in plain letters, and without marks of copies."""
    plain = unicodedata.normalize("NFKC", name).casefold().strip(" .")
    forms = [re.sub(r"[\s_-]+", "-", plain)]
    while shorter := _COPIES.sub("", forms[-1]):
        if shorter == forms[-1]:
            break
        forms.append(shorter)
    return forms


def _is_secret(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _NAMES)
