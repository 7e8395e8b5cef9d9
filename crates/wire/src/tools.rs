//! Tools, and the files that they work on.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::Error;
use crate::shape::{Field, Path, Shape};

/// A tool of an assistant or a run, normalised as recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Tool {
    /// Python in a sandbox.
    CodeInterpreter {},
    /// Search over vector stores.
    FileSearch {
        /// How to search.
        #[serde(default)]
        file_search: FileSearch,
    },
    /// A function of the client's program.
    Function {
        /// Its description.
        function: Function,
    },
}

/// How `file_search` searches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileSearch {
    /// The most results, 1 to 50; absent means the model's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_num_results: Option<u32>,
    /// How results are ranked and cut.
    #[serde(default)]
    pub ranking_options: RankingOptions,
}

/// How results of `file_search` are ranked and cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RankingOptions {
    /// The ranker's name.
    pub ranker: String,
    /// Results below this are dropped, 0 to 1.
    pub score_threshold: f64,
    /// Null in every recording.
    pub hybrid_search: Option<Value>,
}

impl Default for RankingOptions {
    fn default() -> Self {
        Self { ranker: "default_2024_08_21".to_owned(), score_threshold: 0.0, hybrid_search: None }
    }
}

/// A function that the model may ask the client to call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// Matches `^[a-zA-Z0-9_-]{1,64}$`.
    pub name: String,
    /// What it does and when to call it; at most 1024 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON schema of the arguments object.
    #[serde(default = "no_parameters")]
    pub parameters: Value,
    /// Whether the model must follow the schema exactly.
    #[serde(default)]
    pub strict: bool,
}

fn no_parameters() -> Value {
    json!({"type": "object", "properties": {}})
}

/// Files for the tools of an assistant, a thread or a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolResources {
    /// For `code_interpreter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_interpreter: Option<CodeInterpreterResources>,
    /// For `file_search`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_search: Option<FileSearchResources>,
}

/// Files that code may read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CodeInterpreterResources {
    /// At most 20.
    #[serde(default)]
    pub file_ids: Vec<String>,
}

/// Stores that are searched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileSearchResources {
    /// At most one.
    #[serde(default)]
    pub vector_store_ids: Vec<String>,
}

impl ToolResources {
    /// Adds the empty entry that OpenAI shows for each hosted tool in use (recorded).
    #[must_use]
    pub fn beside(mut self, tools: &[Tool]) -> Self {
        for tool in tools {
            match tool {
                Tool::CodeInterpreter {} => drop(self.code_interpreter.get_or_insert_default()),
                Tool::FileSearch { .. } => drop(self.file_search.get_or_insert_default()),
                Tool::Function { .. } => {}
            }
        }
        self
    }
}

const FILE_IDS: Shape = Shape::Array { items: &Shape::STRING, min: 0, max: 20 };
const VECTOR_STORE_IDS: Shape = Shape::Array { items: &Shape::STRING, min: 0, max: 1 };

/// `tool_resources` where it modifies.
pub(crate) const TOOL_RESOURCES: Shape = Shape::Object(&[
    Field::optional("code_interpreter", Shape::Object(&[Field::optional("file_ids", FILE_IDS)])),
    Field::optional("file_search", Shape::Object(&[Field::optional("vector_store_ids", VECTOR_STORE_IDS)])),
]);

/// `tool_resources` where it creates.
pub(crate) const NEW_TOOL_RESOURCES: Shape = Shape::Object(&[
    Field::optional("code_interpreter", Shape::Object(&[Field::optional("file_ids", FILE_IDS)])),
    Field::optional(
        "file_search",
        Shape::Object(&[
            Field::optional("vector_store_ids", VECTOR_STORE_IDS),
            Field::optional("vector_stores", Shape::Where(&ANY_ARRAY, refuse_vector_stores)),
        ]),
    ),
]);

const ANY_ARRAY: Shape = Shape::Array { items: &Shape::AnyObject, min: 0, max: 1 };

/// Vector stores are not built yet: asking to make one is refused in words, never accepted and forgotten.
fn refuse_vector_stores(_: &Value, path: &Path<'_>) -> Result<(), Error> {
    let message = format!("Invalid '{path}': this version of the server cannot create vector stores yet.");
    Err(Error::parameter(path.to_string(), "unsupported_parameter", message))
}

/// The tools of an assistant, or of a run in their place. The specification allows a run 20, the guide 128 for
/// both; the larger limit refuses no program that worked.
pub(crate) const TOOLS: Shape = Shape::Array { items: &TOOL, min: 0, max: 128 };

const TOOL: Shape = Shape::Tagged(&[
    ("code_interpreter", &[]),
    ("file_search", &[Field::optional("file_search", FILE_SEARCH)]),
    ("function", &[Field::required("function", Shape::Where(&FUNCTION, strict_schema))]),
]);

const FILE_SEARCH: Shape = Shape::Object(&[
    Field::optional("max_num_results", Shape::Integer { min: 1, max: 50 }),
    Field::optional(
        "ranking_options",
        Shape::Object(&[
            Field::optional("ranker", Shape::Enum(&["auto", "default_2024_08_21"])),
            Field::required("score_threshold", Shape::Decimal { min: 0.0, max: 1.0 }),
            Field::optional("hybrid_search", Shape::AnyObject),
        ]),
    ),
]);

const FUNCTION: Shape = Shape::Object(&[
    Field::required("name", Shape::Name { max: 64 }),
    Field::optional("description", Shape::String { min: 0, max: 1024 }),
    Field::optional("parameters", Shape::AnyObject),
    Field::optional("strict", Shape::Boolean),
]);

/// A strict function's schema must close every object and require every property (contract §5).
fn strict_schema(function: &Value, path: &Path<'_>) -> Result<(), Error> {
    if function.get("strict") != Some(&Value::Bool(true)) {
        return Ok(());
    }
    let name = function.get("name").and_then(Value::as_str).unwrap_or_default();
    let parameters = function.get("parameters").unwrap_or(&Value::Null);
    closed_schema(parameters, &mut Vec::new()).map_err(|fault| {
        let message = format!("Invalid schema for function '{name}': {fault}");
        Error::parameter(Path::Key(path, "parameters").to_string(), "invalid_function_parameters", message)
    })
}

/// What strict mode demands of a schema, found out one fault at a time; `context` is the way to it.
pub(crate) fn closed_schema(schema: &Value, context: &mut Vec<String>) -> Result<(), String> {
    let Some(object) = schema.as_object() else { return Ok(()) };
    let properties = object.get("properties").and_then(Value::as_object);
    if properties.is_some() || object.get("type").and_then(Value::as_str) == Some("object") {
        if object.get("additionalProperties") != Some(&Value::Bool(false)) {
            let context = in_context(context);
            return Err(format!(
                "In context={context}, 'additionalProperties' is required to be supplied and to be false."
            ));
        }
        let required = object.get("required").and_then(Value::as_array);
        let lacks =
            |key: &&String| !required.is_some_and(|keys| keys.iter().any(|name| name == key.as_str()));
        if let Some(key) = properties.and_then(|properties| properties.keys().find(lacks)) {
            let context = in_context(context);
            return Err(format!(
                "In context={context}, 'required' is required to be supplied and to be an array including every key \
                 in properties. Missing '{key}'."
            ));
        }
    }
    for (key, inner) in properties.into_iter().flatten() {
        context.extend(["properties".to_owned(), key.clone()]);
        closed_schema(inner, context)?;
        context.truncate(context.len() - 2);
    }
    if let Some(items) = object.get("items") {
        context.push("items".to_owned());
        closed_schema(items, context)?;
        context.pop();
    }
    Ok(())
}

fn in_context(context: &[String]) -> String {
    let quoted: Vec<String> = context.iter().map(|key| format!("'{key}'")).collect();
    match quoted.as_slice() {
        [only] => format!("({only},)"),
        several => format!("({})", several.join(", ")),
    }
}
