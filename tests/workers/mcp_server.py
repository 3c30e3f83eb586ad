"""A small MCP server over stdio, run as a script in a fleet's folder: what the large one of `tools_rig.py` offers.

It speaks the few words of the protocol a client needs, without the library that takes a second to import.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any


def add(a: int, b: int) -> str:
    """Add two numbers."""
    return f"{a + b} by {os.getpid()}"


def weird() -> str:
    """Has a name no provider takes."""
    return "weird"


def leak() -> str:
    """Show a secret."""
    return os.environ.get("DEMO_SECRET", "none") + os.environ.get("OUTER", "")


def fail() -> str:
    """Fail."""
    raise ValueError("no luck")


def hang() -> None:
    """Never answer."""
    with open("hangs", "w"):
        pass


def die() -> None:
    """End the process."""
    print("dying on purpose", file=sys.stderr, flush=True)
    os._exit(3)


TOOLS: dict[str, Callable[..., str | None]] = {
    "add": add, "weird.name/x": weird, "leak": leak, "fail": fail, "hang": hang, "die": die,
}  # fmt: skip


def described(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    numbers = [word for word in function.__annotations__ if word != "return"]
    properties = {number: {"type": "integer"} for number in numbers}
    schema = {"type": "object", "properties": properties, "required": numbers}
    return {"name": name, "description": function.__doc__, "inputSchema": schema}


def called(name: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
    """Return the result of a tool, None when there will never be one."""
    try:
        text = TOOLS[name](**arguments)
    except Exception as error:
        return {"content": [{"type": "text", "text": f"Error executing tool {name}: {error}"}], "isError": True}
    return None if text is None else {"content": [{"type": "text", "text": text}]}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    """Return the answer to a request. Raises LookupError for one that is not known."""
    if method == "initialize":
        information = {"name": "demo", "version": "1"}
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": information}
    if method == "tools/list":
        return {"tools": [described(name, function) for name, function in TOOLS.items()]}
    if method == "tools/call":
        return called(params["name"], params.get("arguments") or {})
    raise LookupError(method)


def main() -> None:
    """Answer until stdin ends."""
    with open("starts", "a") as starts:
        starts.write(f"{os.getpid()}\n")
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request or "method" not in request:
            continue  # a note, a cancellation
        said: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            result = answer(request["method"], request.get("params") or {})
        except LookupError as error:
            said["error"] = {"code": -32601, "message": f"there is no method {error}"}
        else:
            if result is None:
                continue
            said["result"] = result
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
