//! Absent, null and a value are three things in a request that modifies an object.

use serde::{Deserialize, Deserializer};

/// What a modifying request says of one field. Use it with `#[serde(default)]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Patch<T> {
    /// The key was absent: leave the field.
    #[default]
    Keep,
    /// The key was null: set the field to its default.
    Clear,
    /// The key had a value.
    Set(T),
}

impl<T> Patch<T> {
    /// Applies this to a field that may be null.
    pub fn apply(self, field: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *field = None,
            Self::Set(value) => *field = Some(value),
        }
    }

    /// Applies this to a field that always has a value.
    pub fn apply_or(self, field: &mut T, default: impl FnOnce() -> T) {
        match self {
            Self::Keep => {}
            Self::Clear => *field = default(),
            Self::Set(value) => *field = value,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match Option::deserialize(from)? {
            Some(value) => Self::Set(value),
            None => Self::Clear,
        })
    }
}
