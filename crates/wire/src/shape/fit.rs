//! One function for each kind of value that a request may hold, and the words in which it is refused.

use std::fmt;

use serde_json::{Map, Value};

use super::{Field, Path, Presence, Shape};
use crate::error::Error;
use crate::id::is_nameable;

pub(super) fn fit_object(
    object: &mut Map<String, Value>,
    path: &Path<'_>,
    fields: &[Field],
) -> Result<(), Error> {
    for field in fields {
        let here = Path::Key(path, field.name);
        let Some(value) = object.get_mut(field.name) else {
            if field.presence == Presence::Required {
                return Err(missing(&here));
            }
            continue;
        };
        match (value.is_null(), field.presence) {
            (true, Presence::Optional) => {
                object.shift_remove(field.name);
            }
            (true, Presence::Nullable) => {}
            (true, Presence::Required) | (false, _) => field.shape.fit(value, &here)?,
        }
    }
    Ok(())
}

fn missing(path: &Path<'_>) -> Error {
    Error::parameter(
        path.to_string(),
        "missing_required_parameter",
        format!("Missing required parameter: '{path}'."),
    )
}

pub(super) fn fit_tagged(
    object: &mut Map<String, Value>,
    path: &Path<'_>,
    variants: &'static [(&'static str, &'static [Field])],
) -> Result<(), Error> {
    let here = Path::Key(path, "type");
    let Some(tag) = object.get("type") else { return Err(missing(&here)) };
    let Some(word) = tag.as_str() else { return Err(Shape::STRING.wrong_type(tag, &here)) };
    let Some((_, fields)) = variants.iter().find(|(name, _)| *name == word) else {
        return Err(unsupported(word, &here, variants.iter().map(|(name, _)| *name)));
    };
    fit_object(object, path, fields)
}

pub(super) fn fit_enum(value: &Value, path: &Path<'_>, words: &'static [&'static str]) -> Result<(), Error> {
    match value.as_str() {
        None => Err(Shape::STRING.wrong_type(value, path)),
        Some(word) if words.contains(&word) => Ok(()),
        Some(word) => Err(unsupported(word, path, words.iter().copied())),
    }
}

fn unsupported(word: &str, path: &Path<'_>, supported: impl Iterator<Item = &'static str>) -> Error {
    let quoted: Vec<String> = supported.map(|word| format!("'{word}'")).collect();
    let list = match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first, second] => format!("{first} and {second}"),
        [head @ .., last] => format!("{}, and {last}", head.join(", ")),
    };
    let message = format!("Invalid value: '{word}'. Supported values are: {list}.");
    Error::parameter(path.to_string(), "invalid_value", message)
}

pub(super) fn fit_string(value: &Value, path: &Path<'_>, min: usize, max: usize) -> Result<(), Error> {
    let Some(text) = value.as_str() else { return Err(Shape::STRING.wrong_type(value, path)) };
    // Characters are never more than bytes, so most strings need no count.
    if text.len() > max {
        let length = text.chars().count();
        if length > max {
            return Err(too_long(path, max, length));
        }
    }
    if min > 0 && text.is_empty() {
        let message = format!(
            "Invalid '{path}': empty string. Expected a string with minimum length {min}, but got an empty string \
             instead."
        );
        return Err(Error::parameter(path.to_string(), "empty_string", message));
    }
    Ok(())
}

fn too_long(path: &Path<'_>, max: usize, length: usize) -> Error {
    let message = format!(
        "Invalid '{path}': string too long. Expected a string with maximum length {max}, but got a string with \
         length {length} instead."
    );
    Error::parameter(path.to_string(), "string_above_max_length", message)
}

pub(super) fn fit_id(value: &Value, path: &Path<'_>, prefix: &str) -> Result<(), Error> {
    match value.as_str() {
        None => Err(Shape::STRING.wrong_type(value, path)),
        Some(id) if id.starts_with(prefix) && is_nameable(id) => Ok(()),
        Some(id) => Err(Error::wrong_prefix(&path.to_string(), id, prefix)),
    }
}

pub(super) fn fit_name(value: &Value, path: &Path<'_>, max: usize) -> Result<(), Error> {
    fit_string(value, path, 1, max)?;
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if value.as_str().is_some_and(|name| name.chars().all(fits)) {
        return Ok(());
    }
    let message = format!(
        "Invalid '{path}': string does not match pattern. Expected a string that matches the pattern \
         '^[a-zA-Z0-9_-]+$'."
    );
    Err(Error::parameter(path.to_string(), "invalid_value", message))
}

pub(super) fn fit_integer(value: &Value, path: &Path<'_>, min: i64, max: i64) -> Result<(), Error> {
    let shape = Shape::Integer { min, max };
    let Some(number) = value.as_number() else { return Err(shape.wrong_type(value, path)) };
    if number.is_f64() {
        return Err(shape.wrong_type(value, path));
    }
    match number.as_i64() {
        Some(number) if number < min => Err(below(path, "integer", &min, &number)),
        Some(number) if number <= max => Ok(()),
        Some(_) | None => Err(above(path, "integer", &max, number)),
    }
}

pub(super) fn fit_decimal(value: &Value, path: &Path<'_>, min: f64, max: f64) -> Result<(), Error> {
    match value.as_f64() {
        None => Err(Shape::Decimal { min, max }.wrong_type(value, path)),
        Some(number) if number < min => Err(below(path, "decimal", &min, value)),
        Some(number) if number > max => Err(above(path, "decimal", &max, value)),
        Some(_) => Ok(()),
    }
}

fn above(path: &Path<'_>, noun: &str, max: &dyn fmt::Display, got: &dyn fmt::Display) -> Error {
    let code = if noun == "integer" { "integer_above_max_value" } else { "decimal_above_max_value" };
    let message = format!(
        "Invalid '{path}': {noun} above maximum value. Expected a value <= {max}, but got {got} instead."
    );
    Error::parameter(path.to_string(), code, message)
}

fn below(path: &Path<'_>, noun: &str, min: &dyn fmt::Display, got: &dyn fmt::Display) -> Error {
    let code = if noun == "integer" { "integer_below_min_value" } else { "decimal_below_min_value" };
    let message = format!(
        "Invalid '{path}': {noun} below minimum value. Expected a value >= {min}, but got {got} instead."
    );
    Error::parameter(path.to_string(), code, message)
}

pub(super) fn fit_array(
    value: &mut Value,
    path: &Path<'_>,
    items: &'static Shape,
    min: usize,
    max: usize,
) -> Result<(), Error> {
    let Value::Array(array) = value else {
        return Err(Shape::Array { items, min, max }.wrong_type(value, path));
    };
    let length = array.len();
    if length > max {
        let message = format!(
            "Invalid '{path}': array too long. Expected an array with maximum length {max}, but got an array with \
             length {length} instead."
        );
        return Err(Error::parameter(path.to_string(), "array_above_max_length", message));
    }
    if length < min {
        let message = format!(
            "Invalid '{path}': empty array. Expected an array with minimum length {min}, but got an empty array \
             instead."
        );
        return Err(Error::parameter(path.to_string(), "empty_array", message));
    }
    array.iter_mut().enumerate().try_for_each(|(index, item)| items.fit(item, &Path::Item(path, index)))
}

pub(super) fn fit_map(
    object: &Map<String, Value>,
    path: &Path<'_>,
    max_pairs: usize,
    max_key: usize,
    max_value: usize,
) -> Result<(), Error> {
    if object.len() > max_pairs {
        let message = format!(
            "Invalid '{path}': too many properties. Expected an object with at most {max_pairs} properties, but got \
             an object with {} properties instead.",
            object.len()
        );
        return Err(Error::parameter(path.to_string(), "object_above_max_properties", message));
    }
    for (key, value) in object {
        let length = key.chars().count();
        if length > max_key {
            let message = format!(
                "Invalid property name in '{path}': string too long. Expected a string with maximum length {max_key}, \
                 but got a string with length {length} instead."
            );
            return Err(Error::parameter(path.to_string(), "string_above_max_length", message));
        }
        fit_string(value, &Path::Key(path, key), 0, max_value)?;
    }
    Ok(())
}
