//! Pages of a list, and what a client may say of the page that it wants.

use serde::{Deserialize, Serialize};

use crate::shape::{Field, Request, Shape};

/// One page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct List<T> {
    object: ListTag,
    /// The objects, in the order asked for.
    pub data: Vec<T>,
    /// The first object's id; null on an empty page.
    pub first_id: Option<String>,
    /// The last object's id, which fetches the next page as `after`.
    pub last_id: Option<String>,
    /// Whether more objects follow in the direction of paging.
    pub has_more: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum ListTag {
    #[serde(rename = "list")]
    List,
}

impl<T> List<T> {
    /// A page of these objects.
    pub fn new(data: Vec<T>, has_more: bool, id: impl Fn(&T) -> &str) -> Self {
        let first_id = data.first().map(|object| id(object).to_owned());
        let last_id = data.last().map(|object| id(object).to_owned());
        Self { object: ListTag::List, data, first_id, last_id, has_more }
    }
}

/// Which way a list runs by creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Oldest first.
    Asc,
    /// Newest first.
    #[default]
    Desc,
}

/// The query of every list endpoint.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct ListQuery {
    /// At most so many objects.
    #[serde(default = "default_limit")]
    pub limit: i64,
    /// Which way.
    #[serde(default)]
    pub order: Order,
    /// Only what follows this object.
    pub after: Option<String>,
    /// Only what precedes this object.
    pub before: Option<String>,
    /// Of messages: only those of this run.
    pub run_id: Option<String>,
}

fn default_limit() -> i64 {
    20
}

pub(crate) const LIMIT: Field = Field::optional("limit", Shape::Integer { min: 1, max: 100 });
pub(crate) const ORDER: Field = Field::optional("order", Shape::Enum(&["asc", "desc"]));
pub(crate) const AFTER: Field = Field::optional("after", Shape::STRING);
pub(crate) const BEFORE: Field = Field::optional("before", Shape::STRING);

impl Request for ListQuery {
    const SHAPE: Shape =
        Shape::Object(&[LIMIT, ORDER, AFTER, BEFORE, Field::optional("run_id", Shape::Id("run_"))]);
}
