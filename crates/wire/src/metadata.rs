//! Up to 16 pairs of strings that a client may hang on any object.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::shape::Shape;

/// Metadata in the order in which it was given. A missing or null value is an empty object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metadata(pub Map<String, Value>);

/// At most 16 pairs, keys of 64 and values of 512 characters.
pub const SHAPE: Shape = Shape::Map { max_pairs: 16, max_key: 64, max_value: 512 };
