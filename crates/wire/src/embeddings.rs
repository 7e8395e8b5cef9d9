//! Texts as vectors: `POST /embeddings`, which programs use beside the Assistants API.

use serde::{Deserialize, Serialize};

use crate::shape::{Field, Request, Shape, one_or_several};

/// Body of `POST /embeddings`. Lists of tokens, which OpenAI takes too, belong to OpenAI's models alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateEmbedding {
    /// One or several texts.
    #[serde(deserialize_with = "one_or_several")]
    pub input: Vec<String>,
    /// The model's name.
    pub model: String,
    /// How long the vectors are to be.
    pub dimensions: Option<usize>,
    /// How they are written.
    #[serde(default)]
    pub encoding_format: EncodingFormat,
    /// Whoever asks, for OpenAI's own watch.
    pub user: Option<String>,
}

/// How a vector is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncodingFormat {
    /// A list of numbers.
    #[default]
    Float,
    /// The numbers' bytes, four each and the lowest first, in base64. OpenAI's own SDKs ask for it.
    Base64,
}

const TEXT: Shape = Shape::FILLED;

impl Request for CreateEmbedding {
    const SHAPE: Shape = Shape::Object(&[
        Field::required("input", Shape::Either(&TEXT, &Shape::Array { items: &TEXT, min: 1, max: 2_048 })),
        Field::required("model", Shape::STRING),
        Field::optional("dimensions", Shape::Integer { min: 1, max: 65_536 }),
        Field::optional("encoding_format", Shape::Enum(&["float", "base64"])),
        Field::optional("user", Shape::STRING),
    ]);
}

/// The answer of `POST /embeddings`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Embeddings {
    /// Always `list`.
    pub object: &'static str,
    /// One for each text, in their order.
    pub data: Vec<Embedding>,
    /// The model that answered.
    pub model: String,
    /// How much was read.
    pub usage: EmbeddingUsage,
}

/// A text's vector.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Embedding {
    /// Always `embedding`.
    pub object: &'static str,
    /// Which text.
    pub index: usize,
    /// The vector.
    pub embedding: Vector,
}

/// A vector in one of its two forms.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Vector {
    /// Numbers.
    Numbers(Vec<f32>),
    /// As [`EncodingFormat::Base64`] says.
    Base64(String),
}

/// How much was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct EmbeddingUsage {
    /// Tokens of all texts.
    pub prompt_tokens: u64,
    /// The same, as nothing is written.
    pub total_tokens: u64,
}
