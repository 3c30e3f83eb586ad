"""Configurations handed over as mappings: the same as files where they can be, refused where they must be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import ConfigInvalid
from config.mapping import Foundation, environment_at, environment_of, spec_of
from config.plain import MAX_VALUES
from config.references import References
from config.vocabulary import Secret

KEY = "a-key-of-some-length"
RESOURCES = {"llm_providers": {"default": {"provider": "openai", "model": "gpt-4o", "api_key": "${KEY}"}}}


def problems(mapping: Any, **given: Any) -> dict[str, str]:
    """Return dotted key → message of all that is wrong with a mapping."""
    with pytest.raises(ConfigInvalid) as raised:
        spec_of("acme", mapping, **given)
    told = [(problem.key, f"{problem.message} ({problem.hint})") for problem in raised.value.problems]
    assert len(told) == len(dict(told)), "each key is told once"
    return dict(told)


# --- what it becomes ---------------------------------------------------------------------------------------------


def test_an_empty_mapping_is_a_bot_without_a_channel() -> None:
    spec = spec_of("acme", {})
    assert (spec.bot_id, spec.config.channel, spec.config.enabled) == ("acme", "none", True)


def test_the_base_lies_beneath_at_every_depth() -> None:
    base = {
        "channel": "telegram",
        "enabled": False,
        "llm": {"temperature": 0.3, "options": {"delay_s": 0.5, "seed": 1}},
    }
    spec = spec_of("acme", {"llm": {"options": {"seed": 2}}, "memory": {"max_messages": 4}}, base=base)
    assert spec.config.llm.options == {"delay_s": 0.5, "seed": 2}
    assert (spec.config.llm.temperature, spec.config.memory.max_messages) == (0.3, 4)
    assert (spec.config.channel, spec.config.enabled) == ("none", True)
    assert base["channel"] == "telegram"


def test_variables_and_their_secrets() -> None:
    spec = spec_of("acme", {"llm": {"provider": "openai", "model": "m", "api_key": "${KEY}"}}, environ={"KEY": KEY})
    assert spec.config.llm.api_key == Secret(KEY)
    assert spec.secrets == {KEY}
    assert KEY not in repr(spec)


def test_a_resource_is_taken_with_what_stands_beside_it_as_defaults() -> None:
    own = {"llm": {"$resource": "default", "type": "llm_providers", "model": "mine", "temperature": 0.1}}
    llm = spec_of("acme", own, environ={"KEY": KEY}, resources=RESOURCES).config.llm
    assert (llm.provider, llm.model, llm.temperature) == ("openai", "gpt-4o", 0.1)


def test_defaults_of_the_environment_lie_between_base_and_mapping() -> None:
    resources = {"defaults": {"reply": {"max_parts": 3}, "memory": {"max_messages": 3}}}
    found = Foundation(
        {"reply": {"max_parts": 2}, "limits": {"user_per_min": 7}}, environment=environment_of(resources)
    )
    config = found.spec_of("acme", {"memory": {"max_messages": 4}}).config
    assert (config.reply.max_parts, config.memory.max_messages, config.limits.user_per_min) == (3, 4, 7)


def test_an_environment_is_a_file_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "production.toml").write_text('[llm_providers.default]\nprovider = "echo"\noptions = { seed = 5 }\n')
    found = Foundation(environment=environment_at("production", tmp_path))
    own = {"llm": {"$resource": "default", "type": "llm_providers"}}
    assert found.spec_of("acme", own).config.llm.options == {"seed": 5}
    with pytest.raises(ConfigInvalid, match=r'no "defalt".*did you mean default'):
        found.spec_of("acme", {"llm": {"$resource": "defalt", "type": "llm_providers"}})
    with pytest.raises(ConfigInvalid, match=r'no environment "prodution".*did you mean production'):
        environment_at("prodution", tmp_path)
    (tmp_path / "broken.toml").write_text("x = ")
    with pytest.raises(ConfigInvalid, match=r"broken\.toml:1"):
        environment_at("broken", tmp_path)


def test_older_names_of_keys_are_understood() -> None:
    spec = spec_of("acme", {"system_prompt": "Be kind.", "conversation_storage": {"backend": "memory"}})
    assert spec.config.prompts.system == "Be kind."


def test_any_mapping_and_any_sequence_will_do() -> None:
    own: Mapping[str, Any] = MappingProxyType({"llm": MappingProxyType({"choices": ("a", "b")})})
    assert spec_of("acme", own).config.llm.choices == ("a", "b")


def test_where_values_come_from_can_be_told() -> None:
    spec = spec_of("acme", {"llm": {"temperature": 0.2}}, base={"reply": {"max_parts": 3}})
    assert (spec.origins()["llm.temperature"].layer, spec.origins()["reply.max_parts"].layer) == ("bot", "fleet")


# --- what is refused ---------------------------------------------------------------------------------------------


def test_everything_wrong_is_told_at_once_by_its_key() -> None:
    found = problems(
        {
            "llm": {"provider": "ollama", "modl": "x"},
            "memory": {"type": "vector"},
            "commands": [{"name": "ok", "text": "x"}, {"name": "no", "txt": "x"}],
            "conversation_storage": {"backend": "postgres", "host": "db"},
            "channel": "telegram",
            "enabled": False,
        }
    )
    assert found.keys() >= {
        "llm.provider", "llm.modl", "memory.type", "commands[1].txt", "conversation_storage.backend",
        "conversation_storage.host", "channel", "enabled",
    }  # fmt: skip
    assert "did you mean model?" in found["llm.modl"]
    assert '"none" or "buffer" or "summary"' in found["memory.type"]
    assert 'allowed: "memory" or "sqlite"' in found["conversation_storage.backend"]


@pytest.mark.parametrize("reference", ["file:/run/secrets/key", "cmd:cat key"])
def test_a_mapping_reads_no_files_and_runs_no_programs(reference: str) -> None:
    assert problems({"llm": {"provider": "openai", "model": "m", "api_key": reference}}).keys() == {"llm.api_key"}
    headers = {"tools": [{"name": "t", "kind": "http", "url": "https://example.org", "headers": {"X": reference}}]}
    assert problems(headers).keys() == {"tools[0].headers.X"}
    assert problems({}, base={"llm": {"api_key": reference}}).keys() == {"llm.api_key"}


def test_references_given_serve_the_base_and_resources_alone(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    references = References(tmp_path, {})
    base = {"llm": {"provider": "openai", "model": "m", "api_key": "file:key"}}
    found = Foundation(base, references=references)
    assert found.secrets == {KEY}
    assert found.spec_of("acme", {}).config.llm.api_key == Secret(KEY)
    with pytest.raises(ConfigInvalid, match=r"llm\.api_key: file: and cmd:"):
        found.spec_of("acme", {"llm": {"api_key": "file:key"}})


def test_a_key_does_not_go_to_another_provider() -> None:
    base = {"llm": {"provider": "openai", "model": "m", "api_key": KEY}}
    assert problems({"llm": {"provider": "anthropic", "model": "m"}}, base=base).keys() == {"llm.provider"}


def test_no_problem_quotes_a_secret() -> None:
    own = {"llm": {"provider": "openai", "api_key": KEY, "temperature": "${KEY}"}, "voice": {"api_key": 5}}
    told = problems(own, environ={"KEY": KEY})
    assert told.keys() >= {"llm.temperature", "llm.model", "voice.api_key"}
    assert KEY not in str(told)


def test_what_no_configuration_can_hold() -> None:
    circle: dict[str, Any] = {}
    circle["llm"] = {"options": circle}
    wide: list[Any] = [1]
    for _ in range(12):
        wide = [wide] * 10
    assert any("nested too deeply" in text for text in problems(circle).values())
    assert f"more than {MAX_VALUES} values" in problems({"llm": {"options": {"x": wide}}})[""]
    assert "a mapping" in problems([1])[""]
    odd = {"a": b"x", "b": 2**70, "c": "\ud800", "d": {3: 4}, "e": float("nan"), "f": {1}}
    found = problems(
        {"llm": {"provider": "openai", "model": "m", "api_key": "${K}", "options": odd}}, environ={"K": KEY}
    )
    assert found.keys() == {f"llm.options.{name}" for name in "abcdef"}


def test_a_bad_id_and_a_bad_base() -> None:
    with pytest.raises(ConfigInvalid, match='"A B" cannot name a bot'):
        spec_of("A B", {})
    with pytest.raises(ConfigInvalid, match=r"base configuration: llmm.*did you mean llm\?"):
        Foundation({"llmm": {}})
    with pytest.raises(ConfigInvalid, match="tables are allowed here"):
        spec_of("acme", {}, resources={"llm_providers": 3})  # type: ignore[dict-item]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["llm", "tools", "commands", "memory", "system_prompt", "conversation_storage", "texts", "name"]
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_whatever_is_handed_over_is_a_bot_or_told(mapping: dict[str, Any]) -> None:
    """Nothing but ConfigInvalid comes out, with a sentence for each problem."""
    told = [""]
    try:
        spec_of("acme", mapping, environ={})
    except ConfigInvalid as error:
        told = [problem.message for problem in error.problems]
    else:
        told = ["none"]
    assert all(told)
