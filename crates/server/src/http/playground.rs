//! The Playground at `/`: a web page that Vite builds from `playground/`, embedded in the binary. It reaches the
//! server through `/v1` as any other client does.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
};
use axum::http::{Method, Response, StatusCode, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{Html, IntoResponse};
use rust_embed::RustEmbed;
use tower::ServiceExt;
use tower_http::compression::CompressionLayer;

use crate::ids::hex;

/// What Vite made. Without Node it is not there, and the server is built all the same.
#[derive(RustEmbed)]
#[folder = "../../playground/dist"]
#[allow_missing = true]
struct Built;

const PAGE: &str = "index.html";
const NOT_BUILT: &str = include_str!("playground/not_built.html");

/// Parts with a hash of their content in their name: one that changed has another name.
const HASHED: &str = "/assets/";

/// First parts of paths that never lead to a page.
const OF_THE_API: &[&str] = &["v1", "openai", "health"];

/// Where the built page has a nonce, Vite wrote this (`html.cspNonce`).
const NONCE: &str = "CSP_NONCE";

/// Puts the Playground in front of the API, which answers whatever is not the Playground's.
pub(super) fn in_front_of(api: Router) -> Router {
    let playground = Router::new().fallback(answer).layer(CompressionLayer::new()).layer(from_fn(fence_in));
    api.layer(from_fn_with_state(playground, choose))
}

async fn choose(State(playground): State<Router>, request: Request, next: Next) -> Response<Body> {
    if !is_for_the_playground(&request) {
        return next.run(request).await;
    }
    playground.oneshot(request).await.into_response()
}

/// Whoever asks for HTML is a person with a browser, and gets a page wherever the API has no path. A client of
/// the API that got its path wrong asks for JSON, and is told so in OpenAI's words.
fn is_for_the_playground(request: &Request) -> bool {
    let path = request.uri().path();
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    if OF_THE_API.contains(&first) || ![Method::GET, Method::HEAD].contains(request.method()) {
        return false;
    }
    let accepted = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    path == "/" || path.starts_with(HASHED) || accepted.contains("text/html") || part(path).is_some()
}

async fn answer(uri: Uri) -> Response<Body> {
    let path = uri.path();
    if let Some(part) = part(path) {
        return part;
    }
    if path.starts_with(HASHED) {
        return (StatusCode::NOT_FOUND, "The Playground has no such part. Please load the page again.")
            .into_response();
    }
    page()
}

/// A file of the Playground other than its page.
fn part(path: &str) -> Option<Response<Body>> {
    let name = path.trim_start_matches('/');
    let file = Built::get(name).filter(|_| name != PAGE)?;
    let kind = HeaderValue::from_str(file.metadata.mimetype()).ok()?;
    let keep = if path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, HeaderValue::from_static(keep))];
    Some((headers, file.data.into_owned()).into_response())
}

/// The page, which finds by the path what to show.
fn page() -> Response<Body> {
    let Some(file) = Built::get(PAGE) else {
        return (StatusCode::NOT_FOUND, Html(NOT_BUILT)).into_response();
    };
    let nonce = hex();
    let text = String::from_utf8_lossy(&file.data).replace(NONCE, &nonce);
    let mut response = Html(text).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(policy) = HeaderValue::from_str(&policy(&format!("'self' 'nonce-{nonce}'"))) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// What a page may do, whatever a model wrote into it: load nothing from elsewhere, send nothing elsewhere, run
/// nothing but what was built. Components write styles into the page, and show the nonce with them.
fn policy(styles: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src {styles}; img-src 'self' blob: data:; \
         font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

/// Headers that keep what foreign pages want out, and what the Playground knows in.
async fn fence_in(request: Request, next: Next) -> Response<Body> {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&policy("'self'")) {
        headers.entry(CONTENT_SECURITY_POLICY).or_insert(policy);
    }
    response
}
