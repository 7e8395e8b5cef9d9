//! A process of the engine for WebAssembly: `adjutant-python make|serve PACKAGES FOLDER`.
#![expect(clippy::print_stderr, reason = "that is where its parent reads why it failed")]

use std::path::PathBuf;
use std::process::ExitCode;

use adjutant_sandbox::python::{Task, perform};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [task, packages, folder] = arguments.as_slice() else { return ExitCode::FAILURE };
    let (packages, folder) = (PathBuf::from(packages), PathBuf::from(folder));
    let task =
        if task == "make" { Task::Make { packages, folder } } else { Task::Serve { packages, folder } };
    match perform(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
