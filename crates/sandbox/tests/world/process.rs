//! A process of the engine for WebAssembly.
#![expect(clippy::print_stderr, reason = "that is where its parent reads why it failed")]

use std::ffi::OsString;
use std::process::ExitCode;

use adjutant_sandbox::python::perform;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match perform(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
