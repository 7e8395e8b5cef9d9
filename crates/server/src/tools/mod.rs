//! Tools that a run offers to the model. The client answers functions; hosted tools are run by this server. To
//! the model all of them are functions.

pub mod code_interpreter;
pub mod file_search;
pub mod functions;
pub mod hosted;
