//! What the built-in models are made of: the packages and scripts of their engines.

use std::path::PathBuf;

use crate::python::{Environment, Purpose};

/// A built-in model's engine, and where it lives.
#[derive(Debug)]
pub struct Recipe {
    /// What messages call the model.
    pub(super) title: &'static str,
    /// Its folder in the data folder.
    pub(super) folder: &'static str,
    /// The packages with their hashes, as pip reads them.
    pub(super) packages: &'static str,
    /// What these are for, for the person who waits for them.
    purpose: Purpose,
    /// The engine's files. `__main__.py` is where it starts.
    pub(super) scripts: &'static [Script],
}

impl Recipe {
    /// The environment of the model's engine, in a folder.
    pub(super) fn environment(&self, folder: PathBuf) -> Environment {
        Environment { folder, lock: self.packages, more: None, purpose: self.purpose }
    }
}

/// A file of an engine.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

/// The model that talks.
pub static CHAT: Recipe = Recipe {
    title: "built-in model",
    folder: "local-model",
    packages: include_str!("chat/requirements.lock"),
    purpose: Purpose {
        name: "the built-in model's engine",
        contents: "the engine, llama.cpp (MIT licence, 34 MB)",
        otherwise: "configure an upstream instead",
        python: (3, 10),
    },
    scripts: &[
        Script { name: "__main__.py", text: include_str!("chat/__main__.py") },
        Script { name: "started.py", text: include_str!("started.py") },
    ],
};

/// The model that makes vectors of texts.
pub static EMBEDDING: Recipe = Recipe {
    title: "built-in embedding model",
    folder: "embedding-model",
    packages: include_str!("embedding/requirements.lock"),
    purpose: Purpose {
        name: "the built-in embedding model's engine",
        contents: "the engine, ONNX Runtime (MIT licence) and NumPy (BSD licence, 42 MB together)",
        otherwise: "configure an upstream instead",
        python: (3, 10),
    },
    scripts: &[
        Script { name: "__main__.py", text: include_str!("embedding/__main__.py") },
        Script { name: "graph.py", text: include_str!("embedding/graph.py") },
        Script { name: "message.py", text: include_str!("embedding/message.py") },
        Script { name: "model.py", text: include_str!("embedding/model.py") },
        Script { name: "tokens.py", text: include_str!("embedding/tokens.py") },
        Script { name: "weights.py", text: include_str!("embedding/weights.py") },
        Script { name: "started.py", text: include_str!("started.py") },
    ],
};
