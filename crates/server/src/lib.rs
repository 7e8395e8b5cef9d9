//! Adjutant: OpenAI's Assistants API on your own machine, on any model. `ARCHITECTURE.md` has the map.

pub mod app;
pub mod backup;
pub mod blobs;
pub mod clock;
pub mod config;
pub mod crash_point;
pub mod fault;
pub mod files;
pub mod health;
pub mod http;
pub mod ids;
pub mod python;
pub mod runs;
pub mod search;
pub mod serve;
pub mod store;
pub mod tools;
pub mod transfer;
pub mod upstream;
