//! The command line.

#[cfg(feature = "wasm")]
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use adjutant::config::{Config, Overrides, variable};
use adjutant::{crash_point, search, serve};
use clap::{Args, Parser, Subcommand};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// OpenAI's Assistants API on your own machine, on any model.
///
/// Point any OpenAI SDK at it (`base_url="http://127.0.0.1:8080/v1"`) and change nothing else. Without settings it
/// uses OPENAI_API_KEY, else a local Ollama, LM Studio, llama.cpp or vLLM that answers, else a small model of its
/// own. Every setting is explained in config.default.toml; ADJUTANT_<NAME> variables and the options here override it.
#[derive(Parser)]
#[command(version, about, long_about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API.
    Serve(Settings),
    /// Say what the settings mean and what is wrong with them, and change nothing.
    Check(Settings),
    /// Write everything of a project to a file of JSON lines: assistants, threads, messages, runs, steps, files and vector stores. No server may be using the data folder.
    Export(Transfer),
    /// Read such a file, or one with objects saved from OpenAI. What is here already is skipped.
    Import(Transfer),
    /// Copy the data folder, also while a server is using it, to a new folder that can be used as one.
    Backup(Backup),
    /// Read a document from the standard input, enclosed, and write its text as JSON. The server starts this.
    #[command(hide = true)]
    ReadDocument {
        /// The document's name; only its extension matters.
        #[arg(long)]
        name: String,
    },
    /// Compile Python to WebAssembly, or be a session of it. The server starts this.
    #[cfg(feature = "wasm")]
    #[command(hide = true)]
    Python {
        /// The task, and its paths.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

#[derive(Args)]
struct Settings {
    /// A TOML file of settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What this process does: serve the API (api), work on runs (worker), or both.
    #[arg(long, value_name = "both|api|worker")]
    role: Option<String>,
    /// The address to listen on. Beyond loopback, keys are required.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The data folder.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The one server, OpenAI-compatible, that answers for every model name; no built-in model is started.
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// The variable that holds that server's key.
    #[arg(long, value_name = "NAME", requires = "upstream")]
    upstream_key_env: Option<String>,
    /// Keep everything in this PostgreSQL database instead of the data folder.
    #[arg(long, value_name = "postgres://…")]
    database_url: Option<String>,
    /// Keep files in this S3 bucket instead of the data folder.
    #[arg(long, value_name = "s3://…")]
    blobs: Option<String>,
}

#[derive(Args)]
struct Backup {
    /// A TOML file of settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Where the copy is to be; nothing may be there yet.
    folder: PathBuf,
}

impl Backup {
    fn load(&self) -> anyhow::Result<Config> {
        Config::load(&Overrides {
            config: self.config.clone(),
            data: self.data.clone(),
            ..Overrides::default()
        })
    }
}

#[derive(Args)]
struct Transfer {
    /// A TOML file of settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The PostgreSQL database in place of the data folder.
    #[arg(long, value_name = "postgres://…")]
    database_url: Option<String>,
    /// Keep files in, or read them from, this S3 bucket instead of the data folder.
    #[arg(long, value_name = "s3://…")]
    blobs: Option<String>,
    /// Whose objects.
    #[arg(long, value_name = "NAME", default_value = "default")]
    project: String,
    /// Those of all projects; each line says whose it is.
    #[arg(long, conflicts_with = "project")]
    all_projects: bool,
    /// The file; - is the standard output or input.
    file: PathBuf,
}

impl Transfer {
    fn load(&self) -> anyhow::Result<Config> {
        Config::load(&Overrides {
            config: self.config.clone(),
            data: self.data.clone(),
            database_url: self.database_url.clone(),
            blobs: self.blobs.clone(),
            ..Overrides::default()
        })
    }

    fn project(&self) -> Option<&str> {
        (!self.all_projects).then_some(self.project.as_str())
    }
}

impl Settings {
    fn load(self) -> anyhow::Result<Config> {
        Config::load(&Overrides {
            config: self.config,
            role: self.role,
            listen: self.listen,
            data: self.data,
            database_url: self.database_url,
            blobs: self.blobs,
            upstream: self.upstream,
            upstream_key_env: self.upstream_key_env,
        })
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "adjutant: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    // Before there are other threads: they would stand outside its walls.
    if let Command::ReadDocument { name } = &cli.command {
        return search::read_document(name);
    }
    #[cfg(feature = "wasm")]
    if let Command::Python { arguments } = &cli.command {
        return adjutant_sandbox::python::perform(arguments).map_err(anyhow::Error::msg);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match cli.command {
        Command::Serve(settings) => {
            let config = settings.load()?;
            start_log(&config.log)?;
            if let Some(folder) = variable("ADJUTANT_CRASH_POINTS") {
                crash_point::count_in(Path::new(&folder));
            }
            let served = runtime.block_on(serve::serve(config));
            // What still computes is not waited for: nobody is there any more to be told.
            runtime.shutdown_timeout(Duration::from_secs(1));
            served
        }
        Command::Check(settings) => runtime.block_on(serve::check(settings.load()?)),
        Command::Export(of) => runtime.block_on(serve::export(of.load()?, of.project(), &of.file)),
        Command::Import(to) => runtime.block_on(serve::import(to.load()?, to.project(), &to.file)),
        Command::Backup(of) => runtime.block_on(serve::backup(of.load()?, &of.folder)),
        Command::ReadDocument { name } => search::read_document(&name),
        #[cfg(feature = "wasm")]
        Command::Python { arguments } => {
            adjutant_sandbox::python::perform(&arguments).map_err(anyhow::Error::msg)
        }
    }
}

fn start_log(filter: &str) -> anyhow::Result<()> {
    let filter: Targets =
        filter.parse().map_err(|error| anyhow::anyhow!("the setting `log` cannot be read: {error}"))?;
    let colours = std::io::stderr().is_terminal();
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(colours);
    tracing_subscriber::registry().with(lines).with(filter).init();
    Ok(())
}
