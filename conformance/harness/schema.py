"""Validates every JSON answer and every streamed object against OpenAI's own schemas.

`contract/openapi.yaml` is the judge, except where recorded traffic of the real
API contradicts it: those places are listed, each with its reason, in `AMENDMENTS`.
Key order, which a schema cannot say, is compared with the recorded objects.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from harness.streams import search_problems

Json = dict[str, Any]
CONTRACT = Path(__file__).parent.parent / "contract"

ROUTES: list[tuple[str, str, str]] = [
    ("GET", r"/assistants", "ListAssistantsResponse"),
    ("POST", r"/assistants(/[^/]+)?", "AssistantObject"),
    ("GET", r"/assistants/[^/]+", "AssistantObject"),
    ("DELETE", r"/assistants/[^/]+", "DeleteAssistantResponse"),
    ("POST", r"/threads/runs", "RunObject"),
    ("POST", r"/threads(/[^/]+)?", "ThreadObject"),
    ("GET", r"/threads/[^/]+", "ThreadObject"),
    ("DELETE", r"/threads/[^/]+", "DeleteThreadResponse"),
    ("GET", r"/threads/[^/]+/messages", "ListMessagesResponse"),
    ("POST", r"/threads/[^/]+/messages(/[^/]+)?", "MessageObject"),
    ("GET", r"/threads/[^/]+/messages/[^/]+", "MessageObject"),
    ("DELETE", r"/threads/[^/]+/messages/[^/]+", "DeleteMessageResponse"),
    ("GET", r"/threads/[^/]+/runs", "ListRunsResponse"),
    ("POST", r"/threads/[^/]+/runs(/[^/]+(/cancel|/submit_tool_outputs)?)?", "RunObject"),
    ("GET", r"/threads/[^/]+/runs/[^/]+", "RunObject"),
    ("GET", r"/threads/[^/]+/runs/[^/]+/steps", "ListRunStepsResponse"),
    ("GET", r"/threads/[^/]+/runs/[^/]+/steps/[^/]+", "RunStepObject"),
    ("GET", r"/vector_stores", "ListVectorStoresResponse"),
    ("POST", r"/vector_stores(/[^/]+)?", "VectorStoreObject"),
    ("GET", r"/vector_stores/[^/]+", "VectorStoreObject"),
    ("DELETE", r"/vector_stores/[^/]+", "DeleteVectorStoreResponse"),
    ("POST", r"/vector_stores/[^/]+/search", "VectorStoreSearchResultsPage"),
    ("GET", r"/vector_stores/[^/]+/files", "ListVectorStoreFilesResponse"),
    ("POST", r"/vector_stores/[^/]+/files(/[^/]+)?", "VectorStoreFileObject"),
    ("GET", r"/vector_stores/[^/]+/files/[^/]+", "VectorStoreFileObject"),
    ("DELETE", r"/vector_stores/[^/]+/files/[^/]+", "DeleteVectorStoreFileResponse"),
    ("GET", r"/vector_stores/[^/]+/files/[^/]+/content", "VectorStoreFileContentResponse"),
    ("POST", r"/vector_stores/[^/]+/file_batches(/[^/]+/cancel)?", "VectorStoreFileBatchObject"),
    ("GET", r"/vector_stores/[^/]+/file_batches/[^/]+", "VectorStoreFileBatchObject"),
    ("GET", r"/vector_stores/[^/]+/file_batches/[^/]+/files", "ListVectorStoreFilesResponse"),
    ("GET", r"/files", "ListFilesResponse"),
    ("POST", r"/files", "OpenAIFile"),
    ("GET", r"/files/[^/]+", "OpenAIFile"),
    ("DELETE", r"/files/[^/]+", "DeleteFileResponse"),
    ("POST", r"/uploads(/[^/]+/(complete|cancel))?", "Upload"),
    ("POST", r"/uploads/[^/]+/parts", "UploadPart"),
    ("GET", r"/models", "ListModelsResponse"),
    ("GET", r"/models/.+", "Model"),
]
# Endpoints that OpenAI never had, in the shapes of those that it had where there are such.
OURS: list[tuple[str, str, str]] = [
    ("GET", r"/threads", "ListThreadsResponse"),
    ("POST", r"/threads/import", "ImportReport"),
    ("GET", r"/threads/[^/]+/runs/[^/]+/model_requests", "ListModelRequestsResponse"),
]
EXPORTED = "/threads/export"
DOWNLOADED = re.compile(r"/v1/files/[^/]+/content")
PASSED_THROUGH = re.compile(r"/(chat/completions|embeddings)")

OBJECTS = {
    "thread": "ThreadObject",
    "thread.run": "RunObject",
    "thread.run.step": "RunStepObject",
    "thread.message": "MessageObject",
}
IMPORTED = ("assistants", "threads", "messages", "runs", "steps")
# The document has no schemas for deltas; `streams.py` knows their shapes.
DELTAS = {"thread.run.step.delta", "thread.message.delta"}

# -- where recorded reality differs from the document ----------------------------------


def _run_instructions_may_be_null(schemas: Json) -> None:
    """Recorded runs have `instructions: null` when the assistant has none."""
    _allow_null(schemas["RunObject"]["properties"], "instructions")


def _token_limits_may_be_small(schemas: Json) -> None:
    """The recorded run of 2024 was accepted with max_completion_tokens 16."""
    for key in ("max_prompt_tokens", "max_completion_tokens"):
        _each_object(schemas["RunObject"]["properties"][key], lambda s: s.pop("minimum", None))


def _empty_lists_have_null_ids(schemas: Json) -> None:
    """Recorded empty lists carry `first_id: null` and `last_id: null`."""
    for name, schema in schemas.items():
        if name.startswith("List") and "first_id" in schema.get("properties", {}):
            _allow_null(schema["properties"], "first_id")
            _allow_null(schema["properties"], "last_id")


def _runs_may_have_as_many_tools_as_assistants(schemas: Json) -> None:
    """The document says 20 for a run and 128 for the assistant whose tools it copies."""
    schemas["RunObject"]["properties"]["tools"]["maxItems"] = 128


def _files_say_that_they_stay(schemas: Json) -> None:
    """Recorded files have `expires_at: null` and `status_details: null`."""
    for key in ("expires_at", "status_details"):
        _allow_null(schemas["OpenAIFile"]["properties"], key)


def _files_may_be_for_evals(schemas: Json) -> None:
    """The document takes files for `evals` in and has no such file among those that it gives out."""
    schemas["OpenAIFile"]["properties"]["purpose"]["enum"].append("evals")


def _ours_have_schemas_too(schemas: Json) -> None:
    """The document knows no list of threads, no report of an import, no requests to models."""
    listed = {**schemas["ListRunsResponse"], "properties": {}}
    listed["properties"] = {**schemas["ListRunsResponse"]["properties"]}
    listed["properties"]["data"] = {
        "type": "array",
        "items": {"$ref": "#/components/schemas/ThreadObject"},
    }
    schemas["ListThreadsResponse"] = listed
    count = {"type": "integer", "minimum": 0}
    error = _closed({"line": {"type": "integer", "minimum": 1}, "message": {"type": "string"}})
    schemas["ImportReport"] = _closed(
        {
            "object": {"const": "import"},
            "imported": _closed(dict.fromkeys(IMPORTED, count)),
            "skipped": count,
            "failed": count,
            "errors": {"type": "array", "items": error},
        }
    )
    text = {"type": "string", "minLength": 1}
    request = _closed(
        {
            "object": {"const": "thread.run.model_request"},
            "created_at": count,
            **dict.fromkeys(("thread_id", "run_id", "upstream", "model"), text),
            "body": {"type": ["object", "null"]},
        }
    )
    schemas["ListModelRequestsResponse"] = _closed(
        {"object": {"const": "list"}, "data": {"type": "array", "items": request}}
    )


def _found_passages_may_be_explained(schemas: Json) -> None:
    """Ours, where it is asked for: `test_passages.py` sees to it that it is not there else."""
    text, score = {"type": "string"}, {"type": "number", "minimum": 0, "maximum": 1}
    schemas["VectorStoreSearchResultItem"]["properties"]["explanation"] = _closed(
        {
            "query": text,
            "keyword_score": score,
            "vector_score": {"anyOf": [score, {"type": "null"}]},
            "matched_words": {"type": "array", "items": text},
        }
    )


def _closed(properties: Json) -> Json:
    required = list(properties)
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _stores_may_have_no_name(schemas: Json) -> None:
    """Recorded stores have `name: null` and `expires_after: null` where they were given none."""
    for key in ("name", "expires_after"):
        _allow_null(schemas["VectorStoreObject"]["properties"], key)


def _batches_are_file_batches(schemas: Json) -> None:
    """Recorded batches are of type `vector_store.file_batch`, specified is `files_batch`."""
    kind = {"const": "vector_store.file_batch"}
    schemas["VectorStoreFileBatchObject"]["properties"]["object"] = kind


AMENDMENTS: list[Callable[[Json], None]] = [
    _run_instructions_may_be_null,
    _token_limits_may_be_small,
    _files_say_that_they_stay,
    _files_may_be_for_evals,
    _ours_have_schemas_too,
    _found_passages_may_be_explained,
    _empty_lists_have_null_ids,
    _runs_may_have_as_many_tools_as_assistants,
    _stores_may_have_no_name,
    _batches_are_file_batches,
]

# -- key order, as recorded ------------------------------------------------------------

KEY_ORDER: dict[str, list[str]] = {
    "assistant": (
        "id object created_at name description model instructions tools top_p temperature "
        "reasoning_effort tool_resources metadata response_format"
    ).split(),
    "thread": "id object created_at metadata tool_resources".split(),
    "thread.message": (
        "id object created_at assistant_id thread_id run_id status incomplete_details "
        "incomplete_at completed_at role content attachments metadata"
    ).split(),
    "thread.run": (
        "id object created_at assistant_id thread_id status started_at expires_at cancelled_at "
        "failed_at completed_at required_action last_error model instructions tools tool_resources "
        "metadata temperature top_p reasoning_effort max_completion_tokens max_prompt_tokens "
        "truncation_strategy incomplete_details usage response_format tool_choice "
        "parallel_tool_calls"
    ).split(),
    "thread.run.step": (
        "id object created_at run_id assistant_id thread_id type status cancelled_at completed_at "
        "expires_at failed_at last_error step_details usage"
    ).split(),
    "vector_store": (
        "id object created_at name description usage_bytes file_counts status expires_after "
        "expires_at last_active_at metadata"
    ).split(),
    "vector_store.file": (
        "id object usage_bytes created_at vector_store_id status last_error chunking_strategy "
        "attributes"
    ).split(),
    "vector_store.file_batch": ("id object created_at status vector_store_id file_counts").split(),
    "file": (
        "object id purpose filename bytes created_at expires_at status status_details"
    ).split(),
    "file, deleted": "object deleted id".split(),
    "upload": "id object bytes created_at filename purpose status expires_at".split(),
    "upload.part": "id object created_at upload_id".split(),
    "model": "id object created owned_by".split(),
    "list": "object data first_id last_id has_more".split(),
    "assistant.deleted": "id object deleted".split(),
    "thread.deleted": "id object deleted".split(),
    "thread.message.deleted": "id object deleted".split(),
    "vector_store.deleted": "id object deleted".split(),
    "vector_store.file.deleted": "id object deleted".split(),
}
# The document requires these of steps; the real API leaves them out. We send them.
BEYOND_RECORDED = {"thread.run.step": {"expired_at", "metadata"}}

# Ours, where they are asked for: tests of each see to it that they are not there else.
ASKED_FOR = {"model": {"use"}, "file": {"downloadable"}}


def key_order_problems(value: object) -> Iterable[str]:
    """Objects that have other keys, or in another order, than the real API's."""
    if isinstance(value, list):
        for item in value:
            yield from key_order_problems(item)
    if not isinstance(value, dict):
        return
    kind = value.get("object")
    if kind == "file" and "deleted" in value:
        kind = "file, deleted"
    is_models = kind == "list" and list(value) == ["object", "data"]
    if kind in KEY_ORDER and not is_models:
        extra = BEYOND_RECORDED.get(kind, set())
        if kind == "upload" and value.get("status") == "completed":
            extra = {"file"}
        keys = [key for key in value if key not in extra | ASKED_FOR.get(kind, set())]
        if keys != KEY_ORDER[kind]:
            yield f"keys of {kind} are {keys}"
        if not extra <= set(value):
            yield f"{kind} lacks {sorted(extra - set(value))}"
    if kind == "thread.run.step":
        for call in value["step_details"].get("tool_calls", []):
            yield from search_problems(call["file_search"]) if "file_search" in call else []
    yield from key_order_problems(value.get("data"))
    yield from key_order_problems(value.get("file"))


# -- what holds for every object -------------------------------------------------------
# The year 2286: milliseconds would be later.
LAST_SECOND = 9_999_999_999


def time_problems(value: object) -> Iterable[str]:
    """Times are whole seconds, or null."""
    if isinstance(value, list):
        for item in value:
            yield from time_problems(item)
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if key.endswith("_at") and inner is not None:
            if type(inner) is not int or not 0 < inner <= LAST_SECOND:
                yield f"{key} is {inner!r}"
        elif key not in OF_THE_CLIENT:
            yield from time_problems(inner)


# What stands here is a program's own: it may call things what it likes.
OF_THE_CLIENT = {"metadata", "attributes", "parameters", "schema"}


def page_problems(path: str, body: object) -> Iterable[str]:
    """Pages name their first and last object; some lists have no pages."""
    if not isinstance(body, dict) or body.get("object") != "list":
        return
    if path == "/models" or path.endswith("/model_requests"):
        if list(body) != ["object", "data"]:
            yield f"a list without pages has keys {list(body)}"
        return
    ids = [item["id"] for item in body["data"]] or [None]
    told = [body.get("first_id"), body.get("last_id")]
    if told != [ids[0], ids[-1]]:
        yield f"a page of {ids} says that it is from {told[0]} to {told[1]}"
    if len(set(ids)) != len(ids):
        yield f"a page has an object twice: {ids}"


# -- the document as validators --------------------------------------------------------


def read() -> Json:
    """The document as it is."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with (CONTRACT / "openapi.yaml").open("rb") as file:
        return yaml.load(file, Loader=loader)


@functools.cache
def _components() -> Json:
    schemas = without_nullable(read()["components"]["schemas"])
    for amend in AMENDMENTS:
        amend(schemas)
    return {"schemas": schemas}


def without_nullable(value: Any) -> Any:
    """`nullable: true` is 3.0's way; in a 3.1 document it would mean nothing."""
    if isinstance(value, list):
        return [without_nullable(item) for item in value]
    if not isinstance(value, dict):
        return value
    rest = {key: without_nullable(inner) for key, inner in value.items() if key != "nullable"}
    if value.get("nullable") is not True:
        return rest
    if set(rest) == {"allOf"} or not rest:
        return rest or True
    return {"anyOf": [rest, {"type": "null"}]}


def _allow_null(properties: Json, key: str) -> None:
    properties[key] = {"anyOf": [properties[key], {"type": "null"}]}


def _each_object(value: Any, change: Callable[[Json], Any]) -> None:
    if isinstance(value, dict):
        change(value)
        for inner in value.values():
            _each_object(inner, change)
    elif isinstance(value, list):
        for inner in value:
            _each_object(inner, change)


@functools.cache
def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": _components()}
    return jsonschema_rs.Draft202012Validator(schema)


def problems(name: str, value: object) -> list[str]:
    """What is wrong with a value by the document's schema `name`."""
    found = []
    for error in _validator(name).iter_errors(value):
        where = "/".join(str(part) for part in error.instance_path)
        found.append(f"{name}: {where}: {error.message[:300]}")
    return found


def answer_problems(method: str, path: str, status: int, body: object) -> list[str]:
    """What is wrong with a whole JSON answer."""
    path = path.partition("?")[0].removeprefix("/v1")
    if status >= 400:
        return error_problems(path, status, body)
    if status != 200:
        return [f"answered {status}, and every success is a 200"]
    if PASSED_THROUGH.fullmatch(path):
        return []
    for route_method, pattern, name in OURS + ROUTES:
        if method == route_method and re.fullmatch(pattern, path):
            return [
                *problems(name, body),
                *key_order_problems(body),
                *time_problems(body),
                *page_problems(path, body),
            ]
    return [f"no schema is known for {method} {path}, which answered {status}"]


def line_problems(line: object) -> list[str]:
    """What is wrong with a line of an export: an object of the API and its position."""
    if not isinstance(line, dict) or not isinstance(line.get("position"), int):
        return ["a line without a position"]
    kind = str(line.get("object"))
    exported = {key: value for key, value in line.items() if key != "position"}
    name = {**OBJECTS, "assistant": "AssistantObject"}.get(kind)
    if name is None:
        return [f"a line with an object of type {kind!r}"]
    return problems(name, exported) + list(key_order_problems(exported))


ERROR_KEYS = ["message", "type", "param", "code"]
# SDKs ask again by themselves after 408, 409, 429 and faults: no refusal is one of those unless that helps.
REFUSALS = {400, 401, 403, 404, 405, 408, 413}
CROWDED = 429
FAULTS = {500, 503}
CODE = re.compile(r"[a-z0-9_]+")


def error_problems(path: str, status: int, body: object) -> list[str]:
    """Errors are `{"error": {message, type, param, code}}`, in this order, and nothing else.

    Those of `/files` say message and code once more under `detail`, as recorded.
    """
    if found := problems("ErrorResponse", body):
        return found
    assert isinstance(body, dict)
    error = body["error"]
    if list(error) != ERROR_KEYS:
        return [f"an error with keys {list(error)}"]
    found = list(_word_problems(error))
    if list(body) != ["error"]:
        detail = {"message": error["message"], "code": error["code"]}
        told_twice = {"error": error, "detail": detail}
        if not path.startswith("/files") or body != told_twice or list(body) != list(told_twice):
            found.append(f"an error with more beside it: {body}")
    if not PASSED_THROUGH.fullmatch(path):
        found += _refusal_problems(status, error)
    return found


def _word_problems(error: Json) -> Iterable[str]:
    if not error["message"]:
        yield "an error without a message"
    if error["code"] is not None and not CODE.fullmatch(error["code"]):
        yield f"an error with the code {error['code']!r}"


def _refusal_problems(status: int, error: Json) -> Iterable[str]:
    kind = "server_error" if status in FAULTS else "invalid_request_error"
    kind = "requests" if status == CROWDED else kind
    if status not in REFUSALS | FAULTS | {CROWDED}:
        yield f"refused with {status}"
    elif error["type"] != kind:
        yield f"an error of type {error['type']!r} with {status}"


def event_problems(name: str, data: object) -> list[str]:
    """What is wrong with one streamed object."""
    if name in {"done", "error"} or not isinstance(data, dict):
        return []
    kind = data.get("object")
    if kind in DELTAS:
        return []
    if kind not in OBJECTS:
        return [f"`{name}` carries an object of type {kind!r}"]
    return [*problems(OBJECTS[kind], data), *key_order_problems(data), *time_problems(data)]
