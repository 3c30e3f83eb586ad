"""Named resources: taken, layered, required of, and refused with what exists."""

from __future__ import annotations

import pytest

ENVIRONMENT = """
[llm_providers.default]
provider = "openai"
model = "resource-model"
base_url = "http://127.0.0.1:1/v1"
api_key = "${KEY}"
temperature = 0.7
capabilities = ["chat", "tools"]

[llm_providers.other]
provider = "echo"

[memories.long]
type = "buffer"
max_messages = 99
"""


@pytest.fixture
def stage(folder):
    folder.environ = {"KEY": "key-of-default"}
    folder.write("environments/prod.toml", ENVIRONMENT)
    folder.write("fleet.toml", '[fleet]\nenvironment = "prod"\n')
    return folder


def llm(folder, bot_id="a"):
    snapshot = folder.load()
    assert not snapshot.problems
    return snapshot.bots[bot_id].config.llm


def test_a_table_takes_a_resource_over_the_keys_beside_it(stage) -> None:
    """Keys beside are defaults: the resource's win, others stay."""
    stage.bot("a", '[llm]\n"$resource" = "default"\ntype = "llm_providers"\ntemperature = 0.1\ntimeout_s = 5\n')
    made = llm(stage)
    assert (made.model, made.temperature, made.timeout_s) == ("resource-model", 0.7, 5)
    assert made.api_key is not None
    assert made.api_key.reveal() == "key-of-default"


def test_a_resource_may_bring_a_type_of_its_own(stage) -> None:
    """`type` beside "$resource" is the sort of resource; the table's own key of that name comes from the resource."""
    stage.bot("a", '[memory]\n"$resource" = "long"\ntype = "memories"\n')
    assert stage.load().bots["a"].config.memory.max_messages == 99


def test_a_stronger_layer_wins_over_a_resource_of_a_weaker_one(stage) -> None:
    """A bot's own key counts although the resource below names it too."""
    stage.write(
        "environments/prod.toml", ENVIRONMENT + '[defaults.llm]\n"$resource" = "default"\ntype = "llm_providers"\n'
    )
    stage.bot("a", '[llm]\nmodel = "own"\n')
    assert llm(stage).model == "own"


def test_a_bots_resource_takes_the_place_of_the_one_below_as_a_whole(stage) -> None:
    """No key of one provider is left under the address of another; plain keys of the layer below stay."""
    below = '[defaults.llm]\n"$resource" = "default"\ntype = "llm_providers"\ntimeout_s = 9\n'
    stage.write("fleet.toml", '[fleet]\nenvironment = "prod"\n' + below)
    stage.bot("a", '[llm]\n"$resource" = "other"\ntype = "llm_providers"\n')
    made = llm(stage)
    assert (made.provider, made.api_key, made.model, made.timeout_s) == ("echo", None, "", 9)


def test_resources_take_resources_and_add_their_capabilities(stage) -> None:
    """A chain is followed; names may hold variables."""
    stage.environ["WHICH"] = "mini"
    stage.write(
        "environments/prod.toml",
        ENVIRONMENT
        + '[llm_providers.mini]\n"$resource" = "base"\ntype = "llm_providers"\nmodel = "x"\ncapabilities = ["fast"]\n'
        + '[llm_providers.base]\nprovider = "echo"\nmodel = "mini"\ncapabilities = ["chat"]\n',
    )
    stage.bot("a", '[llm]\n"$resource" = "${WHICH}"\ntype = "llm_providers"\n"$requires" = ["fast", "chat"]\n')
    assert llm(stage).model == "mini"


@pytest.mark.parametrize(
    ("table", "column", "message", "hint"),
    [
        (
            '"$resource" = "defalt"\ntype = "llm_providers"',
            15,
            'environments/prod.toml has no "defalt" in [llm_providers]',
            "there are: default, other; did you mean default?",
        ),
        (
            '"$resource" = "default"\ntype = "llm_provider"',
            8,
            'environments/prod.toml has no resources of type "llm_provider"',
            "there are: llm_providers, memories; did you mean llm_providers?",
        ),
        (
            '"$resource" = "default"',
            15,
            '"$resource" needs type beside it, the sort of resource',
            "one of: llm_providers, memories",
        ),
        ('"$resource" = 3\ntype = "llm_providers"', 15, "$resource must be a text, not empty", ""),
        ('"$requires" = ["chat"]', 15, '"$requires" stands without "$resource"', 'name a "$resource"'),
        (
            '"$resource" = "default"\ntype = "llm_providers"\n"$requires" = "chat"',
            15,
            '"$requires" must be a list of texts',
            '"$requires" = ["tools"]',
        ),
        (
            '"$resource" = "default"\ntype = "llm_providers"\n"$requires" = ["vision", "chat"]',
            15,
            "llm_providers.default of environments/prod.toml does not offer vision",
            "it offers: chat, tools (capabilities = [...] of the resource)",
        ),
        (
            '"$resource" = "other"\ntype = "llm_providers"\n"$requires" = ["chat"]',
            15,
            "llm_providers.other of environments/prod.toml does not offer chat",
            "it offers none (capabilities = [...] of the resource)",
        ),
        (
            '"$resource" = "${NOPE}"\ntype = "llm_providers"',
            15,
            "the variable NOPE is not set",
            "set it in the environment or in .env",
        ),
    ],
)
def test_what_cannot_be_resolved_says_what_exists(stage, table: str, column: int, message: str, hint: str) -> None:
    """One located problem each, and the bot is absent: never an empty table."""
    stage.bot("a", f"[llm]\n{table}\n")
    snapshot = stage.load()
    (problem,) = snapshot.problems
    assert (problem.message, problem.hint, problem.column) == (message, hint, column)
    assert problem.bot_id == "a"
    assert not snapshot.bots


def test_a_circle_of_resources_is_shown(stage) -> None:
    """The way round is told, at the place where it closes."""
    circle = '[c.one]\n"$resource" = "two"\ntype = "c"\n[c.two]\n"$resource" = "one"\ntype = "c"\n'
    path = stage.write("environments/prod.toml", circle)
    stage.bot("a", '[llm]\n"$resource" = "one"\ntype = "c"\n')
    problem = stage.problem()
    assert problem.message == "resources go round in a circle: c.one → c.two → c.one"
    assert (problem.file, problem.line, problem.key) == (path, 5, "c.two.$resource")


def test_resources_that_multiply_are_stopped(stage) -> None:
    """Ten levels of two each would be a thousand: the hundredth is refused."""
    levels = [
        f'[x.n{n}.a]\n"$resource" = "n{n + 1}"\ntype = "x"\n[x.n{n}.b]\n"$resource" = "n{n + 1}"\ntype = "x"\n'
        for n in range(12)
    ]
    stage.write("environments/prod.toml", "".join(levels) + "[x.n12]\n")
    stage.bot("a", '[llm.options]\n"$resource" = "n0"\ntype = "x"\n')
    assert any(problem.message == "takes more than 100 resources" for problem in stage.problems())


@pytest.mark.parametrize("how", ["fleet.toml", "BOTDECK_ENV", "--env"])
def test_a_misspelled_environment_says_which_there_are(stage, how: str) -> None:
    """However it is chosen; bots that need it say nothing more, and are absent."""
    stage.bot("a", '[llm]\n"$resource" = "default"\ntype = "llm_providers"\n')
    if how == "fleet.toml":
        stage.write("fleet.toml", '[fleet]\nenvironment = "pord"\n')
    stage.environ |= {"BOTDECK_ENV": "pord"} if how == "BOTDECK_ENV" else {}
    snapshot = stage.load(environment="pord" if how == "--env" else None)
    (problem,) = snapshot.problems
    assert problem.message.startswith('there is no environment "pord"')
    assert problem.hint == "there are: prod; did you mean prod?"
    assert (problem.line, problem.column) == ((2, 15) if how == "fleet.toml" else (0, 0))
    assert snapshot.fleet_problems == (problem,)
    assert not snapshot.bots


def test_no_environment_chosen_says_how_to_choose(stage) -> None:
    """A bot that names a resource then has a problem, others do not."""
    (stage.root / "fleet.toml").unlink()
    stage.bot("a", '[llm]\n"$resource" = "default"\ntype = "llm_providers"\n')
    stage.bot("b")
    snapshot = stage.load()
    (problem,) = snapshot.problems
    assert problem.message == '"default" is looked for in an environment, but none is chosen'
    assert "--env" in problem.hint
    assert "there are: prod" in problem.hint
    assert list(snapshot.bots) == ["b"]


def test_the_command_line_wins_over_the_process_over_the_file(stage) -> None:
    """--env, then BOTDECK_ENV, then [fleet] environment."""
    for name in ("one", "two"):
        stage.write(f"environments/{name}.toml", "")
    assert stage.load().environment == "prod"
    stage.environ["BOTDECK_ENV"] = "one"
    assert stage.load().environment == "one"
    assert stage.load(environment="two").environment == "two"


def test_the_shape_of_an_environment_is_checked(stage) -> None:
    """Single values, resources that are no tables, capabilities that are no list: each is located."""
    stage.write("environments/prod.toml", 'x = 1\n[t]\ny = 2\n[t.z]\ncapabilities = "all"\n')
    assert [(problem.line, problem.key) for problem in stage.problems()] == [
        (1, "x"),
        (3, "t.y"),
        (5, "t.z.capabilities"),
    ]
