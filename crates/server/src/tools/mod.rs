//! Tools that a run offers to the model.

pub mod functions;
