//! Uploads and their parts.

use adjutant_wire::files::{File, FileExpiry};
use adjutant_wire::id::Id;
use adjutant_wire::uploads::{Part, UPLOAD_BYTES, Upload};
use adjutant_wire::{Error, PartId, UnixSeconds, UploadId};

use super::objects::{Stored, read};
use super::{Project, Reading, Store, Writing};
use crate::fault::Result;

impl Stored for Upload {
    type Id = UploadId;
    const TABLE: &'static str = "uploads";

    fn id(&self) -> &UploadId {
        &self.id
    }
}

/// A part as it is kept.
#[derive(Clone, Debug)]
pub struct StoredPart {
    /// Its id.
    pub id: PartId,
    /// How long it is.
    pub bytes: i64,
    /// The key of its bytes.
    pub blob: String,
}

impl Reading {
    /// The upload, or its 404. One whose time has run out is gone, whether it was taken away yet or not.
    pub async fn upload(&mut self, id: &UploadId, now: UnixSeconds) -> Result<Upload> {
        there(self.object(id, &[]).await?, now)
    }

    /// All parts of an upload.
    pub async fn parts(&mut self, upload: &UploadId) -> Result<Vec<StoredPart>> {
        let rows: Vec<(String, i64, String)> =
            sqlx::query_as("select id, bytes, blob from upload_parts where upload_id = $1 and project = $2")
                .bind(upload.as_str())
                .bind(self.project())
                .fetch_all(self.connection())
                .await?;
        let part = |(id, bytes, blob)| StoredPart { id: PartId::from_checked(id), bytes, blob };
        Ok(rows.into_iter().map(part).collect())
    }
}

fn there(upload: Upload, now: UnixSeconds) -> Result<Upload> {
    if upload.is_expired(now) { Err(upload.id.missing().into()) } else { Ok(upload) }
}

impl Writing {
    /// Stores a new upload. `expires_after` is the file's.
    pub async fn add_upload(
        &mut self,
        upload: &Upload,
        position: i64,
        expires_after: Option<FileExpiry>,
    ) -> Result<()> {
        sqlx::query(
            "insert into uploads (id, project, position, expires_at, received, expires_after, object) \
             values ($1, $2, $3, $4, 0, $5, $6)",
        )
        .bind(upload.id.as_str())
        .bind(self.project())
        .bind(position)
        .bind(upload.expires_at)
        .bind(serde_json::to_string(&expires_after)?)
        .bind(serde_json::to_string(upload)?)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// The upload, kept from other writers until this transaction ends.
    pub async fn lock_upload(&mut self, id: &UploadId, now: UnixSeconds) -> Result<Upload> {
        there(self.locked(id, &[]).await?, now)
    }

    /// Adds a part, whose bytes are in the blob store under this key, to a locked upload.
    ///
    /// # Errors
    /// 400 where the parts would be more than an upload takes.
    pub async fn add_part(&mut self, part: &Part, bytes: i64, blob: &str) -> Result<()> {
        let (received,): (i64,) = sqlx::query_as(
            "update uploads set received = received + $1 where id = $2 and project = $3 returning received",
        )
        .bind(bytes)
        .bind(part.upload_id.as_str())
        .bind(self.project())
        .fetch_one(self.connection())
        .await?;
        if received > UPLOAD_BYTES {
            let message = format!("The parts of an upload may have {UPLOAD_BYTES} bytes together.");
            return Err(Error::parameter("data", "upload_too_large", message).into());
        }
        self.hold_blob(blob).await?;
        sqlx::query(
            "insert into upload_parts (id, project, upload_id, bytes, blob) values ($1, $2, $3, $4, $5)",
        )
        .bind(part.id.as_str())
        .bind(self.project())
        .bind(part.upload_id.as_str())
        .bind(bytes)
        .bind(blob)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Gives a locked upload to whoever puts its parts together under this key. False while another one has it, which
    /// is as long as that one's key is kept.
    pub async fn begin_completing(&mut self, id: &UploadId, blob: &str, now: i64) -> Result<bool> {
        let given = sqlx::query(
            "update uploads set completing = $1 where id = $2 and project = $3 and (completing is null or not exists \
             (select 1 from loose_blobs where blob = completing and condemned = 0 and due_at > $4))",
        )
        .bind(blob)
        .bind(id.as_str())
        .bind(self.project())
        .bind(now)
        .execute(self.connection())
        .await?
        .rows_affected();
        Ok(given == 1)
    }

    /// Takes an upload back from whoever failed to put it together under this key.
    pub async fn stop_completing(&mut self, id: &UploadId, blob: &str) -> Result<()> {
        sqlx::query(
            "update uploads set completing = null where id = $1 and project = $2 and completing = $3",
        )
        .bind(id.as_str())
        .bind(self.project())
        .bind(blob)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Makes a locked upload the file that it has become, whose bytes are under this key, and lets its parts go. `None`
    /// where another one puts it together by now; then nothing has changed.
    pub async fn complete_upload(
        &mut self,
        upload: &mut Upload,
        file: adjutant_wire::FileId,
        blob: &str,
    ) -> Result<Option<File>> {
        let row: Option<(i64, String)> = sqlx::query_as(
            "select position, expires_after from uploads where id = $1 and project = $2 and completing = $3",
        )
        .bind(upload.id.as_str())
        .bind(self.project())
        .bind(blob)
        .fetch_optional(self.connection())
        .await?;
        let Some((position, expires_after)) = row else { return Ok(None) };
        let file = upload.complete(file, read(&expires_after)?);
        self.add_file(&file, position, blob).await?;
        self.end_upload(upload).await?;
        Ok(Some(file))
    }

    /// Stores the end of a locked upload and lets its parts go.
    pub async fn end_upload(&mut self, upload: &Upload) -> Result<()> {
        self.store(upload).await?;
        self.drop_parts(&upload.id).await
    }

    async fn drop_parts(&mut self, upload: &UploadId) -> Result<()> {
        for statement in [
            "insert into loose_blobs (blob, due_at, condemned) \
             select blob, 0, 2 from upload_parts where upload_id = $1 and project = $2",
            "delete from upload_parts where upload_id = $1 and project = $2",
        ] {
            sqlx::query(statement)
                .bind(upload.as_str())
                .bind(self.project())
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }
}

impl Store {
    /// Takes an upload away whose time has run out, with its parts; false where there is none. Other processes
    /// may do the same.
    pub async fn expire_upload(&self, now: UnixSeconds) -> Result<bool> {
        let mut tx = self.write(&Project::new("")).await?;
        let row: Option<(String, String)> = sqlx::query_as(
            "delete from uploads where expires_at <= $1 and id in \
             (select id from uploads where expires_at <= $1 order by expires_at limit 1) returning project, id",
        )
        .bind(now)
        .fetch_optional(tx.connection())
        .await?;
        let Some((project, id)) = row else { return Ok(false) };
        tx.reading.project = Project::new(&project);
        tx.drop_parts(&UploadId::from_checked(id)).await?;
        tx.commit().await?;
        Ok(true)
    }
}
