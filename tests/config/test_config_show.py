"""What counts, shown: in TOML and JSON, with origins, without secrets."""

from __future__ import annotations

import tomllib

import pytest

from config.show import as_json, as_text

BOT = """
name = "Shown"
client_id = "by mistake sk-very-secret"
channel = "none"
[telegram]
base_url = "http://user:${PROXY_PW}@127.0.0.1:1/${SEGMENT}"
[llm]
api_key = "${KEY}"
[llm.options]
delay_s = 0.5
headers = { Authorization = "Bearer abcdefgh", Accept = "json" }
note = "key is ${KEY}"
[prompts]
system = "line one\\nmy password is ${KEY}"
"""


@pytest.fixture
def snapshot(folder):
    folder.environ = {"PROXY_PW": "pw1", "KEY": "sk-very-secret", "SEGMENT": "bot"}
    folder.write("fleet.toml", '[defaults.limits]\nmax_lanes = 3\n[defaults.llm]\nprovider = "openai"\nmodel = "m"\n')
    folder.bot("a", BOT)
    made = folder.load()
    assert not made.problems
    return made


def test_the_text_is_toml_of_what_counts(snapshot) -> None:
    """It reads back as the effective values, masks in place of secrets; unset keys are comments."""
    text = as_text(snapshot.bots["a"], snapshot.secrets)
    data = tomllib.loads(text)
    assert data["limits"].items() >= {"max_open_updates": 1000, "max_lanes": 3}.items()
    assert data["tools"] == []
    assert data["telegram"]["base_url"] == "http://user:••••••@127.0.0.1:1/bot"
    assert data["llm"]["api_key"] == "••••••"
    assert data["llm"]["options"]["headers"] == {"Authorization": "••••••", "Accept": "json"}
    assert data["prompts"]["system"] == "line one\nmy password is ••••••"
    assert data["client_id"] == "by mistake ••••••"
    assert "# temperature is not set" in text


def test_origins_name_file_line_and_column(snapshot, folder) -> None:
    """Relative to the fleet's folder; built-in defaults say so."""
    lines = as_text(snapshot.bots["a"], snapshot.secrets, folder.root, origin=True).splitlines()
    told = {line.split(" = ")[0]: line.rsplit("# ", 1)[1] for line in lines if " = " in line}
    assert told["name"] == "bots/a.toml:1:1"
    assert told["max_lanes"] == "fleet.toml:2:1"
    assert told["max_messages"] == "built-in default"


def test_the_json_form_has_values_and_origins(snapshot, folder) -> None:
    """Nested values under `config`, dotted keys under `origins`."""
    document = as_json(snapshot.bots["a"], snapshot.secrets, folder.root)
    assert (document["bot_id"], document["file"]) == ("a", "bots/a.toml")
    assert document["config"]["limits"]["max_lanes"] == 3
    assert document["config"]["llm"]["temperature"] is None
    assert document["origins"]["limits.max_lanes"] == {"layer": "fleet", "file": "fleet.toml", "line": 2, "column": 1}
    assert document["origins"]["llm.options.delay_s"]["line"] == 9


def test_no_secret_shows_even_without_the_list_of_secrets(snapshot, folder) -> None:
    """Names and shapes are enough; short secrets too."""
    folder.bot("a", BOT.replace("sk-very-secret", ""))
    spec = folder.load().bots["a"]
    for shown in (as_text(spec), as_text(spec, origin=True), str(as_json(spec))):
        for secret in ("pw1", "sk-very-secret", "abcdefgh"):
            assert secret not in shown
