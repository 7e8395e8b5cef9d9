//! Uploads: parts in any order, put together once.

use std::time::Duration;

use adjutant_wire as wire;
use adjutant_wire::id::Id;
use adjutant_wire::uploads::{CompleteUpload, CreateUpload, Part, Upload, UploadStatus};
use adjutant_wire::{PartId, UploadId};
use futures_util::TryStreamExt;
use md5::{Digest, Md5};

use super::{Files, Incoming, Received};
use crate::fault::Result;
use crate::ids::fresh;
use crate::store::{Once, Project, StoredPart};

/// How often a request looks whether another one has put an upload together.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

impl Files {
    /// Begins an upload.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn begin_upload(&self, once: &Once, new: CreateUpload) -> Result<Upload> {
        let expires_after = new.expires_after;
        let upload = new.into_upload(fresh(), self.clock.seconds());
        let mut tx = self.store.write_once(once).await?;
        tx.add_upload(&upload, self.clock.position(), expires_after).await?;
        tx.remember(once, &upload).await?;
        tx.commit().await?;
        Ok(upload)
    }

    /// Refuses parts for an upload that takes none, before they are read.
    ///
    /// # Errors
    /// 404 where there is no upload, or its time has run out; 400 where it is complete or cancelled.
    pub async fn refuse_ended(&self, project: &Project, id: &UploadId) -> Result<()> {
        let upload = self.store.read(project).await?.upload(id, self.clock.seconds()).await?;
        Ok(upload.must_be_pending("add parts to")?)
    }

    /// Adds a part that was received.
    ///
    /// # Errors
    /// As [`Files::refuse_ended`], and where the parts would be too long together.
    pub async fn add_part(&self, project: &Project, upload: &UploadId, received: Received) -> Result<Part> {
        let now = self.clock.seconds();
        let part = Part::new(fresh(), upload.clone(), now);
        let mut tx = self.store.write(project).await?;
        tx.lock_upload(upload, now).await?.must_be_pending("add parts to")?;
        tx.add_part(&part, received.bytes(), received.key()).await?;
        tx.commit().await?;
        Ok(part)
    }

    /// Puts the parts together in the order that is asked for, and makes them a file. Of several requests at once one
    /// does so; the others wait for what becomes of it.
    ///
    /// # Errors
    /// 404 where there is no upload; 400 where it is complete or cancelled, a part is not its own, or length or
    /// checksum are not as announced. Then nothing has changed.
    pub async fn complete(&self, project: &Project, id: &UploadId, asked: CompleteUpload) -> Result<Upload> {
        let mut reading = self.store.read(project).await?;
        let upload = reading.upload(id, self.clock.seconds()).await?;
        upload.must_be_pending("complete")?;
        let parts = in_order(reading.parts(id).await?, &asked.part_ids)?;
        drop(reading);
        check_length(&upload, &parts)?;
        let incoming = self.receive().await?;
        let key = incoming.key().to_owned();
        self.begin_completing(project, id, &key).await?;
        let completed = self.complete_alone(project, id, &parts, asked.md5.as_deref(), incoming).await;
        if completed.is_err() {
            let mut tx = self.store.write(project).await?;
            tx.stop_completing(id, &key).await?;
            tx.commit().await?;
        }
        completed
    }

    /// Waits until no other request puts the upload together.
    async fn begin_completing(&self, project: &Project, id: &UploadId, key: &str) -> Result<()> {
        loop {
            let mut tx = self.store.write(project).await?;
            tx.lock_upload(id, self.clock.seconds()).await?.must_be_pending("complete")?;
            if tx.begin_completing(id, key, self.clock.milliseconds()).await? {
                return tx.commit().await;
            }
            drop(tx);
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    async fn complete_alone(
        &self,
        project: &Project,
        id: &UploadId,
        parts: &[StoredPart],
        expected_md5: Option<&str>,
        incoming: Incoming,
    ) -> Result<Upload> {
        let (received, md5) = self.put_together(parts, incoming).await?;
        if let Some(expected) = expected_md5 {
            check_md5(expected, &md5)?;
        }
        let mut tx = self.store.write(project).await?;
        // It may have been cancelled meanwhile.
        let mut upload = tx.lock_upload(id, self.clock.seconds()).await?;
        upload.must_be_pending("complete")?;
        if tx.complete_upload(&mut upload, fresh(), received.key()).await?.is_none() {
            // This process was silent for so long that another one began anew.
            return Err(ended_meanwhile().into());
        }
        tx.commit().await?;
        self.due.notify_one();
        Ok(upload)
    }

    /// The parts one after the other as one blob, and its MD5.
    async fn put_together(&self, parts: &[StoredPart], mut incoming: Incoming) -> Result<(Received, String)> {
        let mut md5 = Md5::new();
        for part in parts {
            let Some(mut content) = self.blobs.read(&part.blob).await? else {
                // Another request has ended it, which the caller would find out as well.
                return Err(ended_meanwhile().into());
            };
            while let Some(piece) = content.try_next().await? {
                md5.update(&piece);
                incoming.write(piece).await?;
            }
        }
        let md5 = md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((incoming.finish().await?, md5))
    }

    /// Gives an upload up, with its parts.
    ///
    /// # Errors
    /// 404 where there is none; 400 where it is complete or cancelled already.
    pub async fn cancel(&self, project: &Project, id: &UploadId) -> Result<Upload> {
        let mut tx = self.store.write(project).await?;
        let mut upload = tx.lock_upload(id, self.clock.seconds()).await?;
        upload.must_be_pending("cancel")?;
        upload.status = UploadStatus::Cancelled;
        tx.end_upload(&upload).await?;
        tx.commit().await?;
        self.due.notify_one();
        Ok(upload)
    }
}

/// The parts that are asked for, in that order. Others may be left out.
fn in_order(parts: Vec<StoredPart>, ids: &[PartId]) -> wire::Result<Vec<StoredPart>> {
    let mut parts: std::collections::HashMap<PartId, StoredPart> =
        parts.into_iter().map(|part| (part.id.clone(), part)).collect();
    let take = |(index, id): (usize, &PartId)| {
        parts.remove(id).ok_or_else(|| {
            let message =
                format!("No part found with id '{}' in this upload, or it is named twice.", id.as_str());
            wire::Error::parameter(format!("part_ids[{index}]"), "invalid_value", message)
        })
    };
    ids.iter().enumerate().map(take).collect()
}

fn check_length(upload: &Upload, parts: &[StoredPart]) -> wire::Result<()> {
    let bytes: i64 = parts.iter().map(|part| part.bytes).sum();
    if bytes == upload.bytes {
        return Ok(());
    }
    let message =
        format!("The parts have {bytes} bytes together, but the upload was created for {}.", upload.bytes);
    Err(wire::Error::parameter("part_ids", "invalid_value", message))
}

fn check_md5(expected: &str, md5: &str) -> wire::Result<()> {
    if expected.eq_ignore_ascii_case(md5) {
        return Ok(());
    }
    let message = format!("The MD5 of the parts is '{md5}', but '{expected}' was expected.");
    Err(wire::Error::parameter("md5", "invalid_value", message))
}

fn ended_meanwhile() -> wire::Error {
    wire::Error::invalid("The upload was completed or cancelled by another request.")
}
