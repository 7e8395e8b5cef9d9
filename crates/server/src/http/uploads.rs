//! `/uploads`

use adjutant_wire::UploadId;
use adjutant_wire::uploads::{AddPart, CompleteUpload, CreateUpload, PART_BYTES, Part, Upload};
use axum::extract::Request;

use super::extract::{Caller, Json, Path};
use super::form::{self, Form, Wanted};
use crate::app::App;
use crate::fault::Result;
use crate::store::Once;

pub(super) async fn create(app: App, once: Once, Json(new): Json<CreateUpload>) -> Result<Json<Upload>> {
    Ok(Json(app.files.begin_upload(&once, new).await?))
}

pub(super) async fn add_part(
    app: App,
    Caller(project): Caller,
    Path(id): Path<UploadId>,
    request: Request,
) -> Result<Json<Part>> {
    app.files.refuse_ended(&project, &id).await?;
    let wanted = Wanted { file: "data", most_bytes: PART_BYTES, digest: false };
    let form: Form<AddPart> = form::receive(&app.files, request, wanted).await?;
    Ok(Json(app.files.add_part(&project, &id, form.file).await?))
}

pub(super) async fn complete(
    app: App,
    Caller(project): Caller,
    Path(id): Path<UploadId>,
    Json(asked): Json<CompleteUpload>,
) -> Result<Json<Upload>> {
    Ok(Json(app.files.complete(&project, &id, asked).await?))
}

pub(super) async fn cancel(
    app: App,
    Caller(project): Caller,
    Path(id): Path<UploadId>,
) -> Result<Json<Upload>> {
    Ok(Json(app.files.cancel(&project, &id).await?))
}
