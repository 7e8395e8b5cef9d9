//! `/health/live` and `/health/ready`, for whoever keeps processes running and sends them requests. In plain text.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;

use crate::app::App;

/// Whether the process lives. One that does not is to be started again.
pub(super) async fn live(app: App) -> Response<Body> {
    answer(app.health.lives(), StatusCode::INTERNAL_SERVER_ERROR)
}

/// Whether the process can serve. One that cannot is to be sent nothing.
pub(super) async fn ready(app: App) -> Response<Body> {
    answer(app.health.is_ready().await, StatusCode::SERVICE_UNAVAILABLE)
}

fn answer(healthy: Result<(), String>, otherwise: StatusCode) -> Response<Body> {
    match healthy {
        Ok(()) => "ok".into_response(),
        Err(why) => (otherwise, why).into_response(),
    }
}
