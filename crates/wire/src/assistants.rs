//! Assistants.

use serde::{Deserialize, Serialize};

use crate::runs::{REASONING_EFFORT, RESPONSE_FORMAT, ReasoningEffort, ResponseFormat, TEMPERATURE, TOP_P};
use crate::shape::{Field, Request, Shape};
use crate::tools::{NEW_TOOL_RESOURCES, NewToolResources, TOOL_RESOURCES, TOOLS, Tool, ToolResources};
use crate::{AssistantId, Metadata, Patch, UnixSeconds, metadata};

/// A model with instructions and tools.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assistant {
    /// Its id.
    pub id: AssistantId,
    /// Always `assistant`.
    pub object: String,
    /// When it was created.
    pub created_at: UnixSeconds,
    /// At most 256 characters.
    pub name: Option<String>,
    /// At most 512 characters.
    pub description: Option<String>,
    /// The model's name as the client knows it.
    pub model: String,
    /// At most 256,000 characters.
    pub instructions: Option<String>,
    /// At most 128.
    pub tools: Vec<Tool>,
    /// Nucleus sampling, 0 to 1.
    pub top_p: f64,
    /// Sampling temperature, 0 to 2.
    pub temperature: f64,
    /// How long a reasoning model may think.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Files for the tools.
    pub tool_resources: ToolResources,
    /// The client's own pairs.
    pub metadata: Metadata,
    /// The answers' form.
    pub response_format: ResponseFormat,
}

/// Body of `POST /assistants`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of Assistant")]
pub struct CreateAssistant {
    pub model: String,
    pub name: Option<String>,
    pub description: Option<String>,
    pub instructions: Option<String>,
    #[serde(default)]
    pub tools: Vec<Tool>,
    #[serde(default)]
    pub tool_resources: NewToolResources,
    #[serde(default)]
    pub metadata: Metadata,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    #[serde(default)]
    pub response_format: ResponseFormat,
    pub reasoning_effort: Option<ReasoningEffort>,
}

impl Request for CreateAssistant {
    const SHAPE: Shape = Shape::Object(&[
        Field::required("model", Shape::FILLED),
        Field::optional("name", Shape::String { min: 0, max: 256 }),
        Field::optional("description", Shape::String { min: 0, max: 512 }),
        Field::optional("instructions", Shape::String { min: 0, max: 256_000 }),
        Field::optional("tools", TOOLS),
        Field::optional("tool_resources", NEW_TOOL_RESOURCES),
        Field::optional("metadata", metadata::SHAPE),
        Field::optional("temperature", TEMPERATURE),
        Field::optional("top_p", TOP_P),
        Field::optional("response_format", RESPONSE_FORMAT),
        Field::optional("reasoning_effort", REASONING_EFFORT),
    ]);
}

impl CreateAssistant {
    /// The new assistant, defaults filled in as recorded. Its resources are those of the request once their
    /// stores are made.
    pub fn into_assistant(
        self,
        id: AssistantId,
        created_at: UnixSeconds,
        resources: ToolResources,
    ) -> Assistant {
        Assistant {
            id,
            object: "assistant".to_owned(),
            created_at,
            name: self.name,
            description: self.description,
            model: self.model,
            instructions: self.instructions,
            tool_resources: resources.beside(&self.tools),
            tools: self.tools,
            top_p: self.top_p.unwrap_or(1.0),
            temperature: self.temperature.unwrap_or(1.0),
            reasoning_effort: self.reasoning_effort,
            metadata: self.metadata,
            response_format: self.response_format,
        }
    }
}

/// Body of `POST /assistants/{assistant_id}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the fields are those of Assistant")]
pub struct ModifyAssistant {
    pub model: Option<String>,
    pub name: Patch<String>,
    pub description: Patch<String>,
    pub instructions: Patch<String>,
    pub tools: Patch<Vec<Tool>>,
    pub tool_resources: Patch<ToolResources>,
    pub metadata: Patch<Metadata>,
    pub temperature: Patch<f64>,
    pub top_p: Patch<f64>,
    pub response_format: Patch<ResponseFormat>,
    pub reasoning_effort: Patch<ReasoningEffort>,
}

impl Request for ModifyAssistant {
    const SHAPE: Shape = Shape::Object(&[
        Field::optional("model", Shape::FILLED),
        Field::nullable("name", Shape::String { min: 0, max: 256 }),
        Field::nullable("description", Shape::String { min: 0, max: 512 }),
        Field::nullable("instructions", Shape::String { min: 0, max: 256_000 }),
        Field::nullable("tools", TOOLS),
        Field::nullable("tool_resources", TOOL_RESOURCES),
        Field::nullable("metadata", metadata::SHAPE),
        Field::nullable("temperature", TEMPERATURE),
        Field::nullable("top_p", TOP_P),
        Field::nullable("response_format", RESPONSE_FORMAT),
        Field::nullable("reasoning_effort", REASONING_EFFORT),
    ]);
}

impl ModifyAssistant {
    /// Changes what the request names and nothing else.
    pub fn apply(self, to: &mut Assistant) {
        if let Some(model) = self.model {
            to.model = model;
        }
        self.name.apply(&mut to.name);
        self.description.apply(&mut to.description);
        self.instructions.apply(&mut to.instructions);
        self.tools.apply_or(&mut to.tools, Vec::new);
        self.tool_resources.apply_or(&mut to.tool_resources, ToolResources::default);
        self.metadata.apply_or(&mut to.metadata, Metadata::default);
        self.temperature.apply_or(&mut to.temperature, || 1.0);
        self.top_p.apply_or(&mut to.top_p, || 1.0);
        self.response_format.apply_or(&mut to.response_format, ResponseFormat::default);
        self.reasoning_effort.apply(&mut to.reasoning_effort);
        to.tool_resources = std::mem::take(&mut to.tool_resources).beside(&to.tools);
    }
}
