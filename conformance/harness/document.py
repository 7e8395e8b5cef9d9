"""Requests made up from OpenAI's document: those that it allows, and those that it does not.

`contract/openapi.yaml` describes requests loosely. Where the real API is stricter, or recorded
reality looser, the document is amended first, and each amendment says why. They and those of
`schema.py`, which are about answers, are all the places where reality contradicts the document.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs

from harness import schema

Json = dict[str, Any]
# What the server has of the document.
SERVED = ("/assistants", "/threads", "/models", "/vector_stores", "/files", "/uploads")
# Only models that were tuned at OpenAI can be deleted, and there are none here.
NEVER = ("delete", "/models/{model}")


# -- how the real API reads anything ---------------------------------------------------
def _unknown_keys_are_refused(request: Json) -> None:
    """Contract §1: `unknown_parameter`. The document leaves most inner objects open."""
    if "properties" in request:
        request.setdefault("additionalProperties", False)


def _null_means_default(request: Json) -> None:
    """Contract §1: null for an optional field is its absence."""
    for key, inner in request.get("properties", {}).items():
        if key not in request.get("required", []):
            request["properties"][key] = {"anyOf": [inner, {"type": "null"}]}


def _metadata_has_limits(request: Json) -> None:
    """Contract §2. The document tells them in prose."""
    if request.get("additionalProperties") == {"type": "string"}:
        request |= {"maxProperties": 16, "propertyNames": {"maxLength": 64}}
        request["additionalProperties"] = {"type": "string", "maxLength": 512}


def _integers_fit_a_machine(request: Json) -> None:
    """Nobody means 9,223,372,036,854,775,808 tokens."""
    if request.get("type") == "integer":
        request.setdefault("maximum", 2**63 - 1)


def _chunks_overlap_by_half_at_most(request: Json) -> None:
    """By half of each chunk, which no schema can say; this one says it of the longest."""
    if "chunk_overlap_tokens" in request.get("properties", {}):
        overlap = {"type": "integer", "minimum": 0, "maximum": 2048}
        request["properties"]["chunk_overlap_tokens"] = overlap


EACH: list[Callable[[Json], None]] = [
    _unknown_keys_are_refused,
    _null_means_default,
    _metadata_has_limits,
    _integers_fit_a_machine,
    _chunks_overlap_by_half_at_most,
]


# -- how it reads some -----------------------------------------------------------------
def _functions_have_names(schemas: Json) -> None:
    """Pattern and lengths stand in the document's prose, and so do those of response formats."""
    function = schemas["FunctionObject"]["properties"]
    function["name"] |= {"pattern": "^[a-zA-Z0-9_-]{1,64}$"}
    function["description"] |= {"maxLength": 1024}
    named = schemas["ResponseFormatJsonSchema"]["properties"]["json_schema"]["properties"]["name"]
    named |= {"pattern": "^[a-zA-Z0-9_-]{1,64}$"}


def _a_choice_of_a_function_names_it(schemas: Json) -> None:
    """The document has `function` optional, whatever the `type`."""
    choice = schemas["AssistantsNamedToolChoice"]
    function = choice["properties"].pop("function")
    function["properties"]["name"]["minLength"] = 1
    hosted = {"type": "string", "enum": ["code_interpreter", "file_search"]}
    named = {"type": {"const": "function"}, "function": function}
    choice.clear()
    choice["oneOf"] = [
        {"type": "object", "properties": {"type": hosted}, "required": ["type"]},
        {"type": "object", "properties": named, "required": ["type", "function"]},
    ]


def _last_messages_has_a_number(schemas: Json) -> None:
    """The document lets `last_messages` stand without one."""
    strategy = schemas["TruncationObject"]
    number = strategy["properties"]["last_messages"]
    strategy.clear()
    strategy["oneOf"] = [
        {
            "type": "object",
            "properties": {"type": {"const": "auto"}, "last_messages": number},
            "required": ["type"],
        },
        {
            "type": "object",
            "properties": {
                "type": {"const": "last_messages"},
                "last_messages": {"type": "integer", "minimum": 1},
            },
            "required": ["type", "last_messages"],
        },
    ]


def _runs_take_what_was_recorded(schemas: Json) -> None:
    """A recorded run was accepted with 16 tokens; the tools that it copies may be 128."""
    for name in ("CreateRunRequest", "CreateThreadAndRunRequest"):
        run = schemas[name]["properties"]
        for key in ("max_prompt_tokens", "max_completion_tokens"):
            run[key] = {"type": "integer", "minimum": 16}
        run["tools"] = schemas["CreateAssistantRequest"]["properties"]["tools"]
        run["assistant_id"] |= {"pattern": "^asst_[a-zA-Z0-9]+$"}
        run["tool_choice"] = {"$ref": "#/components/schemas/AssistantsApiToolChoiceOption"}
        run["truncation_strategy"] = {"$ref": "#/components/schemas/TruncationObject"}


def _outputs_name_their_call(schemas: Json) -> None:
    """The document requires neither key; without the id nobody would know what was put out."""
    outputs = schemas["SubmitToolOutputsRunRequest"]["properties"]["tool_outputs"]
    outputs["items"]["required"] = ["tool_call_id"]


def _attachments_name_their_file(schemas: Json) -> None:
    """The document says it of the list of attachments, where it has no meaning."""
    attachments = schemas["CreateMessageRequest"]["properties"]["attachments"]["anyOf"][0]
    attachments.pop("required")
    attachments["items"]["required"] = ["file_id"]


def _messages_say_something(schemas: Json) -> None:
    """The document takes empty texts and addresses; a model's server would not."""
    schemas["CreateMessageRequest"]["properties"]["content"]["oneOf"][0]["minLength"] = 1
    schemas["MessageRequestContentTextObject"]["properties"]["text"]["minLength"] = 1
    image = schemas["MessageContentImageUrlObject"]["properties"]["image_url"]
    image["properties"]["url"]["minLength"] = 1
    for name in ("CreateAssistantRequest", "ModifyAssistantRequest", "CreateRunRequest"):
        schemas[name]["properties"]["model"]["anyOf"][0]["minLength"] = 1
    model = schemas["CreateRunRequest"]["properties"]["model"]
    schemas["CreateThreadAndRunRequest"]["properties"]["model"] = model


def _uploads_have_something_in_them(schemas: Json) -> None:
    """The document lets a file be without a name, and an upload without a part; 8 GB are prose."""
    upload = schemas["CreateUploadRequest"]["properties"]
    upload["filename"]["minLength"] = upload["mime_type"]["minLength"] = 1
    upload["bytes"] |= {"minimum": 1, "maximum": 8 << 30}
    parts = schemas["CompleteUploadRequest"]["properties"]["part_ids"]
    parts |= {"minItems": 1, "items": {"type": "string", "pattern": "^part_[a-z0-9]+$"}}


def _searches_ask_something(schemas: Json) -> None:
    """The document has `minItems` where it means the list of queries, or their length."""
    query = schemas["VectorStoreSearchRequest"]["properties"]["query"]["oneOf"]
    query[0]["minLength"] = 1
    query[1] |= {"minItems": 1, "items": {"type": "string", "minLength": 1}}


def _filters_compare_like_with_like(schemas: Json) -> None:
    """The document lets `eq` compare with a list, and `in` with a word."""
    key = {"type": "string", "minLength": 1}
    word = {"oneOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}
    schemas["ComparisonFilter"] = {
        "oneOf": [
            {
                "type": "object",
                "properties": {
                    "type": {"type": "string", "enum": types},
                    "key": key,
                    "value": value,
                },
                "required": ["type", "key", "value"],
            }
            for types, value in (
                (["eq", "ne", "gt", "gte", "lt", "lte"], word),
                (["in", "nin"], {"type": "array", "items": word}),
            )
        ]
    }


def _batches_are_of_one_kind(schemas: Json) -> None:
    """The document says in prose that `file_ids` and `files` exclude each other."""
    batch = schemas["CreateVectorStoreFileBatchRequest"]
    properties = batch["properties"]
    batch.clear()
    batch["oneOf"] = [
        {
            "type": "object",
            "properties": {key: inner for key, inner in properties.items() if key != other},
            "required": [kind],
        }
        for kind, other in (("files", "file_ids"), ("file_ids", "files"))
    ]


def _nothing_searched_is_said_so(schemas: Json) -> None:
    """Both keys are optional in the SDKs, so their programs send an empty object where there is no store."""
    for name in ("CreateAssistantRequest", "CreateThreadRequest"):
        for part in _parts(schemas[name]):
            kinds = part.get("oneOf", [])
            if {"required": ["vector_store_ids"]} in kinds:
                kinds.append({"maxProperties": 0})


SOME: list[Callable[[Json], None]] = [
    _functions_have_names,
    _a_choice_of_a_function_names_it,
    _last_messages_has_a_number,
    _runs_take_what_was_recorded,
    _outputs_name_their_call,
    _attachments_name_their_file,
    _messages_say_something,
    _uploads_have_something_in_them,
    _searches_ask_something,
    _filters_compare_like_with_like,
    _batches_are_of_one_kind,
    _nothing_searched_is_said_so,
]


LISTED = {
    "assistants": "asst_",
    "messages": "msg_",
    "runs": "run_",
    "steps": "step_",
    "vector_stores": "vs_",
    "files": "file-",
}


def _queries_have_limits(path: str, parameter: Json) -> None:
    """Contract §1. The document tells the range in prose, and nothing of the form of ids."""
    if parameter["name"] == "limit":
        parameter["schema"] |= {"minimum": 1, "maximum": 10_000 if path == "/files" else 100}
    if parameter["name"] in {"after", "before", "run_id"}:
        prefix = "run_" if parameter["name"] == "run_id" else LISTED[path.rpartition("/")[2]]
        parameter["schema"] |= {"pattern": f"^{prefix}[a-zA-Z0-9]+$"}


# -- the document ----------------------------------------------------------------------
@functools.cache
def requests() -> Json:
    """The document as amended, cut down to the requests that the server takes."""
    whole = schema.read()
    paths = {
        path: {
            method: _asked(path, operation)
            for method, operation in operations.items()
            if (method, path) != NEVER and _is_json(operation)
        }
        for path, operations in whole["paths"].items()
        if path.startswith(SERVED)
    }
    schemas = schema.without_nullable(whole["components"]["schemas"])
    for amend in SOME:
        amend(schemas)
    bodies = [
        operation.get("requestBody") for path in paths.values() for operation in path.values()
    ]
    for name in _reachable(bodies, schemas):
        for each in list(_parts(schemas[name])):
            for amend in EACH:
                amend(each)
    return {
        "openapi": whole["openapi"],
        "info": whole["info"],
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _is_json(operation: Json) -> bool:
    """Files come as multipart, of which the tests of files and uploads are."""
    return (
        "application/json"
        in operation.get("requestBody", {"content": ["application/json"]})["content"]
    )


def _asked(path: str, operation: Json) -> Json:
    """The half of an operation that is the client's; answers are judged by `schema.py`."""
    for parameter in operation.get("parameters", []):
        _queries_have_limits(path, parameter)
    kept = {
        key: operation[key]
        for key in ("operationId", "parameters", "requestBody")
        if key in operation
    }
    return {**kept, "responses": {"200": {"description": "An answer."}}}


def _reachable(value: Any, schemas: Json, seen: set[str] | None = None) -> set[str]:
    seen = set() if seen is None else seen
    if isinstance(value, dict):
        name = str(value.get("$ref", "")).rpartition("/")[2]
        if name and name not in seen:
            seen.add(name)
            _reachable(schemas[name], schemas, seen)
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            _reachable(inner, schemas, seen)
    return seen


def _parts(value: Any) -> Iterator[Json]:
    """Every schema within a schema. Keys of `properties` are names, not schemas."""
    if isinstance(value, list):
        for inner in value:
            yield from _parts(inner)
    if isinstance(value, dict):
        yield value
        for key, inner in value.items():
            yield from _parts(list(inner.values()) if key == "properties" else inner)


# -- what is allowed -------------------------------------------------------------------
Query = list[tuple[str, str]]


def allows(method: str, path: str, query: Query, body: Any) -> bool:
    """Whether the document allows a request, whatever its ids name."""
    operation = requests()["paths"][path][method.lower()]
    parameters = {each["name"]: each["schema"] for each in operation.get("parameters", [])}
    for key, text in query:
        # Keys that nobody knows are ignored, as Azure's `api-version`.
        if key in parameters and not _is_valid(parameters[key], _parsed(text, parameters[key])):
            return False
    if "requestBody" not in operation:
        return True
    wanted = operation["requestBody"]["content"]["application/json"]["schema"]
    return not isinstance(body, bytes) and _is_valid(wanted, body)


def _is_valid(wanted: Json, value: Any) -> bool:
    return _validator(json.dumps(wanted)).is_valid(value)


@functools.cache
def _validator(wanted: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        {**json.loads(wanted), "components": requests()["components"]}
    )


def _parsed(text: str, wanted: Json) -> Any:
    if wanted["type"] == "array":
        return [text]
    is_number = wanted["type"] == "integer" and re.fullmatch(r"-?\d+", text, re.ASCII)
    return int(text) if is_number else text
