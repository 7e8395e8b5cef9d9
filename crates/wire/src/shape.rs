//! What a request may look like, as data, and the words in which OpenAI refuses anything else.
//!
//! A [`Shape`] is checked against the parsed JSON before it becomes a type. So each limit stands once, next
//! to the request that it belongs to, and every refusal names its parameter as a dotted path.
//!
//! Two passes: unknown keys anywhere in the body win over wrong values elsewhere (contract §1).

mod fit;

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::error::Error;
use fit::{
    fit_array, fit_decimal, fit_enum, fit_id, fit_integer, fit_map, fit_name, fit_object, fit_string,
    fit_tagged,
};

/// A request body or query that knows its shape.
pub trait Request: DeserializeOwned {
    /// What is accepted.
    const SHAPE: Shape;

    /// Checks and reads a request.
    ///
    /// # Errors
    /// One of the validator family of contract §3.
    fn read(mut value: Value) -> Result<Self, Error> {
        Self::SHAPE.check(&mut value)?;
        // A shape that lets through what its type refuses is a fault of ours, yet the client's input has
        // caused it: it is refused all the same, with what serde says.
        serde_json::from_value(value).map_err(|error| Error::invalid(format!("Invalid request: {error}.")))
    }
}

/// Reads a string, or a list of strings, as a list.
pub(crate) fn one_or_several<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Strings {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Strings::deserialize(from)? {
        Strings::One(string) => vec![string],
        Strings::Several(strings) => strings,
    })
}

/// What a query says to a yes-or-no question, read by [`is_true`].
pub(crate) const YES_OR_NO: Shape = Shape::Enum(&["true", "false"]);

pub(crate) fn is_true<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(String::deserialize(from)? == "true")
}

/// A shape of JSON.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A string; lengths in characters.
    String {
        /// The fewest characters.
        min: usize,
        /// The most characters.
        max: usize,
    },
    /// An identifier with a prefix.
    Id(&'static str),
    /// A string of letters, digits, `_` and `-`.
    Name {
        /// The most characters.
        max: usize,
    },
    /// A whole number.
    Integer {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// Any number.
    Decimal {
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
    },
    /// True or false.
    Boolean,
    /// One of these words.
    Enum(&'static [&'static str]),
    /// Items of one shape.
    Array {
        /// Each item's shape.
        items: &'static Shape,
        /// The fewest items.
        min: usize,
        /// The most items.
        max: usize,
    },
    /// An object of these fields and no others.
    Object(&'static [Field]),
    /// An object whose `type` says which fields it has.
    Tagged(&'static [(&'static str, &'static [Field])]),
    /// An object with keys of the client's choosing and strings as values.
    Map {
        /// The most pairs.
        max_pairs: usize,
        /// The longest key in characters.
        max_key: usize,
        /// The longest value in characters.
        max_value: usize,
    },
    /// Any object: a JSON schema.
    AnyObject,
    /// A string, a number or a boolean.
    Scalar,
    /// A word, or an object: `"auto"` or `{"type": …}`. The first shape is the word's.
    Either(&'static Shape, &'static Shape),
    /// A shape and what must hold beyond it.
    Where(&'static Shape, fn(&Value, &Path<'_>) -> Result<(), Error>),
}

/// A key of an object.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    name: &'static str,
    shape: Shape,
    presence: Presence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Required,
    /// Null means absent, and is taken away.
    Optional,
    /// Null is a value of its own.
    Nullable,
}

impl Field {
    /// A key that must be there.
    pub const fn required(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, presence: Presence::Required }
    }

    /// A key that may be absent, or null, which is the same.
    pub const fn optional(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, presence: Presence::Optional }
    }

    /// A key that may be absent, or null, which is not the same.
    pub const fn nullable(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, presence: Presence::Nullable }
    }

    /// The key's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// Where in a request something stands. Prints as `tools[0].function.name`.
#[derive(Clone, Copy, Debug)]
pub enum Path<'a> {
    /// The whole request.
    Root,
    /// A key of what stands at the inner path.
    Key(&'a Path<'a>, &'a str),
    /// An item of what stands at the inner path.
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Path::Root, key) => to.write_str(key),
            Self::Key(inner, key) => write!(to, "{inner}.{key}"),
            Self::Item(inner, index) => write!(to, "{inner}[{index}]"),
        }
    }
}

impl Shape {
    /// Any string that a request of permitted size can hold.
    pub const STRING: Self = Self::String { min: 0, max: usize::MAX };
    /// Any string but the empty one.
    pub const FILLED: Self = Self::String { min: 1, max: usize::MAX };

    /// Refuses what does not fit, and takes away the nulls that mean absence.
    ///
    /// # Errors
    /// One of the validator family of contract §3, with `param` and `code`.
    pub fn check(&self, value: &mut Value) -> Result<(), Error> {
        self.check_at(value, &Path::Root)
    }

    /// The same for what stands at a place within a request.
    pub(crate) fn check_at(&self, value: &mut Value, path: &Path<'_>) -> Result<(), Error> {
        self.refuse_unknown(value, path)?;
        self.fit(value, path)
    }

    /// Whether an object of this shape may have this key.
    pub fn has_key(&self, key: &str) -> bool {
        self.field(key).is_some()
    }

    /// Enters what a query or a form says of a key; `metadata[user]` says it of a key within, `include[]` adds to
    /// a list. Text becomes a number where the shape wants one and the text is one.
    pub fn enter_text(&self, object: &mut Map<String, Value>, key: &str, text: String) {
        let (name, inner) = split_key(key);
        if self.field(name).is_some_and(|field| matches!(field.shape, Self::Array { .. })) {
            if let Value::Array(list) = object.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
                list.push(Value::String(text));
            }
            return;
        }
        let Some(inner) = inner else {
            object.insert(name.to_owned(), self.value_of_text(name, text));
            return;
        };
        let value = match self.field(name) {
            Some(field) => field.shape.value_of_text(inner, text),
            None => Value::String(text),
        };
        if let Value::Object(object) = object.entry(name).or_insert_with(|| Value::Object(Map::new())) {
            object.insert(inner.to_owned(), value);
        }
    }

    fn value_of_text(&self, key: &str, text: String) -> Value {
        let number = match self.field(key).map(|field| field.shape) {
            Some(Self::Integer { .. }) => text.parse::<i64>().ok(),
            Some(_) | None => None,
        };
        number.map_or(Value::String(text), Value::from)
    }

    fn field(&self, key: &str) -> Option<&'static Field> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|field| field.name == key)
    }

    fn refuse_unknown(&self, value: &Value, path: &Path<'_>) -> Result<(), Error> {
        match (self, value) {
            (Self::Object(fields), Value::Object(object)) => refuse_unknown_keys(fields, object, None, path),
            (Self::Tagged(variants), Value::Object(object)) => match variant(variants, object) {
                Some((_, fields)) => refuse_unknown_keys(fields, object, Some("type"), path),
                None => Ok(()),
            },
            (Self::Array { items, .. }, Value::Array(array)) => array
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| items.refuse_unknown(item, &Path::Item(path, index))),
            (Self::Either(_, inner) | Self::Where(inner, _), _) => inner.refuse_unknown(value, path),
            _ => Ok(()),
        }
    }

    fn fit(&self, value: &mut Value, path: &Path<'_>) -> Result<(), Error> {
        match self {
            Self::String { min, max } => fit_string(value, path, *min, *max),
            Self::Id(prefix) => fit_id(value, path, prefix),
            Self::Name { max } => fit_name(value, path, *max),
            Self::Integer { min, max } => fit_integer(value, path, *min, *max),
            Self::Decimal { min, max } => fit_decimal(value, path, *min, *max),
            Self::Boolean if value.is_boolean() => Ok(()),
            Self::Scalar if value.is_string() || value.is_number() || value.is_boolean() => Ok(()),
            Self::Enum(words) => fit_enum(value, path, words),
            Self::Array { items, min, max } => fit_array(value, path, items, *min, *max),
            Self::Object(fields) => fit_object(self.object(value, path)?, path, fields),
            Self::Tagged(variants) => fit_tagged(self.object(value, path)?, path, variants),
            Self::Map { max_pairs, max_key, max_value } => {
                fit_map(self.object(value, path)?, path, *max_pairs, *max_key, *max_value)
            }
            Self::AnyObject => self.object(value, path).map(|_| ()),
            Self::Either(word, _) if value.is_string() => word.fit(value, path),
            Self::Either(_, object) if value.is_object() || value.is_array() => object.fit(value, path),
            Self::Boolean | Self::Scalar | Self::Either(..) => Err(self.wrong_type(value, path)),
            Self::Where(inner, holds) => {
                inner.fit(value, path)?;
                holds(value, path)
            }
        }
    }

    fn object<'v>(&self, value: &'v mut Value, path: &Path<'_>) -> Result<&'v mut Map<String, Value>, Error> {
        if !value.is_object() {
            return Err(self.wrong_type(value, path));
        }
        value.as_object_mut().ok_or_else(|| Error::invalid("expected an object"))
    }

    fn wrong_type(&self, value: &Value, path: &Path<'_>) -> Error {
        let got = match value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(number) if number.is_f64() => "a decimal",
            Value::Number(_) => "an integer",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        let message = match path {
            Path::Root => format!("Invalid request body: expected {}, but got {got} instead.", self.noun()),
            Path::Key(..) | Path::Item(..) => {
                format!("Invalid type for '{path}': expected {}, but got {got} instead.", self.noun())
            }
        };
        Error { code: Some("invalid_type"), param: in_words(path), ..Error::invalid(message) }
    }

    fn noun(&self) -> String {
        match self {
            Self::String { .. } | Self::Id(_) | Self::Name { .. } | Self::Enum(_) => "a string".to_owned(),
            Self::Integer { .. } => "an integer".to_owned(),
            Self::Decimal { .. } => "a decimal".to_owned(),
            Self::Boolean => "a boolean".to_owned(),
            Self::Scalar => "a string, a number or a boolean".to_owned(),
            Self::Array { items, .. } => format!("an array of {}", items.plural()),
            Self::Object(_) | Self::Tagged(_) | Self::Map { .. } | Self::AnyObject => "an object".to_owned(),
            Self::Either(word, other) => {
                let bare = |noun: String| {
                    noun.strip_prefix("an ").or(noun.strip_prefix("a ")).map(str::to_owned).unwrap_or(noun)
                };
                format!("one of a {} or {}", bare(word.noun()), bare(other.noun()))
            }
            Self::Where(inner, _) => inner.noun(),
        }
    }

    fn plural(&self) -> &'static str {
        match self {
            Self::String { .. } | Self::Id(_) | Self::Name { .. } | Self::Enum(_) => "strings",
            Self::Integer { .. } => "integers",
            Self::Decimal { .. } => "decimals",
            Self::Boolean => "booleans",
            Self::Scalar => "strings, numbers or booleans",
            Self::Array { .. } => "arrays",
            Self::Object(_) | Self::Tagged(_) | Self::Map { .. } | Self::AnyObject | Self::Either(..) => {
                "objects"
            }
            Self::Where(inner, _) => inner.plural(),
        }
    }
}

/// `metadata` and `user` of `metadata[user]`, which is how SDKs write a key of an object in a query or a form.
pub fn split_key(key: &str) -> (&str, Option<&str>) {
    let parts = key.strip_suffix(']').and_then(|key| key.split_once('['));
    parts.map_or((key, None), |(name, inner)| (name, Some(inner)))
}

fn in_words(path: &Path<'_>) -> Option<String> {
    match path {
        Path::Root => None,
        Path::Key(..) | Path::Item(..) => Some(path.to_string()),
    }
}

fn variant<'s>(
    variants: &'s [(&'static str, &'static [Field])],
    object: &Map<String, Value>,
) -> Option<&'s (&'static str, &'static [Field])> {
    let tag = object.get("type")?.as_str()?;
    variants.iter().find(|(name, _)| *name == tag)
}

fn refuse_unknown_keys(
    fields: &[Field],
    object: &Map<String, Value>,
    also: Option<&str>,
    path: &Path<'_>,
) -> Result<(), Error> {
    for (key, value) in object {
        let here = Path::Key(path, key);
        match fields.iter().find(|field| field.name == key) {
            Some(field) => field.shape.refuse_unknown(value, &here)?,
            None if also == Some(key.as_str()) => {}
            None => {
                return Err(Error::parameter(
                    here.to_string(),
                    "unknown_parameter",
                    format!("Unknown parameter: '{here}'."),
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::assistants::CreateAssistant;
    use crate::messages::CreateMessage;
    use crate::runs::CreateRun;

    fn refusal<R: Request>(body: Value) -> (String, Option<String>, Option<&'static str>) {
        let error = R::read(body).err().expect("refused");
        (error.message, error.param, error.code)
    }

    #[test]
    fn refusals_use_the_recorded_words() {
        let cases = [
            (json!({}), "Missing required parameter: 'model'.", "model", "missing_required_parameter"),
            (
                json!({"model": "m", "tool_resources": {"file_search": {"file_ids": []}}, "name": 1}),
                "Unknown parameter: 'tool_resources.file_search.file_ids'.",
                "tool_resources.file_search.file_ids",
                "unknown_parameter",
            ),
            (
                json!({"model": "m", "metadata": {"modified": true}}),
                "Invalid type for 'metadata.modified': expected a string, but got a boolean instead.",
                "metadata.modified",
                "invalid_type",
            ),
            (
                json!({"model": "m", "temperature": 2.5}),
                "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 instead.",
                "temperature",
                "decimal_above_max_value",
            ),
            (
                json!({"model": "m", "tools": [{"type": "bogus"}]}),
                "Invalid value: 'bogus'. Supported values are: 'code_interpreter', 'file_search', and 'function'.",
                "tools[0].type",
                "invalid_value",
            ),
            (
                json!({"model": "m", "tools": [{"type": "function", "function": {"name": "a b"}}]}),
                "Invalid 'tools[0].function.name': string does not match pattern. Expected a string that matches the \
                 pattern '^[a-zA-Z0-9_-]+$'.",
                "tools[0].function.name",
                "invalid_value",
            ),
        ];
        for (body, message, param, code) in cases {
            assert_eq!(
                refusal::<CreateAssistant>(body),
                (message.to_owned(), Some(param.to_owned()), Some(code))
            );
        }
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        let body = |length: usize| json!({"role": "user", "content": "가".repeat(length)});
        assert!(CreateMessage::read(body(256_000)).is_ok());
        let (message, ..) = refusal::<CreateMessage>(body(256_001));
        assert_eq!(
            message,
            "Invalid 'content': string too long. Expected a string with maximum length 256000, but got a string with \
             length 256001 instead."
        );
    }

    #[test]
    fn a_choice_of_kinds_is_named() {
        let (message, ..) = refusal::<CreateMessage>(json!({"role": "user", "content": 5}));
        assert_eq!(
            message,
            "Invalid type for 'content': expected one of a string or array of objects, but got an integer instead."
        );
        let (message, param, _) =
            refusal::<CreateRun>(json!({"assistant_id": "asst_1", "tool_choice": "bogus"}));
        assert_eq!(message, "Invalid value: 'bogus'. Supported values are: 'none', 'auto', and 'required'.");
        assert_eq!(param.as_deref(), Some("tool_choice"));
    }

    #[test]
    fn null_means_default_where_a_key_is_optional() {
        let run = CreateRun::read(json!({"assistant_id": "asst_1", "tools": null, "stream": null})).unwrap();
        assert!(run.tools.is_none() && !run.stream);
    }
}
