"""The reference page and the JSON Schemas say what the models say."""

from __future__ import annotations

from config.keys import bot_keys, fleet_keys, headed_tables, keys_of
from config.reference import PAGE, bot_schema, environment_schema, fleet_schema, with_tables
from config.schema import BotConfig, FleetConfig


def test_the_page_is_current() -> None:
    """docs/configuration.md holds the tables the models give; if not: python -m config.reference."""
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page) == page


def test_every_key_is_told_in_full() -> None:
    """Help, what it takes and its effect; a raw number has its unit."""
    tables = {*headed_tables(BotConfig).values(), *headed_tables(FleetConfig).values()}
    for model in tables:
        for key in keys_of(model).values():
            assert key.help.endswith("."), key.dotted
            assert key.allowed, key.dotted
            assert key.unit or key.kind not in {int, float} or key.path[-1] == "temperature", key.dotted


def test_every_example_and_default_is_taken() -> None:
    """What the reference shows would load."""
    import tomllib

    for key in bot_keys().values():
        if key.example:
            text = (
                "".join(f"[{'.'.join(key.path[:-1])}]\n" if key.path[:-1] else "") + f"{key.path[-1]} = {key.example}"
            )
            BotConfig.model_validate(tomllib.loads(text))
    for table in {*headed_tables(BotConfig).values(), *headed_tables(FleetConfig).values()}:
        for key in keys_of(table).values():
            if key.example and len(key.path) == 1:
                assert tomllib.loads(f"x = {key.example}"), key.dotted
                table.model_validate(tomllib.loads(f"{key.path[0]} = {key.example}"))
    BotConfig.model_validate({})
    FleetConfig.model_validate({})


def test_the_schemas_know_every_key() -> None:
    """Of a bot file, of fleet.toml with [defaults], of an environment."""
    bot, fleet, environment = bot_schema(), fleet_schema(), environment_schema()
    for schema, keys in ((bot, bot_keys()), (fleet, fleet_keys())):
        for path in keys:
            table = schema
            for name in path[:-1]:
                table = _followed(table["properties"][name], schema)
            assert path[-1] in table["properties"], path
            assert table["additionalProperties"] is False
    for schema, names in ((bot, ("tools", "commands")), (fleet, ("prices",))):
        for name in names:
            item = _followed(schema["properties"][name]["items"], schema)
            assert item["additionalProperties"] is False
            assert "" not in item["properties"].get("kind", {}).get("enum", [])
    assert "url" in bot["$defs"]["ToolSection"]["properties"]
    assert "llm" in _followed(fleet["properties"]["defaults"], fleet)["properties"]
    assert "llm" in _followed(environment["properties"]["defaults"], environment)["properties"]


def test_the_schemas_let_resources_and_references_in() -> None:
    """ "$resource" in any table; ${NAME} for a number; no null, which TOML lacks."""
    bot = bot_schema()
    for table in bot["$defs"].values():
        assert {"$resource", "$requires", "type"} <= table["properties"].keys()
    lanes = bot["$defs"]["LimitsSection"]["properties"]["max_lanes"]
    assert [part["type"] for part in lanes["anyOf"]] == ["integer", "string"]
    assert '"null"' not in str(bot)
    assert bot["$defs"]["MemorySection"]["then"]["properties"]["type"]["enum"] == ["none", "buffer", "summary"]


def test_schemas_are_json() -> None:
    """Nothing in them is only Python's."""
    import json

    for schema in (bot_schema(), fleet_schema(), environment_schema()):
        assert json.loads(json.dumps(schema)) == schema


def _followed(rule, schema):
    return schema["$defs"][rule["$ref"].rsplit("/", 1)[1]] if "$ref" in rule else rule
