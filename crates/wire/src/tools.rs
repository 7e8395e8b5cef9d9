//! Tools, and the files that they work on.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::Error;
use crate::search::{HYBRID_SEARCH, HybridSearch};
use crate::shape::{Field, Path, Shape};
use crate::vector_stores::{CHUNKING_STRATEGY, NewChunkingStrategy};
use crate::{Metadata, metadata};

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
    /// How much meaning and words count; null in every recording: both in full.
    pub hybrid_search: Option<HybridSearch>,
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

/// Files for the tools, as creating requests name them: stores by id, or made on the way.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewToolResources {
    /// For `code_interpreter`.
    pub code_interpreter: Option<CodeInterpreterResources>,
    /// For `file_search`.
    pub file_search: Option<NewFileSearchResources>,
}

/// Stores that are searched, or are made to be.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewFileSearchResources {
    /// Stores that there are; at most one.
    pub vector_store_ids: Vec<String>,
    /// A store to be made; at most one, and not beside one that there is.
    pub vector_stores: Vec<NewVectorStore>,
}

/// A store that is made for an assistant or a thread.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewVectorStore {
    /// Its files; at most 10,000.
    pub file_ids: Vec<String>,
    /// How they are cut.
    pub chunking_strategy: Option<NewChunkingStrategy>,
    /// The client's own pairs.
    pub metadata: Metadata,
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
    Field::optional("file_search", Shape::Where(&NEW_FILE_SEARCH, one_list)),
]);

/// One list of stores or the other (contract §2).
const NEW_FILE_SEARCH: Shape = Shape::Object(&[
    Field::optional("vector_store_ids", VECTOR_STORE_IDS),
    Field::optional("vector_stores", Shape::Array { items: &NEW_VECTOR_STORE, min: 0, max: 1 }),
]);

const NEW_VECTOR_STORE: Shape = Shape::Object(&[
    Field::optional("file_ids", Shape::Array { items: &Shape::STRING, min: 0, max: 10_000 }),
    Field::optional("chunking_strategy", CHUNKING_STRATEGY),
    Field::optional("metadata", metadata::SHAPE),
]);

fn one_list(resources: &Value, path: &Path<'_>) -> Result<(), Error> {
    let filled =
        |key: &str| resources.get(key).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    if !(filled("vector_store_ids") && filled("vector_stores")) {
        return Ok(());
    }
    let here = Path::Key(path, "vector_stores");
    let message = format!(
        "Mutually exclusive parameters: '{here}' and '{}'. Only one of them can be given.",
        Path::Key(path, "vector_store_ids")
    );
    Err(Error::parameter(here.to_string(), "mutually_exclusive_parameters", message))
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
            Field::optional("hybrid_search", HYBRID_SEARCH),
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
