//! A file whose bytes come line by line. It is there once they are whole and their hash is the one that was announced.

use adjutant_wire as wire;
use adjutant_wire::files::File;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::fault::Result;
use crate::files::{Files, Incoming};
use crate::store::{Brought, Project, Store};
use crate::transfer::part;

/// A file that is coming.
pub(super) struct ComingFile {
    project: Project,
    pub(super) file: File,
    position: i64,
    incoming: Incoming,
    sha256: Sha256,
}

impl ComingFile {
    pub(super) async fn begin(files: &Files, project: Project, file: File, position: i64) -> Result<Self> {
        let incoming = files.receive().await?;
        Ok(Self { project, file, position, incoming, sha256: Sha256::new() })
    }

    /// # Errors
    /// Where it is no base64, or more than the file has.
    pub(super) async fn bytes(&mut self, data: &str) -> Result<()> {
        let bytes = part::read(data)?;
        if self.incoming.bytes().saturating_add(i64::try_from(bytes.len()).unwrap_or(i64::MAX))
            > self.file.bytes
        {
            return Err(self.other_length().into());
        }
        self.sha256.update(&bytes);
        self.incoming.write(Bytes::from(bytes)).await
    }

    /// # Errors
    /// Where the bytes are not those that were announced.
    pub(super) async fn end(self, store: &Store, sha256: &str) -> Result<Brought> {
        if self.incoming.bytes() != self.file.bytes {
            return Err(self.other_length().into());
        }
        let found = part::hash_written(self.sha256);
        if !found.eq_ignore_ascii_case(sha256) {
            let message = format!(
                "The bytes of '{}' are damaged: their SHA-256 is '{found}', not '{sha256}'.",
                self.file.id
            );
            return Err(wire::Error::invalid(message).into());
        }
        let received = self.incoming.finish().await?;
        let mut tx = store.write(&self.project).await?;
        let brought = tx.bring_file(&self.file, self.position, received.key()).await?;
        tx.commit().await?;
        Ok(brought)
    }

    fn other_length(&self) -> wire::Error {
        wire::Error::invalid(format!(
            "The bytes of '{}' are not the {} that it has.",
            self.file.id, self.file.bytes
        ))
    }
}
