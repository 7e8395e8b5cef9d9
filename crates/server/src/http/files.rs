//! `/files`

use adjutant_wire::FileId;
use adjutant_wire::files::{CreateFile, DeletedFile, File, HowToShowFile, ListFiles, ShownFile, no_download};
use adjutant_wire::list::List;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};

use super::extract::{Caller, Json, Path, Query};
use super::form::{self, Form, Wanted};
use super::{filename, once};
use crate::app::App;
use crate::fault::Result;
use crate::store::{Idempotency, Once};

pub(super) async fn create(app: App, Caller(project): Caller, request: Request) -> Result<Json<File>> {
    let key = once::key(request.headers())?;
    let path = request.uri().path().to_owned();
    let wanted = Wanted { file: "file", most_bytes: app.file_bytes, digest: key.is_some() };
    let form: Form<CreateFile> = form::receive(&app.files, request, wanted).await?;
    let now = app.clock.seconds();
    let key = key.map(|key| Idempotency::new(&key, &path, &form.digest.unwrap_or_default(), now));
    Ok(Json(app.files.add(&Once { project, key }, form.fields, form.file).await?))
}

pub(super) async fn list(
    app: App,
    Caller(project): Caller,
    Query(query): Query<ListFiles>,
) -> Result<Json<List<File>>> {
    Ok(Json(app.store.read(&project).await?.files(&query, app.clock.seconds()).await?))
}

pub(super) async fn retrieve(
    app: App,
    Caller(project): Caller,
    Path(id): Path<FileId>,
    Query(how): Query<HowToShowFile>,
) -> Result<Json<ShownFile>> {
    let file = app.store.read(&project).await?.file(&id, app.clock.seconds()).await?;
    let downloadable = how.downloadable.then(|| gives_back(&app, &file));
    Ok(Json(ShownFile { file, downloadable }))
}

pub(super) async fn delete(
    app: App,
    Caller(project): Caller,
    Path(id): Path<FileId>,
) -> Result<Json<DeletedFile>> {
    app.files.delete(&project, &id).await?;
    Ok(Json(DeletedFile::new(id)))
}

pub(super) async fn content(
    app: App,
    Caller(project): Caller,
    Path(id): Path<FileId>,
) -> Result<Response<Body>> {
    let (file, content) = app.files.open(&project, &id).await?;
    if !gives_back(&app, &file) {
        return Err(no_download(file.purpose).into());
    }
    let mut response = Response::new(Body::from_stream(content));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(file.bytes));
    headers.insert(CONTENT_DISPOSITION, filename::attachment(&file.filename));
    Ok(response)
}

/// Whether a file's bytes may leave the server again.
fn gives_back(app: &App, file: &File) -> bool {
    file.purpose.may_be_downloaded() || app.download_uploads
}
