//! Models as `/models` lists them.

use serde::{Deserialize, Serialize};

use crate::UnixSeconds;
use crate::shape::{Field, Request, Shape, YES_OR_NO, is_true};

/// Query of `GET /models`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct HowToList {
    /// Whether each model says what it is for. Ours; OpenAI's list told nobody.
    #[serde(default, deserialize_with = "is_true")]
    pub uses: bool,
}

impl Request for HowToList {
    const SHAPE: Shape = Shape::Object(&[Field::optional("uses", YES_OR_NO)]);
}

/// What a model is for, as far as is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelUse {
    /// It answers; or nothing says otherwise.
    Chat,
    /// It makes vectors, and cannot answer.
    Embeddings,
}

/// A model that can be asked for by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The name.
    pub id: String,
    /// Always `model`.
    pub object: String,
    /// When it came to be, as far as its upstream says.
    pub created: UnixSeconds,
    /// Who serves it.
    pub owned_by: String,
    /// What it is for; shown only where the request asks for it.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub serves: Option<ModelUse>,
}

/// The answer of `GET /models`, which has no pages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Models {
    /// Always `list`.
    pub object: String,
    /// All models.
    pub data: Vec<Model>,
}
