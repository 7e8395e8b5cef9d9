//! Runs a program to its end and says in words what went wrong.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::process::Command;

/// What a program wrote.
pub(super) struct Output {
    pub(super) succeeded: bool,
    /// Standard output and standard error, the end of it.
    pub(super) text: String,
}

/// Runs a program without input. It ends when the caller stops waiting.
pub(super) async fn run(command: &mut Command, limit: Duration) -> anyhow::Result<Output> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let Ok(ran) = tokio::time::timeout(limit, running).await else {
        bail!("`{name}` did not end within {} minutes", limit.as_secs() / 60);
    };
    let ran = ran.with_context(|| format!("could not run `{name}`"))?;
    let mut text = String::from_utf8_lossy(&ran.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&ran.stderr));
    Ok(Output { succeeded: ran.status.success(), text: tail(&text) })
}

const TAIL_LINES: usize = 15;

/// The last lines, which say what went wrong.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default().join("\n")
}
