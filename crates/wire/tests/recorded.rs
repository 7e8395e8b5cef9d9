//! Every object that OpenAI's servers were recorded to send reads into our types and comes out again with
//! the same keys in the same order.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use adjutant_wire::assistants::Assistant;
use adjutant_wire::files::{DeletedFile, File};
use adjutant_wire::list::List;
use adjutant_wire::messages::Message;
use adjutant_wire::runs::Run;
use adjutant_wire::steps::Step;
use adjutant_wire::threads::{Deleted, Thread};
use adjutant_wire::uploads::{Part, Upload};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/contract/recorded/");

fn recording(file: &str) -> String {
    std::fs::read_to_string(format!("{RECORDED}{file}")).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// What we add to a recorded object, each with its reason in the contract's §4.
fn as_we_send_it(mut recorded: Value) -> Value {
    let object = recorded.as_object_mut().expect("an object");
    match object.get("object").and_then(Value::as_str) {
        Some("thread.message") => complete_message(&mut recorded),
        Some("thread.run") => {
            if object["instructions"].is_null() {
                object["instructions"] = json!("");
            }
            for (key, default) in [("reasoning_effort", Value::Null), ("parallel_tool_calls", json!(true))] {
                object.entry(key).or_insert(default);
            }
            detail_usage(object.get_mut("usage"));
        }
        Some("thread.run.step") => {
            object.entry("expired_at").or_insert(Value::Null);
            object.entry("metadata").or_insert(json!({}));
            detail_usage(object.get_mut("usage"));
        }
        Some("list") => {
            for item in object["data"].as_array_mut().expect("data") {
                *item = as_we_send_it(item.take());
            }
        }
        _ => {}
    }
    recorded
}

fn complete_message(message: &mut Value) {
    let object = message.as_object_mut().expect("an object");
    // A recorded slip: the answer to a modification had version 1's `file_ids`.
    if object.remove("file_ids").is_some() {
        object.insert("attachments".into(), json!([]));
    }
    let defaults = [
        ("status", json!("completed")),
        ("incomplete_details", Value::Null),
        ("incomplete_at", Value::Null),
        ("completed_at", Value::Null),
    ];
    for (key, default) in defaults {
        object.entry(key).or_insert(default);
    }
}

fn detail_usage(usage: Option<&mut Value>) {
    let Some(usage) = usage.and_then(Value::as_object_mut) else { return };
    usage.entry("prompt_token_details").or_insert(json!({"cached_tokens": 0}));
    usage.entry("completion_tokens_details").or_insert(json!({"reasoning_tokens": 0}));
}

fn read_and_write<T: DeserializeOwned + Serialize>(value: &Value) -> String {
    let object: T = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"));
    serde_json::to_string(&object).unwrap()
}

fn check(recorded: Value) -> usize {
    let expected = as_we_send_it(recorded.clone());
    let tag = expected.get("object").and_then(Value::as_str).unwrap_or_default().to_owned();
    let first = expected["data"][0]["object"].as_str().unwrap_or_default().to_owned();
    let written = match (tag.as_str(), first.as_str()) {
        ("assistant", _) => read_and_write::<Assistant>(&expected),
        ("thread", _) => read_and_write::<Thread>(&expected),
        ("thread.message", _) => read_and_write::<Message>(&expected),
        ("thread.run", _) => read_and_write::<Run>(&expected),
        ("thread.run.step", _) => read_and_write::<Step>(&expected),
        ("list", "thread.message") => read_and_write::<List<Message>>(&expected),
        ("list", "thread.run") => read_and_write::<List<Run>>(&expected),
        ("list", "thread.run.step") => read_and_write::<List<Step>>(&expected),
        ("list", "") => read_and_write::<List<Value>>(&expected),
        ("thread.deleted" | "thread.message.deleted" | "assistant.deleted", _) => {
            read_and_write::<Deleted>(&expected)
        }
        ("file", _) if expected.get("deleted").is_some() => read_and_write::<DeletedFile>(&expected),
        ("file", _) => read_and_write::<File>(&expected),
        ("upload", _) => read_and_write::<Upload>(&expected),
        ("upload.part", _) => read_and_write::<Part>(&expected),
        _ => return 0,
    };
    let written: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written, expected);
    assert_eq!(recorded_keys(&written, &recorded), recorded_keys(&recorded, &recorded), "key order of {tag}");
    1
}

/// The keys of `object` that the recording has too, in `object`'s order.
fn recorded_keys(object: &Value, recording: &Value) -> Vec<String> {
    let keys = object.as_object().into_iter().flat_map(|map| map.keys());
    keys.filter(|key| recording.get(key.as_str()).is_some() && *key != "file_ids").cloned().collect()
}

#[test]
fn rest_answers_keep_their_keys_and_order() {
    let mut checked = 0;
    for file in [
        "01_rest_run_text_and_function_polling.json",
        "08_rest_steps_file_search_and_code_interpreter.json",
        "09_rest_files_uploads_vector_stores.json",
    ] {
        let stories: Value = serde_json::from_str(&recording(file)).unwrap();
        for exchange in stories.as_object().unwrap().values().flat_map(|story| story.as_array().unwrap()) {
            checked += check(exchange["response"].clone());
        }
    }
    assert!(checked > 50, "only {checked} answers were recognised");
}

#[test]
fn events_keep_their_keys_and_order() {
    let mut checked = 0;
    for file in [
        "02_stream_text.sse",
        "03_stream_function_requires_action.sse",
        "04_stream_submit_tool_outputs.sse",
        "05_stream_code_interpreter.sse",
        "06_stream_file_search.sse",
        "07_stream_incomplete_2024-04.sse",
    ] {
        for line in recording(file).lines() {
            let Some(data) = line.strip_prefix("data: ").filter(|data| data.starts_with('{')) else {
                continue;
            };
            checked += check(serde_json::from_str(data).unwrap());
        }
    }
    assert!(checked > 60, "only {checked} events were recognised");
}
