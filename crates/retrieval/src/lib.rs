//! The decisions of retrieval, without I/O: how a document is cut, which words stand for a text, what a search
//! finds best. Whoever calls stores and loads; the same decisions serve SQLite and PostgreSQL.
//!
//! - [`chunk`]: a document's blocks become overlapping chunks, made of pieces that are embedded once.
//! - [`words`]: a text becomes the words that it is found by, in any script; the same for a query.
//! - [`rank`]: BM25, and keyword and vector scores made one score from 0 to 1.
//! - [`vectors`]: a store's vectors in memory, a byte and a half a dimension, scanned exactly.

pub mod chunk;
pub mod rank;
pub mod vectors;
pub mod words;
