"""A Python function as a tool: its signature and docstring become a JSON Schema, its arguments are checked by pydantic."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from config.errors import FleetError
from workers.errors import ToolFailed
from workers.tools import docstrings
from workers.tools.base import Caller

_PLAIN: Final = (bool, int, float, str)
_REFUSED: Final = {
    inspect.Parameter.VAR_POSITIONAL: "takes *{}: a model can only give named arguments",
    inspect.Parameter.VAR_KEYWORD: "takes **{}: each argument a model may give needs a name",
    inspect.Parameter.POSITIONAL_ONLY: "takes {} by its place only: a model gives arguments by name",
}


class Unfit(FleetError):
    """A function whose signature cannot be told to a model."""


class Signature:
    """What a model is told of a function, and how what it writes becomes the function's arguments.

    schema is the JSON Schema of all arguments the model may give, callers names those it is not told of; description is the docstring's text; untyped names the arguments without a
    type with the one each is taken for. Raises Unfit when the function takes what a model cannot give.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        said = docstrings.read(inspect.getdoc(function))
        hints = _hints(function)
        self.description = said.description
        self.untyped: dict[str, str] = {}
        self.callers: list[str] = []
        fields: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        for number, parameter in enumerate(_parameters(function)):
            name = parameter.name
            if hints.get(name) is Caller:
                self.callers.append(name)
                continue
            kind = hints.get(name) or self._guessed(parameter)
            self._names[f"a{number}"] = name
            fields[f"a{number}"] = _field(kind, parameter, said.arguments.get(name, ""))
        self._model = _model(fields)
        self.schema = _plain(self._model)

    def read(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the function's arguments; what was not given is left to its defaults. Raises ToolFailed."""
        try:
            made = self._model.model_validate(dict(arguments))
        except ValidationError as error:
            raise ToolFailed("; ".join(_said(fault) for fault in error.errors()[:10])) from None
        return {self._names[field]: getattr(made, field) for field in made.model_fields_set}

    def _guessed(self, parameter: inspect.Parameter) -> type:
        """Return what an argument without a type is taken for: its default's kind, else text."""
        kind = next((kind for kind in _PLAIN if type(parameter.default) is kind), str)
        self.untyped[parameter.name] = kind.__name__
        return kind


class _Schema(GenerateJsonSchema):
    """Leaves a default out that is no JSON, without a word."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 (pydantic's own way)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    target = function if inspect.isroutine(function) else type(function).__call__
    try:
        return get_type_hints(target, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise Unfit(f"has a type that is not known: {error}") from None


def _parameters(function: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    try:
        found = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        raise Unfit("tells nothing of its arguments") from None
    for parameter in found:
        if parameter.kind in _REFUSED:
            raise Unfit(_REFUSED[parameter.kind].format(parameter.name))
        yield parameter


def _field(kind: Any, parameter: inspect.Parameter, said: str) -> tuple[Any, FieldInfo]:
    """Return pydantic's field of an argument; words beside its type (`Annotated[str, "the city"]`) count before the docstring's."""
    beside = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    words = [word if isinstance(word, str) else getattr(word, "documentation", None) for word in beside]
    text = next((word for word in words if word), said)
    default = ... if parameter.default is inspect.Parameter.empty else parameter.default
    if any(isinstance(word, FieldInfo) and word.description for word in beside):
        return kind, Field(default, alias=parameter.name)
    return kind, Field(default, alias=parameter.name, description=text or None)


def _model(fields: Mapping[str, Any]) -> type[BaseModel]:
    try:
        return create_model("Arguments", __config__=ConfigDict(extra="forbid"), **fields)
    except (PydanticUserError, TypeError, NameError) as error:
        raise Unfit(f"has a type that cannot be told to a model: {str(error).splitlines()[0]}") from None


def _plain(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema without titles, which only cost tokens."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            schema = model.model_json_schema(schema_generator=_Schema)
    except PydanticUserError as error:
        raise Unfit(f"has a type that cannot be told to a model: {str(error).splitlines()[0]}") from None
    plain: dict[str, Any] = _untitled(schema)
    plain.setdefault("properties", {})
    return plain


def _untitled(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_untitled(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        word: {name: _untitled(each) for name, each in value.items()}
        if word in {"properties", "$defs"}
        else value
        if word in {"default", "const", "enum", "examples"}
        else _untitled(value)
        for word, value in schema.items()
        if word != "title"
    }


def _said(fault: Any) -> str:
    """Say what pydantic found wrong, without repeating what the model wrote."""
    where = ".".join(str(part) for part in fault["loc"])
    return f"argument {where}: {fault['msg']}" if where else str(fault["msg"])
