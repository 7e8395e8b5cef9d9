//! `/threads/export` and `/threads/import`: everything of the caller's project, out and in. OpenAI had neither.

use adjutant_wire as wire;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use futures_util::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::extract::{Caller, Json};
use crate::app::App;
use crate::fault::Result;
use crate::transfer::{self, Importer, Report};

pub(super) async fn export(app: App, Caller(project): Caller) -> Response<Body> {
    let lines = transfer::export(app.store, project);
    let mut response = Response::new(Body::from_stream(ReceiverStream::new(lines)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    response
}

pub(super) async fn import(app: App, Caller(project): Caller, request: Request) -> Result<Json<Report>> {
    let mut importer = Importer::new(app.store, project, transfer::line_bytes(app.request_bytes));
    let mut pieces = request.into_body().into_data_stream();
    while let Some(piece) = pieces.next().await {
        let broken = |_| wire::Error::invalid("The request's body could not be read to its end.");
        importer.feed(&piece.map_err(broken)?).await?;
    }
    Ok(Json(importer.finish().await?))
}
