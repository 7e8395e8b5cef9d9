//! Asking a vector store: `POST /vector_stores/{vector_store_id}/search`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::shape::{Field, Path, Request, Shape, one_or_several};

/// Body of `POST /vector_stores/{vector_store_id}/search`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchStore {
    /// One or several ways of asking.
    #[serde(deserialize_with = "one_or_several")]
    pub query: Vec<String>,
    /// Whether a model makes search terms of what was asked.
    #[serde(default)]
    pub rewrite_query: bool,
    /// 1 to 50.
    #[serde(default = "ten")]
    pub max_num_results: usize,
    /// Only files whose attributes fit.
    pub filters: Option<Filter>,
    /// How results are ranked and cut.
    #[serde(default)]
    pub ranking_options: SearchRanking,
}

fn ten() -> usize {
    10
}

/// How results of a search are ranked and cut.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SearchRanking {
    /// Which ranker; all but `none` rank by words and meaning together.
    pub ranker: Ranker,
    /// Results below this are left out, 0 to 1.
    pub score_threshold: f64,
    /// How much meaning and words count; absent: both in full.
    pub hybrid_search: Option<HybridSearch>,
}

/// How much meaning and words count beside each other. Only the proportion says something.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HybridSearch {
    /// How much meaning counts, from 0.
    pub embedding_weight: f64,
    /// How much words count, from 0.
    pub text_weight: f64,
}

const WEIGHT: Shape = Shape::Decimal { min: 0.0, max: f64::MAX };

pub(crate) const HYBRID_SEARCH: Shape = Shape::Where(
    &Shape::Object(&[Field::required("embedding_weight", WEIGHT), Field::required("text_weight", WEIGHT)]),
    something_counts,
);

fn something_counts(weights: &Value, path: &Path<'_>) -> Result<(), Error> {
    let counts = |key: &str| weights.get(key).and_then(Value::as_f64).is_some_and(|weight| weight > 0.0);
    if counts("embedding_weight") || counts("text_weight") {
        return Ok(());
    }
    let message = format!(
        "Invalid '{path}': at least one of 'embedding_weight' and 'text_weight' must be greater than 0."
    );
    Err(Error::parameter(path.to_string(), "invalid_value", message))
}

/// How results are ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Ranker {
    /// By meaning alone.
    #[serde(rename = "none")]
    None,
    /// As we see fit.
    #[default]
    #[serde(rename = "auto", alias = "default-2024-11-15")]
    Auto,
}

/// Which files are searched, by their attributes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words say it")]
pub enum Filter {
    Eq { key: String, value: Value },
    Ne { key: String, value: Value },
    Gt { key: String, value: Value },
    Gte { key: String, value: Value },
    Lt { key: String, value: Value },
    Lte { key: String, value: Value },
    In { key: String, value: Vec<Value> },
    Nin { key: String, value: Vec<Value> },
    And { filters: Vec<Filter> },
    Or { filters: Vec<Filter> },
}

impl Filter {
    /// Whether a file with these attributes is searched. A file without the attribute fits `ne` and `nin` alone.
    pub fn admits(&self, attributes: &Map<String, Value>) -> bool {
        let ordered = |key: &str, value: &Value, fits: fn(std::cmp::Ordering) -> bool| {
            attributes.get(key).and_then(|own| compare(own, value)).is_some_and(fits)
        };
        let equals = |key: &str, value: &Value| attributes.get(key).is_some_and(|own| equal(own, value));
        match self {
            Self::Eq { key, value } => equals(key, value),
            Self::Ne { key, value } => !equals(key, value),
            Self::Gt { key, value } => ordered(key, value, std::cmp::Ordering::is_gt),
            Self::Gte { key, value } => ordered(key, value, std::cmp::Ordering::is_ge),
            Self::Lt { key, value } => ordered(key, value, std::cmp::Ordering::is_lt),
            Self::Lte { key, value } => ordered(key, value, std::cmp::Ordering::is_le),
            Self::In { key, value } => value.iter().any(|value| equals(key, value)),
            Self::Nin { key, value } => !value.iter().any(|value| equals(key, value)),
            Self::And { filters } => filters.iter().all(|filter| filter.admits(attributes)),
            Self::Or { filters } => filters.iter().any(|filter| filter.admits(attributes)),
        }
    }
}

/// 1 and 1.0 are the same number, "1" is none.
fn equal(own: &Value, value: &Value) -> bool {
    match (own.as_f64(), value.as_f64()) {
        (Some(own), Some(value)) => own == value,
        (None, None) => own == value,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn compare(own: &Value, value: &Value) -> Option<std::cmp::Ordering> {
    match (own, value) {
        (Value::Number(_), Value::Number(_)) => own.as_f64()?.partial_cmp(&value.as_f64()?),
        (Value::String(own), Value::String(value)) => Some(own.cmp(value)),
        _ => None,
    }
}

/// More filters within filters than anybody writes by hand; a deeper nest would only cost stack.
const DEEPEST: usize = 16;

fn is_filter(filter: &Value, path: &Path<'_>) -> Result<(), Error> {
    check_filter(filter, path, DEEPEST)
}

fn check_filter(filter: &Value, path: &Path<'_>, depth: usize) -> Result<(), Error> {
    if depth == 0 {
        let message = format!("Invalid '{path}': filters are nested more than {DEEPEST} deep.");
        return Err(Error::parameter(path.to_string(), "invalid_value", message));
    }
    let mut own = filter.clone();
    FILTER.check_at(&mut own, path)?;
    let here = Path::Key(path, "filters");
    let inner = filter.get("filters").and_then(Value::as_array).into_iter().flatten();
    inner
        .enumerate()
        .try_for_each(|(index, filter)| check_filter(filter, &Path::Item(&here, index), depth - 1))
}

const KEY: Field = Field::required("key", Shape::String { min: 1, max: 64 });
const COMPARISON: &[Field] = &[KEY, Field::required("value", Shape::Scalar)];
const CHOICE: &[Field] =
    &[KEY, Field::required("value", Shape::Array { items: &Shape::Scalar, min: 0, max: 1_000 })];
const COMPOUND: &[Field] =
    &[Field::required("filters", Shape::Array { items: &Shape::AnyObject, min: 1, max: 100 })];

const FILTER: Shape = Shape::Tagged(&[
    ("eq", COMPARISON),
    ("ne", COMPARISON),
    ("gt", COMPARISON),
    ("gte", COMPARISON),
    ("lt", COMPARISON),
    ("lte", COMPARISON),
    ("in", CHOICE),
    ("nin", CHOICE),
    ("and", COMPOUND),
    ("or", COMPOUND),
]);

const QUERIES: Shape = Shape::Array { items: &QUERY, min: 1, max: 32 };
const QUERY: Shape = Shape::String { min: 1, max: 4_096 };

impl Request for SearchStore {
    const SHAPE: Shape = Shape::Object(&[
        Field::required("query", Shape::Either(&QUERY, &QUERIES)),
        Field::optional("rewrite_query", Shape::Boolean),
        Field::optional("max_num_results", Shape::Integer { min: 1, max: 50 }),
        Field::optional("filters", Shape::Where(&Shape::AnyObject, is_filter)),
        Field::optional(
            "ranking_options",
            Shape::Object(&[
                Field::optional("ranker", Shape::Enum(&["none", "auto", "default-2024-11-15"])),
                Field::optional("score_threshold", Shape::Decimal { min: 0.0, max: 1.0 }),
                Field::optional("hybrid_search", HYBRID_SEARCH),
            ]),
        ),
    ]);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn admits(filter: Value, attributes: Value) -> bool {
        let body = json!({"query": "q", "filters": filter});
        let filter = SearchStore::read(body).unwrap().filters.unwrap();
        filter.admits(attributes.as_object().unwrap())
    }

    #[test]
    fn filters_compare_like_with_like() {
        let file = || json!({"year": 2024, "team": "연구", "draft": false});
        for (filter, fits) in [
            (json!({"type": "eq", "key": "year", "value": 2024.0}), true),
            (json!({"type": "eq", "key": "year", "value": "2024"}), false),
            (json!({"type": "eq", "key": "team", "value": "연구"}), true),
            (json!({"type": "eq", "key": "none", "value": "x"}), false),
            (json!({"type": "ne", "key": "none", "value": "x"}), true),
            (json!({"type": "ne", "key": "draft", "value": false}), false),
            (json!({"type": "gt", "key": "year", "value": 2023}), true),
            (json!({"type": "gte", "key": "year", "value": 2024}), true),
            (json!({"type": "lt", "key": "year", "value": 2024}), false),
            (json!({"type": "lte", "key": "team", "value": 1}), false),
            (json!({"type": "in", "key": "year", "value": [1, 2024]}), true),
            (json!({"type": "nin", "key": "team", "value": ["연구"]}), false),
            (json!({"type": "nin", "key": "none", "value": ["x"]}), true),
            (
                json!({"type": "or", "filters": [
                    {"type": "eq", "key": "year", "value": 1},
                    {"type": "and", "filters": [{"type": "eq", "key": "team", "value": "연구"}]}
                ]}),
                true,
            ),
        ] {
            assert_eq!(admits(filter.clone(), file()), fits, "{filter}");
        }
    }

    #[test]
    fn a_broken_filter_is_named() {
        for (filter, param, code) in [
            (json!({"type": "eq", "key": "a"}), "filters.value", "missing_required_parameter"),
            (json!({"type": "like", "key": "a", "value": 1}), "filters.type", "invalid_value"),
            (json!({"type": "eq", "key": "a", "value": {}}), "filters.value", "invalid_type"),
            (json!({"type": "in", "key": "a", "value": 1}), "filters.value", "invalid_type"),
            (
                json!({"type": "and", "filters": [{"type": "eq", "key": "a", "value": 1, "x": 1}]}),
                "filters.filters[0].x",
                "unknown_parameter",
            ),
        ] {
            let error = SearchStore::read(json!({"query": "q", "filters": filter})).unwrap_err();
            assert_eq!((error.param.as_deref(), error.code), (Some(param), Some(code)), "{error}");
        }
        let mut deep = json!({"type": "eq", "key": "a", "value": 1});
        for _ in 0..20 {
            deep = json!({"type": "and", "filters": [deep]});
        }
        assert!(SearchStore::read(json!({"query": "q", "filters": deep})).is_err());
    }
}
