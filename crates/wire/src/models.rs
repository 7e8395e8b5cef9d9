//! Models as `/models` lists them.

use serde::{Deserialize, Serialize};

use crate::UnixSeconds;

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
}

/// The answer of `GET /models`, which has no pages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Models {
    /// Always `list`.
    pub object: String,
    /// All models.
    pub data: Vec<Model>,
}
