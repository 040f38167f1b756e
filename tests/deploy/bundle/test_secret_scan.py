"""What looks like a secret, and what does not. No key in here opens anything."""

from __future__ import annotations

import time

import pytest

from kit.deploy.bundle.secret_scan import (
    LOOKED_AT,
    named_like_secret,
    secret_in_code,
    secret_in_data,
)


@pytest.mark.parametrize(
    "name",
    [
        *("server.key", "cert.PEM", "id_rsa", "id_ed25519", "id_ed25519.old", "ID_ECDSA"),
        *("credentials", "credentials.json", "my-credentials.yaml", "aws_credentials.csv"),
        *("token.json", "Token.JSON", "api_token.txt", "access token.txt", "client_secret_1.json"),
        *("secret.json", "secrets.toml", "password.txt", "passwords.csv", "db_passwd"),
        *("prod.env", "env.production", "env", "app.env.local", "terraform.tfstate", "x.tfvars"),
        *("runs.sqlite3", "users.db", "service-account-prod.json", "serviceAccountKey.json"),
        *("server.key.bak", "server.key~", "server.key.bak.1", "token.json (1)", "token.json.old"),
        *("\uff54\uff4f\uff4b\uff45\uff4e.json", "server.key "),
        *("a/secrets/list.csv", "credentials/en.txt"),
        *("tokens.json", "api_tokens.csv"),
        *("gcp-key.json", "ssh_key", "cookies.txt", "oauth_client.json", "kube.config"),
        *("_netrc", ".netrc", "krb5.keytab", "store.bks", "session.cookie", "pg.dump"),
        *("dump.sql", "db_dump.sql.gz", "dump-2026.sql", "backup.sql", "prod-backup.sql.bz2"),
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert named_like_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "keys.json",
            "table.csv",
            "added_tokens.json",
            "tokens.txt",
            "tokenizer.json",
            "special_tokens_map.json",
            "environment.txt",
        ),
        *("schema.sql", "queries/dumplings.sql", "migrations/0001_backup_codes.sql"),
        *("monkey.txt", "passenger.csv", "database.json", "keyboard.txt", "prompts/hello.txt"),
    ],
)
def test_names_of_other_things(name: str) -> None:
    assert not named_like_secret(name)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("-----BEGIN " + "RSA PRIVATE KEY-----", "a private key"),
        ("-----BEGIN " + "PRIVATE KEY-----", "a private key"),
        ("-----BEGIN " + "PGP PRIVATE KEY BLOCK-----", "a private key"),
        ("key: AK" + "IA" + "Q" * 16, "a key of AWS"),
        ("gh" + "p_" + "a" * 36, "a token of GitHub"),
        ("nf" + "p_" + "a" * 36, "a token of Netlify"),
        ("hf" + "_" + "aB" * 17, "a token of Hugging Face"),
        (
            "https://hooks.slack" + ".com/services/T0000AAAA/B0000AAAA/" + "a" * 24,
            "an address of a Slack webhook",
        ),
        ("x;Account" + "Key=" + "a" * 86 + "==;y", "a key of Azure"),
        ('{"token": "%s"}' % ("a1" * 10), "a token in JSON"),
        ('{"bot_token":"%s"}' % ("a1" * 10), "a token in JSON"),
        ('{"auths": {"x": {"auth": "%s=="}}}' % ("a1" * 10), "a token in JSON"),
        ("Authorization: Bearer " + "a1" * 10, "a token in a header"),
        ('{"authorization": "Basic %s"}' % ("a1" * 10), "a token in a header"),
        ('{"client_secret": "abcdefghij"}', "a secret in JSON"),
        ("A=1\n  export MY_API_KEY='abcdefghij'", "a variable that is a secret"),
        ('{"aws_secret_access_key": "abcdefghij"}', "a secret in JSON"),
        ('{"dbPassword":"abcdefghij"}', "a secret in JSON"),
        ("[db]\npassword = hunter2pass", "a setting that is a secret"),
        ("db:\n  apiKey: 'hunter2pass'", "a setting that is a secret"),
        ("spring.datasource.password=hunter2pass\r", "a setting that is a secret"),
        ("CREATE USER me WITH PASSWORD 'hunter2pass';", "a password in SQL"),
        ("create user me identified by 'hunter2pass'", "a password in SQL"),
        ("url: postgres://me:hunter2@db.example/x", "an address with a password"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_contents_of_secrets(content: str, what: str, encoding: str) -> None:
    assert secret_in_data(f"\n{content}\n".encode(encoding)) == what


@pytest.mark.parametrize(
    "content",
    [
        "-----BEGIN CERTIFICATE-----",
        "the password = something you know",
        "ALTER USER me PASSWORD NULL; -- password 'x'",
        "SELECT password FROM users WHERE name = 'somebody else'",
        "TOKEN_COUNT=12",
        "secret: see the wiki",
        "monkey = abcdefghij",
        '{"password": "Your password"}',
        '{"token": "##ing", "auth": "required", "pad_token": "[PAD]", "id_token": "a short one"}',
        '{"token": "antidisestablishmentarianism"}',
        "Authorization: Bearer YOUR_TOKEN_GOES_HERE",
        '{"token": "a sentence with many words in it"}',
        "Authorization: Bearer $TOKEN, or Authorization: Bearer <your token>",
        "hf_hub_download(repo_id) AccountKey=... https://hooks.slack.com/services/...",
        "see https://example.org/a:b@c or mailto:me@example.org",
        "",
    ],
)
def test_contents_of_other_things(content: str) -> None:
    assert secret_in_data(content.encode()) is None


def test_in_code_keys_only_are_looked_for() -> None:
    assert secret_in_code(b"API_KEY = 'from-the-environment'\n") is None
    assert secret_in_code(b"a = 1\n\nb = '" + b"gh" + b"p_" + b"a" * 36 + b"'") == (
        3,
        "a token of GitHub",
    )


@pytest.mark.parametrize(
    "content",
    [
        b"A",
        b"\n",
        b" ",
        b"http://",
        b"a_",
        b"BEGIN ",
        b'"password"',
        b'"token"',
        b'a_token"',
        b'"auth":"',
        b"Authorization",
        b"a_passwd",
        b"ecret=",
    ],
)
def test_looking_takes_time_in_proportion(content: bytes) -> None:
    large = (content * LOOKED_AT)[: LOOKED_AT // 8]
    began = time.process_time()

    assert secret_in_data(large) is None
    assert time.process_time() - began < 5  # a pattern that looks back would take minutes
