//! The API over HTTP. Every route stands in [`router`].

mod admission;
mod answer;
mod assistants;
mod extract;
mod filename;
mod files;
mod form;
mod frame;
mod health;
mod messages;
mod models;
mod once;
mod pace;
mod playground;
mod runs;
mod steps;
mod stream;
mod threads;
mod transfer;
mod uploads;
mod vector_store_files;
mod vector_stores;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{CONNECTION, HeaderValue};
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::fault::Fault;
use adjutant_wire as wire;

/// All routes.
pub fn router(app: App) -> Router {
    // What creates something, or goes on, does so once, however often it is sent with the same `Idempotency-Key`.
    let once = || from_fn_with_state(app.clone(), once::once);
    let mut assistants_api = Router::new()
        .route("/assistants", post(assistants::create).route_layer(once()).get(assistants::list))
        .route(
            "/assistants/{assistant_id}",
            get(assistants::retrieve).post(assistants::modify).delete(assistants::delete),
        )
        .route("/threads", post(threads::create).route_layer(once()))
        .route("/threads/runs", post(runs::create_with_thread).route_layer(once()))
        .route("/threads/{thread_id}", get(threads::retrieve).post(threads::modify).delete(threads::delete))
        .route(
            "/threads/{thread_id}/messages",
            post(messages::create).route_layer(once()).get(messages::list),
        )
        .route(
            "/threads/{thread_id}/messages/{message_id}",
            get(messages::retrieve).post(messages::modify).delete(messages::delete),
        )
        .route("/threads/{thread_id}/runs", post(runs::create).route_layer(once()).get(runs::list))
        .route("/threads/{thread_id}/runs/{run_id}", get(runs::retrieve).post(runs::modify))
        .route("/threads/{thread_id}/runs/{run_id}/cancel", post(runs::cancel))
        .route(
            "/threads/{thread_id}/runs/{run_id}/submit_tool_outputs",
            post(runs::submit_tool_outputs).route_layer(once()),
        )
        .route("/threads/{thread_id}/runs/{run_id}/stream", get(runs::stream_events))
        .route("/threads/{thread_id}/runs/{run_id}/model_requests", get(runs::model_requests))
        .route("/threads/{thread_id}/runs/{run_id}/steps", get(steps::list))
        .route("/threads/{thread_id}/runs/{run_id}/steps/{step_id}", get(steps::retrieve));
    if app.thread_listing {
        assistants_api = assistants_api
            .route("/threads", get(threads::list))
            .route("/threads/export", get(transfer::export));
    }
    let assistants_api = assistants_api.layer(from_fn_with_state(app.clone(), frame::check_version));
    let models_api = Router::new()
        .route("/models", get(models::list))
        // The whole rest, since names of models may have slashes.
        .route("/models/{*model}", get(models::retrieve).delete(models::delete))
        .route("/chat/completions", post(models::chat_completions))
        .route("/embeddings", post(models::embeddings));
    let vector_stores_api = Router::new()
        .route("/vector_stores", post(vector_stores::create).route_layer(once()).get(vector_stores::list))
        .route(
            "/vector_stores/{vector_store_id}",
            get(vector_stores::retrieve).post(vector_stores::modify).delete(vector_stores::delete),
        )
        .route("/vector_stores/{vector_store_id}/search", post(vector_stores::search))
        .route(
            "/vector_stores/{vector_store_id}/files",
            post(vector_store_files::create).route_layer(once()).get(vector_store_files::list),
        )
        .route(
            "/vector_stores/{vector_store_id}/files/{file_id}",
            get(vector_store_files::retrieve)
                .post(vector_store_files::modify)
                .delete(vector_store_files::delete),
        )
        .route("/vector_stores/{vector_store_id}/files/{file_id}/content", get(vector_stores::content))
        .route(
            "/vector_stores/{vector_store_id}/file_batches",
            post(vector_store_files::create_batch).route_layer(once()),
        )
        .route(
            "/vector_stores/{vector_store_id}/file_batches/{batch_id}",
            get(vector_store_files::retrieve_batch),
        )
        .route(
            "/vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel",
            post(vector_store_files::cancel_batch),
        )
        .route(
            "/vector_stores/{vector_store_id}/file_batches/{batch_id}/files",
            get(vector_store_files::list_batch_files),
        );
    let files_api = Router::new()
        .route("/files/{file_id}", get(files::retrieve).delete(files::delete))
        .route("/files/{file_id}/content", get(files::content))
        .route("/uploads", post(uploads::create).route_layer(once()))
        .route("/uploads/{upload_id}/complete", post(uploads::complete))
        .route("/uploads/{upload_id}/cancel", post(uploads::cancel));
    let api = assistants_api.merge(models_api).merge(vector_stores_api).merge(files_api);
    let door = frame::Door::new(app.clone());
    let (streamed, with_playground) = (streamed(&app, &door), app.playground);
    let all = Router::new()
        .nest("/v1", api.clone())
        // Azure's clients say so, with and without a version in the path.
        .nest("/openai/v1", api.clone())
        .nest("/openai", api)
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(from_fn_with_state(door, frame::read_body))
        .nest("/v1", streamed.clone())
        .nest("/openai/v1", streamed.clone())
        .nest("/openai", streamed)
        .layer(DefaultBodyLimit::disable())
        .merge(health_routes())
        .layer(frame::cors(&app));
    let all = framed(all, app);
    if with_playground { playground::in_front_of(all) } else { all }
}

/// What a process answers that serves no API.
pub fn health_router(app: App) -> Router {
    let elsewhere = || async {
        let message =
            "This process works on runs and serves no API: its role is `worker`. Ask one that serves.";
        Fault::Refused(wire::Error { status: 404, ..wire::Error::invalid(message) })
    };
    framed(health_routes().fallback(elsewhere), app)
}

/// What is answered on connections beyond those that may be open.
pub fn crowded_router(app: App) -> Router {
    let come_again = || async {
        let error = wire::Error::overloaded("Too many connections are open. Try again in a moment.");
        let mut response: Response = Fault::Refused(error).into_response();
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    };
    framed(health_routes().fallback(come_again), app)
}

fn health_routes() -> Router<App> {
    Router::new().route("/health/live", get(health::live)).route("/health/ready", get(health::ready))
}

fn framed(routes: Router<App>, app: App) -> Router {
    routes
        .layer(CatchPanicLayer::custom(frame::panicked))
        .layer(from_fn_with_state(app.clone(), frame::frame))
        .with_state(app)
}

/// Routes whose bodies are longer than what is read before anything is decided.
fn streamed(app: &App, door: &frame::Door) -> Router<App> {
    let mut streamed = Router::new()
        .route("/files", post(files::create).get(files::list))
        .route("/uploads/{upload_id}/parts", post(uploads::add_part));
    if app.thread_listing {
        let import = Router::new().route("/threads/import", post(transfer::import));
        streamed = streamed.merge(import.layer(from_fn_with_state(app.clone(), frame::check_version)));
    }
    streamed
        .method_not_allowed_fallback(unknown_method)
        .layer(from_fn_with_state(door.clone(), frame::leave_body))
}

async fn unknown_path(method: Method, uri: Uri) -> Fault {
    wire::Error::unknown_path(method.as_str(), uri.path()).into()
}

async fn unknown_method(method: Method, uri: Uri) -> Fault {
    wire::Error::unknown_method(method.as_str(), uri.path()).into()
}
