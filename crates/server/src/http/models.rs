//! `/models`, and the endpoints that are handed to an upstream as they are, so that one `base_url` serves a
//! whole program.

use adjutant_wire as wire;
use adjutant_wire::Request as _;
use adjutant_wire::embeddings::{
    CreateEmbedding, Embedding, EmbeddingUsage, Embeddings, EncodingFormat, Vector,
};
use adjutant_wire::models::{HowToList, Model, Models};
use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use serde_json::Value;

use super::admission::Place;
use super::extract::{Caller, Json, ModelName, Path, Query, body};
use crate::app::App;
use crate::fault::{Fault, Result};
use crate::upstream::ClientEmbeddings;

pub(super) async fn list(app: App, _: Caller, Query(how): Query<HowToList>) -> Json<Models> {
    Json(app.upstreams.models(how.uses).await)
}

pub(super) async fn retrieve(app: App, _: Caller, Path(name): Path<ModelName>) -> Result<Json<Model>> {
    Ok(Json(app.upstreams.model(&name.0).await?))
}

/// Only models that were tuned at OpenAI could ever be deleted, and there are none here.
pub(super) async fn delete(app: App, _: Caller, Path(name): Path<ModelName>) -> Result<Json<Model>> {
    let model = app.upstreams.model(&name.0).await?;
    Err(wire::Error::undeletable_model(&model.id).into())
}

pub(super) async fn chat_completions(
    app: App,
    _: Caller,
    place: Place,
    request: Request,
) -> Result<Response<Body>> {
    let body = body(request, &app).await?;
    pass_on(&app, &place, "/chat/completions", body).await
}

pub(super) async fn embeddings(
    app: App,
    _: Caller,
    place: Place,
    request: Request,
) -> Result<Response<Body>> {
    let body = body(request, &app).await?;
    let model = body.get("model").and_then(Value::as_str);
    if let Some(model) = model
        && app.upstreams.embeds_for(model).await
    {
        let request = CreateEmbedding::read(body)?;
        let made = place.beside(app.upstreams.create_embeddings(&request)).await?;
        return Ok(Json(as_embeddings(made, request.encoding_format)).into_response());
    }
    pass_on(&app, &place, "/embeddings", body).await
}

fn as_embeddings(made: ClientEmbeddings, format: EncodingFormat) -> Embeddings {
    let written = |vector: Vec<f32>| match format {
        EncodingFormat::Float => Vector::Numbers(vector),
        EncodingFormat::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            Vector::Base64(STANDARD.encode(bytes))
        }
    };
    let item = |(index, vector)| Embedding { object: "embedding", index, embedding: written(vector) };
    let usage = EmbeddingUsage { prompt_tokens: made.tokens, total_tokens: made.tokens };
    let data = made.vectors.into_iter().enumerate().map(item).collect();
    Embeddings { object: "list", data, model: made.model, usage }
}

fn refuse_without_model(body: &Value) -> wire::Result<()> {
    let message = match body.get("model") {
        Some(Value::String(_)) => return Ok(()),
        Some(_) => {
            return Err(wire::Error::parameter(
                "model",
                "invalid_type",
                "Invalid type for 'model': expected a string.",
            ));
        }
        None if body.is_object() => "Missing required parameter: 'model'.",
        None => return Err(wire::Error::invalid("Invalid request body: expected an object.")),
    };
    Err(wire::Error::parameter("model", "missing_required_parameter", message))
}

async fn pass_on(app: &App, place: &Place, path: &str, body: Value) -> Result<Response<Body>> {
    refuse_without_model(&body)?;
    let mut passed = place.beside(app.upstreams.pass_on(path, body)).await?;
    let mut response = Response::builder().status(passed.status());
    for name in ["content-type", "retry-after", "x-should-retry"] {
        if let Some(value) = passed.header(name) {
            response = response.header(name, value);
        }
    }
    if passed.status() == 429 {
        let refusal = passed.whole().await.map_err(|error| Fault::Broken(error.into()))?;
        // SDKs ask again after a 429, unless they are told that no waiting helps.
        if is_out_of_quota(&refusal) {
            response = response.header("x-should-retry", "false");
        }
        return response.body(Body::from(refusal)).map_err(|error| Fault::Broken(error.into()));
    }
    let pieces = stream::try_unfold(passed, |mut passed| async move {
        Ok::<_, std::io::Error>(passed.next().await?.map(|piece| (piece, passed)))
    });
    response.body(Body::from_stream(pieces)).map_err(|error| Fault::Broken(error.into()))
}

fn is_out_of_quota(refusal: &[u8]) -> bool {
    serde_json::from_slice::<Value>(refusal)
        .is_ok_and(|body| body.pointer("/error/code").and_then(Value::as_str) == Some("insufficient_quota"))
}
