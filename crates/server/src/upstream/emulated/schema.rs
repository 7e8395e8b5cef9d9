//! One schema of all that the model may write in a turn.

use serde_json::{Map, Value, json};

use super::Protocol;
use crate::upstream::chat::ChatFunction;

/// The form of the model's words.
#[derive(Debug)]
pub(super) enum Words {
    /// Plain text.
    Text,
    /// JSON that follows the caller's schema.
    Json(Value),
}

impl Words {
    pub(super) fn from_response_format(format: Option<Value>) -> Self {
        let Some(format) = format else { return Self::Text };
        match format.get("type").and_then(Value::as_str) {
            Some("json_object") => Self::Json(json!({"type": "object"})),
            Some("json_schema") => {
                let schema = format.get("json_schema").and_then(|outer| outer.get("schema"));
                Self::Json(schema.cloned().unwrap_or_else(|| json!({"type": "object"})))
            }
            Some(_) | None => Self::Text,
        }
    }
}

/// The `response_format` by which the server constrains the model.
pub(super) fn response_format(protocol: &Protocol) -> Value {
    let mut definitions = Map::new();
    let calls: Vec<Value> =
        protocol.functions.iter().enumerate().map(|(at, f)| call(at, f, &mut definitions)).collect();
    let calls = object([("calls", list_of(calls, protocol.most_calls))]);
    let mut schema = if protocol.must_call {
        calls
    } else {
        let words = match &protocol.words {
            Words::Text => json!({"type": "string"}),
            Words::Json(schema) => placed("reply", schema.clone(), &mut definitions),
        };
        json!({"anyOf": [object([("reply", words)]), calls]})
    };
    if let Some(schema) = schema.as_object_mut().filter(|_| !definitions.is_empty()) {
        schema.insert("$defs".to_owned(), Value::Object(definitions));
    }
    json!({"type": "json_schema", "json_schema": {"name": "turn", "strict": true, "schema": schema}})
}

fn call(at: usize, function: &ChatFunction, definitions: &mut Map<String, Value>) -> Value {
    let mut arguments = cleaned(&function.parameters);
    if let Some(arguments) = arguments.as_object_mut() {
        arguments.insert("type".to_owned(), json!("object"));
    } else {
        arguments = json!({"type": "object"});
    }
    let arguments = placed(&format!("arguments{at}"), arguments, definitions);
    object([("name", json!({"type": "string", "enum": [function.name]})), ("arguments", arguments)])
}

fn list_of(mut items: Vec<Value>, most: usize) -> Value {
    let items = if items.len() == 1 { items.remove(0) } else { json!({"anyOf": items}) };
    json!({"type": "array", "items": items, "minItems": 1, "maxItems": most})
}

/// An object with exactly these members, in this order.
fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let required = members.each_ref().map(|(name, _)| *name).to_vec();
    let properties: Map<String, Value> =
        members.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// The schema for use within ours. References within it name places from its own root, so a schema that has
/// any becomes a definition, and they are told where it now lies.
fn placed(name: &str, mut schema: Value, definitions: &mut Map<String, Value>) -> Value {
    let root = format!("#/$defs/{name}");
    if !move_references(&mut schema, &root) {
        return schema;
    }
    definitions.insert(name.to_owned(), schema);
    json!({"$ref": root})
}

/// Whether there were any.
fn move_references(schema: &mut Value, root: &str) -> bool {
    match schema {
        Value::Array(items) => items.iter_mut().fold(false, |any, item| move_references(item, root) | any),
        Value::Object(members) => members.iter_mut().fold(false, |any, (key, value)| {
            let here = match value {
                Value::String(to) if key == "$ref" => move_reference(to, root),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_) => move_references(value, root),
            };
            here | any
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn move_reference(to: &mut String, root: &str) -> bool {
    let Some(place) = to.strip_prefix('#') else { return false };
    *to = format!("{root}{place}");
    true
}

/// The part of a schema that servers turn into grammars. What they do not know (patterns, formats, lengths)
/// makes some of them refuse the whole request.
fn cleaned(schema: &Value) -> Value {
    let Value::Object(members) = schema else { return schema.clone() };
    let mut kept: Map<String, Value> =
        members.iter().filter_map(|(key, value)| Some((key.clone(), cleaned_member(key, value)?))).collect();
    if kept.contains_key("properties") && !kept.contains_key("additionalProperties") {
        kept.insert("additionalProperties".to_owned(), json!(false));
    }
    Value::Object(kept)
}

fn cleaned_member(key: &str, value: &Value) -> Option<Value> {
    match key {
        "type" | "required" | "enum" | "const" | "$ref" => Some(value.clone()),
        "properties" | "$defs" | "definitions" => {
            let members = value.as_object()?;
            Some(members.iter().map(|(name, schema)| (name.clone(), cleaned(schema))).collect())
        }
        "items" | "additionalProperties" => Some(cleaned(value)),
        "anyOf" | "oneOf" | "allOf" | "prefixItems" => Some(value.as_array()?.iter().map(cleaned).collect()),
        // Numbers become repetitions in a grammar: large ones do not fit.
        "minItems" | "maxItems" => {
            Some(value.clone()).filter(|count| count.as_u64().is_some_and(|n| n <= 64))
        }
        "minimum" | "maximum" => Some(value.clone()).filter(Value::is_i64),
        _ => None,
    }
}
