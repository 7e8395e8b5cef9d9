//! What the model is asked, kept for clients that wanted to see it (`include[]=model_requests`).

use adjutant_wire::runs::ModelRequest;
use serde_json::Value;

use super::executor::{Executor, Stop};
use super::storing::Change;
use crate::upstream::Outgoing;

/// The longest body that is kept.
const BODY_BYTES: usize = 1 << 20;

/// How long a text in it may be, in characters; where the body is still too long, the next of these.
const TEXT_CHARACTERS: [usize; 4] = [65_536, 8_192, 1_024, 128];

impl Executor {
    /// Keeps what is about to be sent, if the run's client wanted that. It is stored before it is sent, so that
    /// what a model's server refused can be seen too.
    pub(super) async fn keep_request(&mut self, outgoing: &Outgoing) -> Result<(), Stop> {
        if !self.keeps_requests {
            return Ok(());
        }
        let request = ModelRequest {
            object: "thread.run.model_request".to_owned(),
            created_at: self.engine.clock.seconds(),
            thread_id: self.run.thread_id.clone(),
            run_id: self.run.id.clone(),
            upstream: outgoing.upstream().to_owned(),
            model: outgoing.model().to_owned(),
            body: fitting(&outgoing.json().map_err(crate::fault::Fault::from)?),
        };
        self.store(Change::Request(&request)).await
    }
}

/// The body with its texts as whole as its length allows; null where no shortening is enough.
fn fitting(body: &Value) -> Value {
    let shortened = TEXT_CHARACTERS.iter().map(|most| shortened(body, *most));
    shortened.into_iter().find(|body| body.to_string().len() <= BODY_BYTES).unwrap_or(Value::Null)
}

fn shortened(value: &Value, most: usize) -> Value {
    match value {
        Value::String(text) => Value::String(shortened_text(text, most)),
        Value::Array(items) => items.iter().map(|item| shortened(item, most)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), shortened(value, most))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// A text's two ends, and how much is between them. Of an image, what kind it is.
fn shortened_text(text: &str, most: usize) -> String {
    if let Some((kind, bytes)) = text.split_once(";base64,").filter(|(kind, _)| kind.starts_with("data:")) {
        return format!("{kind};base64,[… {} characters …]", bytes.len());
    }
    // A text has no more characters than bytes.
    if text.len() <= most {
        return text.to_owned();
    }
    let characters = text.chars().count();
    if characters <= most {
        return text.to_owned();
    }
    let begin: String = text.chars().take(most / 2).collect();
    let end: String = text.chars().skip(characters - most / 2).collect();
    format!("{begin}[… {} characters …]{end}", characters - most / 2 * 2)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(content: &str) -> Value {
        json!({"model": "m", "messages": [{"role": "user", "content": content}], "temperature": 0.5})
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let body = request(&"가".repeat(60_000));
        assert_eq!(fitting(&body), body);
    }

    #[test]
    fn a_long_text_keeps_its_ends() {
        let body = fitting(&request(&format!("a{}z", "가".repeat(100_000))));
        let text = body["messages"][0]["content"].as_str().unwrap();
        assert!(text.starts_with("a가") && text.ends_with("가z"));
        assert!(text.contains("[… 34466 characters …]"), "{text:.40}");
    }

    #[test]
    fn many_long_texts_are_cut_until_they_fit() {
        let message = json!({"role": "user", "content": "x".repeat(50_000)});
        let body = fitting(&json!({"messages": vec![message; 100]}));
        assert!(body.to_string().len() <= BODY_BYTES);
        assert_eq!(body["messages"].as_array().unwrap().len(), 100);
    }

    #[test]
    fn what_cannot_be_cut_is_left_out() {
        assert_eq!(fitting(&json!({"numbers": vec![1; BODY_BYTES]})), Value::Null);
    }

    #[test]
    fn an_image_is_named_and_not_kept() {
        let image = json!({"image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}});
        assert_eq!(fitting(&image)["image_url"]["url"], "data:image/png;base64,[… 12 characters …]");
    }
}
