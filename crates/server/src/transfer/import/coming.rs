//! The object of several lines that is being read, if any.

use adjutant_wire as wire;
use adjutant_wire::files::File;
use adjutant_wire::vector_store_files::VectorStoreFile;

use super::file::ComingFile;
use super::passages::{ComingPassages, lease_end};
use crate::fault::{Fault, Result};
use crate::store::{Attached, Brought, Project, Store};
use crate::transfer::Shelf;
use crate::transfer::part::{Part, Whose};

/// What the next line may go on with.
#[derive(Default)]
pub(super) enum Coming {
    /// Nothing.
    #[default]
    Nothing,
    /// A file, whose bytes are not yet whole.
    File(Box<ComingFile>),
    /// A file in a store, whose passages are not.
    Passages(Box<ComingPassages>),
    /// Something that is here already or was refused: what is said of it is passed over.
    PassedOver(Whose),
}

/// What became of the object that a line was about.
pub(super) enum Outcome {
    /// There is more to come.
    Open,
    /// It is settled.
    Done(Brought),
    /// It was passed over before.
    Ignored,
}

impl Coming {
    /// What it is, where it has not come to its end.
    pub(super) fn cut_off(&self) -> Option<String> {
        match self {
            Self::Nothing | Self::PassedOver(_) => None,
            Self::File(coming) => {
                Some(format!("The bytes of '{}' are cut off: nothing of it was stored.", coming.file.id))
            }
            Self::Passages(coming) => Some(format!(
                "What was read of '{}' in '{}' is cut off: a server here reads the file itself.",
                coming.file.id, coming.file.vector_store_id
            )),
        }
    }

    /// Whether the object is this one.
    pub(super) fn is_of(&self, whose: &Whose) -> bool {
        match self {
            Self::Nothing => false,
            Self::File(coming) => whose.store.is_none() && coming.file.id == whose.file,
            Self::Passages(coming) => coming.is(whose),
            Self::PassedOver(before) => before == whose,
        }
    }

    /// Begins a file.
    ///
    /// # Errors
    /// Where the database fails.
    pub(super) async fn begin_file(
        &mut self,
        (store, shelf): (&Store, &Shelf),
        project: Project,
        file: File,
        position: i64,
    ) -> Result<Outcome> {
        *self = Self::PassedOver(Whose { store: None, file: file.id.clone() });
        let known = store.read(&project).await?.known_file(&file).await?;
        if let Some(known) = known {
            return Ok(Outcome::Done(known));
        }
        let coming = ComingFile::begin(&shelf.files, project, file, position).await?;
        *self = Self::File(Box::new(coming));
        Ok(Outcome::Open)
    }

    /// Begins a file in a store.
    ///
    /// # Errors
    /// 404 where the store or the file is not here.
    pub(super) async fn begin_store_file(
        &mut self,
        (store, shelf): (&Store, &Shelf),
        project: &Project,
        file: VectorStoreFile,
        position: i64,
    ) -> Result<Outcome> {
        *self = Self::PassedOver(Whose { store: Some(file.vector_store_id.clone()), file: file.id.clone() });
        let times = (shelf.clock.milliseconds(), lease_end(&shelf.clock));
        let mut tx = store.write(project).await?;
        let attached = tx.bring_store_file(&file, position, times).await?;
        tx.commit().await?;
        Ok(match attached {
            Attached::Whole => Outcome::Done(Brought::New),
            Attached::Known => Outcome::Done(Brought::Known),
            Attached::Other => Outcome::Done(Brought::Other),
            Attached::Awaited(lease) => {
                *self = Self::Passages(Box::new(ComingPassages::new(lease, file)));
                Outcome::Open
            }
        })
    }

    /// Goes on with the object. One at fault is passed over from then on.
    ///
    /// # Errors
    /// What is wrong with it, or where it belongs to none that has begun.
    pub(super) async fn go_on(&mut self, (store, shelf): (&Store, &Shelf), part: Part) -> Result<Outcome> {
        let whose = part.whose();
        let is_known = self.is_of(&whose);
        let coming = std::mem::replace(self, Self::PassedOver(whose.clone()));
        if !is_known {
            return Err(beginning_missing(&whose));
        }
        match (coming, part) {
            (Self::File(mut coming), Part::Bytes { data, .. }) => {
                coming.bytes(&data).await?;
                *self = Self::File(coming);
                Ok(Outcome::Open)
            }
            (Self::File(coming), Part::BytesEnd { sha256, .. }) => {
                Ok(Outcome::Done(coming.end(store, &sha256).await?))
            }
            (Self::Passages(mut coming), Part::Passages { passages, .. }) => {
                coming.passages(store, &shelf.clock, passages).await?;
                *self = Self::Passages(coming);
                Ok(Outcome::Open)
            }
            (Self::Passages(mut coming), Part::Vectors { data, .. }) => {
                coming.vectors(&data)?;
                *self = Self::Passages(coming);
                Ok(Outcome::Open)
            }
            (Self::Passages(coming), Part::PassagesEnd { passages, .. }) => {
                coming.end(store, &shelf.clock, passages).await?;
                Ok(Outcome::Done(Brought::New))
            }
            (Self::PassedOver(_), _) => Ok(Outcome::Ignored),
            (Self::Nothing | Self::File(_) | Self::Passages(_), _) => Err(beginning_missing(&whose)),
        }
    }
}

fn beginning_missing(whose: &Whose) -> Fault {
    let file = &whose.file;
    wire::Error::invalid(format!(
        "The line goes on with '{file}', whose first line is missing or was refused."
    ))
    .into()
}
