"""What is bound to a machine or gives a secret away is refused, in any spelling; what is not goes through."""

from __future__ import annotations

from typing import Any

import pytest

from config.portability import problems

TOKEN = "123456789:AAabcdefghijklmnopqrstuvwxyz012345"
API_KEY = "sk-abcdefghijklmnop1234"

PATHS = (
    "/", "/data", "/data/my docs/x", "~", "~/x", "~bob", "~bob/x", "C:", "C:\\x", "c:/x", "\\\\srv\\share", "//srv/share",
    "\\\\?\\C:\\x", "\\Windows", "$HOME/x", "%APPDATA%\\x", "@/etc/passwd", "-I/usr", "--root=/srv", "see /etc/x", "[/etc/x]", "x,/etc",
    "%2Fetc%2Fpasswd", "a:/etc", "file:///x", "FILE:x", "file:/etc", "file:relative", "sqlite:////data/x.db",
    "sqlite:///C:/x", "unix:///run/x.sock", "http+unix://%2Fvar%2Frun", "postgres:///db",
)  # fmt: skip
LOOPBACKS = (
    "localhost", "LOCALHOST", "localhost.", "localhost:80", "git@localhost:repo", "db.localhost", "localhost.localdomain",
    "http://localhost/x", "HTTP://LocalHost.:80/", "http://user@localhost", "http://%6c%6fcalhost", "http://local\thost/",
    "http:\\\\localhost\\x", "http://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3", "http://127\u30020\u30020\u30021",
    "http://\uff11\uff12\uff17.0.0.1", "http://loc\u00adalhost", "http://127.0.0.1", "http://127.1", "127.255.3.4",
    "http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.0x1", "http://0177.0.0.1", "http://017700000001",
    f"http://{'0' * 300}177.0.0.1", "http://0.0.0.0", "http://0/", "0.0.0.0:80", "::1", "[::1]:80", "http://[::1]:8080/",
    "0:0:0:0:0:0:0:1", "http://[::]", "http://[::ffff:127.0.0.1]", "http://[::ffff:7f00:1]/", "http://[::127.0.0.1]",
    "http://[64:ff9b::7f00:1]", "http://[2002:7f00:1::]", "http://127.0.0.1.nip.io", "http://localtest.me", "http:localhost", "http://[::ffff:0:7f00:1]/", "redis://:6379", "sip:user@127.0.0.1",
    "host=localhost port=5432", "jdbc:postgresql://127.0.0.1/x", "mongodb://a.example.org,localhost:27017/db",
)  # fmt: skip
NETWORKS = (
    "10.0.0.1", "192.168.1.1:80", "172.16.0.1", "100.64.0.1", "169.254.169.254", "http://0xa9fea9fe/", "http://010.0.0.1",
    "[fc00::1]", "fe80::1", "http://[fe80::1%25eth0]/", "http://[::ffff:10.0.0.1]", "db.internal", "x.local.",
    "http://printer.LOCAL/", "host.docker.internal:11434", "nas.lan", "224.0.0.1", "10.0.0.1/8", "router.home.arpa",
)  # fmt: skip
PORTABLE = (
    "", "data/x", "./x", "../x", "https://example.org/a/b", "https://user@example.org/x", "example.org:80", "8.8.8.8",
    "1.2", "10.5", "127", "2130706433", "gpt-4o", "text/html", "application/json; charset=utf-8", "a/b", "12:30",
    "https://api.example.org/weather/{city}", "orders:find", "Europe/Berlin", "s3://bucket/key", "#/definitions/x",
    "sqlite:///relative.db", "http://[2606:4700::1111]/", "localhostess", "my-localhost-thing", "every ~10 min", "~ 5", "</s>",
    "${DATA}/x", "/data/${CUSTOMER}", "http://${HOST}:80", "${URL:-http://localhost:11434}",
)  # fmt: skip


@pytest.mark.parametrize("text", [*PATHS, *LOOPBACKS, *NETWORKS])
def test_what_is_bound_to_a_machine_is_refused(text: str) -> None:
    """As a value, within lists and tables, and as a name."""
    assert [key for key, _ in problems({"llm": {"options": {"x": text}}})] == ["llm.options.x"]
    assert [key for key, _ in problems({"llm": {"options": {"l": [1, {"y": [text]}]}}})] == ["llm.options.l[1].y[0]"]
    assert [reason[:8] for _, reason in problems({"llm": {"options": {text: 1}}})] == ["its name"]


@pytest.mark.parametrize("text", PORTABLE)
def test_what_means_the_same_everywhere_is_not(text: str) -> None:
    assert problems({"llm": {"options": {"x": text, "l": [{"y": text}]}}}) == []


@pytest.mark.parametrize("value", ["2130706433", 2130706433, "127.1", "0x7f.1", "1", "[::1]"])
def test_a_bare_number_is_an_address_where_a_host_stands(value: Any) -> None:
    assert problems({"llm": {"options": {"host": value}}})
    assert problems({"llm": {"options": {"server": {"address": value}}}})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_key", "x"), ("apiKey", "x"), ("x-api-key", "x"), ("password", "hunter2"), ("password", 1234), ("dbPassword", "x"),
        ("authToken", "x"), ("token", "x"), ("Authorization", "Basic x"), ("client_secret", "x"), ("sort_key", "aB3kd92mslakd83jAA"),
        ("note", API_KEY), ("note", f"so: {TOKEN}!"), ("note", "AKIAABCDEFGHIJKLMNOP"), ("note", "ghp_" + "a1" * 18),
        ("note", "eyJhbGciOiJI.eyJzdWIiOiIx.c2ln"), ("note", "Bearer abcdefghijklmnop123"), ("note", "-----BEGIN RSA PRIVATE KEY-----"),
        ("dsn", "postgres://u:pw@example.org/db"), ("api_key", API_KEY + "${X}"), ("x", "${X:-" + API_KEY + "}"),
        ("tokens", ["x"]), ("secrets", {"a": {"b": "x"}}),
    ],
)  # fmt: skip
def test_literal_secrets_are_refused_and_never_quoted(name: str, value: Any) -> None:
    found = problems({"llm": {"options": {name: value}}})
    assert len(found) == 1
    assert found[0].key.startswith(f"llm.options.{name}")
    assert "as it is" in found[0].reason
    for secret in (API_KEY, TOKEN, "hunter2", "pw@"):
        assert secret not in str(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_key", "${KEY}"), ("password", ""), ("password", True), ("max_tokens", 300), ("max_tokens", "300"), ("tokenizer", "cl100k"),
        ("author", "Jane"), ("auth_type", "basic"), ("auth_header", "X-Key"), ("token_limit", "5"), ("stop_token", "</s>"),
        ("sort_key", "name"), ("port", 8080), ("host", "example.org"), ("host", "example.org:80"), ("url", "https://example.org"), ("timeout", 16777215),
    ],
)  # fmt: skip
def test_harmless_keys_go_through(name: str, value: Any) -> None:
    assert problems({"llm": {"options": {name: value}}}) == []


def test_keys_of_the_schema_that_are_secrets() -> None:
    found = problems({"llm": {"api_key": "x"}, "voice": {"api_key": "cmd:pass show x"}, "telegram": {"token": "y"}})
    assert [key for key, _ in found] == ["llm.api_key", "voice.api_key", "telegram.token"]


def test_a_resource_excuses_its_own_name_only() -> None:
    own = {"$resource": "localhost", "type": "/odd", "base_url": "http://localhost:1", "nested": {"x": "/data"}}
    assert [key for key, _ in problems({"llm": own})] == ["llm.base_url", "llm.nested.x"]
    assert [key for key, _ in problems({"a": {"type": "/odd"}})] == ["a.type"]


def test_a_literal_reference_excuses_nothing() -> None:
    assert problems({"x": "$${HOME}/y /z"})
    assert problems({"x": "/z ${"})
    assert problems({"x": ["${A}", "/z"], "y": "/z"}) == [("x[1]", problems({"y": "/z"})[0][1]), *problems({"y": "/z"})]


def test_sentences_may_mention_what_they_like() -> None:
    prose = {
        "name": "localhost",
        "prompts": {"system": "Say /start, or see http://localhost:80 and /etc/passwd."},
        "commands": [{"name": "x", "text": "Type /help now", "buttons": ["/help"]}],
        "tools": [{"description": "km / h", "parameters": {"city": {"description": "as in /etc/x, say"}}}],
    }
    assert problems(prose) == []
    assert [key for key, _ in problems({"prompts": {"system": "/etc/passwd"}})] == ["prompts.system"]
    assert [key for key, _ in problems({"prompts": {"system": f"Use {API_KEY} always."}})] == ["prompts.system"]
    assert [key for key, _ in problems({"tools": [{"url": "http://localhost"}]})] == ["tools[0].url"]


def test_a_secret_that_is_a_name_is_not_told() -> None:
    found = problems({"llm": {"options": {TOKEN: {"x": "/data"}}}})
    assert len(found) == 2
    assert TOKEN not in str(found)


def test_everything_is_told_at_once_in_order() -> None:
    config = {"b": "/x", "a": ["localhost", {"password": "p"}], "c": {"/y": 1}}
    assert [key for key, _ in problems(config)] == ["b", "a[0]", "a[1].password", 'c."/y"']


def test_circles_and_bombs_end() -> None:
    circle: dict[str, Any] = {"x": "/data"}
    circle["again"] = circle
    assert {"x", "again.x"} <= {key for key, _ in problems(circle)}


@pytest.mark.parametrize(
    "unit",
    [
        "a.",
        "eyJ-",
        "${A:-",
        ":",
        "0",
        "http://",
        "http://a:",
        "bearer ",
        "1",
        "%25",
        "/",
        "~",
        "sk-",
        "a@",
        "[::",
        "1.",
    ],
)
def test_a_long_text_costs_what_its_length_says(unit: str) -> None:
    """A pattern that looks again from every place would never end."""
    long = unit * (200_000 // len(unit))
    found = problems({"llm": {"options": {"host": long}}})
    assert all(len(reason) < 200 for _, reason in found)
