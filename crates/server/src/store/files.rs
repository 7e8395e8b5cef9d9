//! Files, and what names them.

use std::collections::BTreeSet;

use adjutant_wire::assistants::Assistant;
use adjutant_wire::files::{File, ListFiles};
use adjutant_wire::id::Id;
use adjutant_wire::list::List;
use adjutant_wire::threads::Thread;
use adjutant_wire::tools::ToolResources;
use adjutant_wire::{AssistantId, FileId, ThreadId, UnixSeconds};
use sqlx::AssertSqlSafe;

use super::objects::{Stored, read};
use super::{Project, Reading, Store, Writing};
use crate::fault::{Fault, Result};

impl Stored for File {
    type Id = FileId;
    const TABLE: &'static str = "files";

    fn id(&self) -> &FileId {
        &self.id
    }
}

impl Reading {
    /// The file, or its 404. One whose time has run out is gone, whether it was taken away yet or not.
    pub async fn file(&mut self, id: &FileId, now: UnixSeconds) -> Result<File> {
        Ok(self.file_and_blob(id, now).await?.0)
    }

    /// The file and the key of its bytes.
    pub async fn file_and_blob(&mut self, id: &FileId, now: UnixSeconds) -> Result<(File, String)> {
        let row: Option<(String, String)> = sqlx::query_as(
            "select object, blob from files where id = $1 and project = $2 \
             and (expires_at is null or expires_at > $3)",
        )
        .bind(id.as_str())
        .bind(self.project())
        .bind(now)
        .fetch_optional(self.connection())
        .await?;
        let (object, blob) = row.ok_or_else(|| id.missing())?;
        Ok((read(&object)?, blob))
    }

    /// A page of the project's files, without those whose time has run out.
    pub async fn files(&mut self, query: &ListFiles, now: UnixSeconds) -> Result<List<File>> {
        let page = query.page();
        let after = self.cursor::<File>(page.after.as_deref(), &[]).await?;
        let purpose = query.purpose.as_deref().map(|purpose| ("purpose", purpose));
        let there = format!("(select * from files where expires_at is null or expires_at > {now}) as there");
        self.page_between(&there, &page, purpose.as_slice(), (after, None)).await
    }
}

impl Writing {
    /// Stores a new file, whose bytes are in the blob store under this key.
    ///
    /// # Errors
    /// Where the bytes were given up meanwhile.
    pub async fn add_file(&mut self, file: &File, position: i64, blob: &str) -> Result<()> {
        self.hold_blob(blob).await?;
        if !self.insert_file(file, position, blob).await? {
            return Err(anyhow::anyhow!("a file of the id `{}` is there already", file.id).into());
        }
        Ok(())
    }

    /// False where a file of this id is there already; then nothing has changed.
    pub(super) async fn insert_file(&mut self, file: &File, position: i64, blob: &str) -> Result<bool> {
        let added = sqlx::query(
            "insert into files (id, project, position, purpose, expires_at, blob, object) \
             values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        )
        .bind(file.id.as_str())
        .bind(self.project())
        .bind(position)
        .bind(file.purpose.as_str())
        .bind(file.expires_at)
        .bind(blob)
        .bind(serde_json::to_string(file)?)
        .execute(self.connection())
        .await?
        .rows_affected();
        Ok(added == 1)
    }

    /// Deletes a file and takes it out of all that names it. Its bytes are deleted by whoever looks for blobs
    /// that are due.
    ///
    /// # Errors
    /// 404 where there is none, or its time has run out.
    pub async fn delete_file(&mut self, id: &FileId, now: UnixSeconds) -> Result<()> {
        let row: Option<(String,)> = sqlx::query_as(
            "delete from files where id = $1 and project = $2 and (expires_at is null or expires_at > $3) \
             returning blob",
        )
        .bind(id.as_str())
        .bind(self.project())
        .bind(now)
        .fetch_optional(self.connection())
        .await?;
        let (blob,) = row.ok_or_else(|| id.missing())?;
        self.condemn_blob(&blob).await?;
        self.detach_file(id).await
    }

    /// Takes a file that is being deleted out of all that names it.
    pub async fn detach_file(&mut self, id: &FileId) -> Result<()> {
        self.release_resource(id.as_str()).await?;
        self.detach_file_everywhere(id).await
    }

    /// Takes a file or a vector store that is being deleted out of the assistants and threads that name it.
    pub(super) async fn release_resource(&mut self, id: &str) -> Result<()> {
        // In one order, so that two deletions never wait for each other.
        let users: Vec<(String,)> = sqlx::query_as(
            "delete from resource_uses where resource_id = $1 and user_id in \
             (select user_id from resource_uses where resource_id = $1 and project = $2) returning user_id",
        )
        .bind(id)
        .bind(self.project())
        .fetch_all(self.connection())
        .await?;
        let mut users: Vec<String> = users.into_iter().map(|(user,)| user).collect();
        users.sort_unstable();
        for user in users {
            if user.starts_with(ThreadId::PREFIX) {
                let thread = ThreadId::from_checked(user);
                self.change::<Thread>(&thread, |thread| without(&mut thread.tool_resources, id)).await?;
            } else {
                let assistant = AssistantId::from_checked(user);
                self.change::<Assistant>(&assistant, |assistant| without(&mut assistant.tool_resources, id))
                    .await?;
            }
        }
        Ok(())
    }

    async fn change<T: Stored>(&mut self, id: &T::Id, change: impl FnOnce(&mut T)) -> Result<()> {
        match self.locked::<T>(id, &[]).await {
            Ok(mut object) => {
                change(&mut object);
                self.store(&object).await
            }
            // Deleted by now.
            Err(Fault::Refused(_)) => Ok(()),
            Err(fault @ (Fault::Answered(_) | Fault::Broken(_) | Fault::Unavailable(_))) => Err(fault),
        }
    }

    /// Notes which files and stores a new assistant or thread names.
    pub(super) async fn note_resources(&mut self, user: &str, resources: &ToolResources) -> Result<()> {
        let files = resources.code_interpreter.iter().flat_map(|code| &code.file_ids);
        let stores = resources.file_search.iter().flat_map(|search| &search.vector_store_ids);
        // A text that cannot be an id names nothing.
        let ids: BTreeSet<&String> = files.chain(stores).filter(|id| FileId::parse(id).is_ok()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let rows: Vec<String> = (0..ids.len()).map(|n| format!("(${}, $1, $2)", n + 3)).collect();
        let sql = format!(
            "insert into resource_uses (resource_id, user_id, project) values {} on conflict do nothing",
            rows.join(", ")
        );
        let mut insert = sqlx::query(AssertSqlSafe(sql)).bind(user.to_owned()).bind(self.project());
        for id in &ids {
            insert = insert.bind((*id).clone());
        }
        insert.execute(self.connection()).await?;
        Ok(())
    }

    /// Forgets which files and stores an assistant or thread names.
    pub(super) async fn forget_resources(&mut self, user: &str) -> Result<()> {
        sqlx::query("delete from resource_uses where user_id = $1 and project = $2")
            .bind(user.to_owned())
            .bind(self.project())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

fn without(resources: &mut ToolResources, gone: &str) {
    if let Some(code) = &mut resources.code_interpreter {
        code.file_ids.retain(|id| id != gone);
    }
    if let Some(search) = &mut resources.file_search {
        search.vector_store_ids.retain(|id| id != gone);
    }
}

impl Store {
    /// Whether a file's or an upload's time has run out, or a blob is to be deleted: `now` in seconds since 1970,
    /// `now_milliseconds` the same in milliseconds.
    pub async fn is_cleaning_due(&self, now: UnixSeconds, now_milliseconds: i64) -> Result<bool> {
        let due: Option<(i64,)> = sqlx::query_as(
            "select 1 from files where expires_at <= $1 union all select 1 from uploads where expires_at <= $1 \
             union all select 1 from loose_blobs where due_at <= $2 limit 1",
        )
        .bind(now)
        .bind(now_milliseconds)
        .fetch_optional(&self.reads)
        .await?;
        Ok(due.is_some())
    }

    /// Takes a file away whose time has run out; false where there is none. Other processes may do the same.
    pub async fn expire_file(&self, now: UnixSeconds) -> Result<bool> {
        let mut tx = self.write(&Project::new("")).await?;
        let row: Option<(String, String, String)> = sqlx::query_as(
            "delete from files where expires_at <= $1 and id in \
             (select id from files where expires_at <= $1 order by expires_at limit 1) returning project, id, blob",
        )
        .bind(now)
        .fetch_optional(tx.connection())
        .await?;
        let Some((project, id, blob)) = row else { return Ok(false) };
        tx.reading.project = Project::new(&project);
        tx.condemn_blob(&blob).await?;
        tx.detach_file(&FileId::from_checked(id)).await?;
        tx.commit().await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use adjutant_wire::Request;
    use adjutant_wire::assistants::CreateAssistant;
    use adjutant_wire::files::CreateFile;
    use serde_json::json;

    use super::*;
    use crate::ids::fresh;
    use crate::store::Place;

    async fn opened(folder: &tempfile::TempDir) -> Store {
        let (store, lock) = Store::open(&Place::Folder(folder.path().to_owned())).await.unwrap();
        // The folder is this test's alone.
        drop(lock);
        store
    }

    fn project() -> Project {
        Project::new("default")
    }

    /// A file of 1970 that is gone after an hour.
    async fn add_file(store: &Store) -> FileId {
        let form = json!({"file": "a.txt", "purpose": "assistants",
            "expires_after": {"anchor": "created_at", "seconds": 3600}});
        let file = CreateFile::read(form).unwrap().into_file(fresh(), 1, 0);
        store.enter_blob(file.id.as_str(), 1_000).await.unwrap();
        let mut tx = store.write(&project()).await.unwrap();
        tx.add_file(&file, 1, file.id.as_str()).await.unwrap();
        tx.commit().await.unwrap();
        file.id
    }

    fn all() -> ListFiles {
        ListFiles::read(json!({})).unwrap()
    }

    #[tokio::test]
    async fn a_file_is_gone_in_the_second_in_which_it_expires() {
        let folder = tempfile::tempdir().unwrap();
        let store = opened(&folder).await;
        let id = add_file(&store).await;
        let mut reading = store.read(&project()).await.unwrap();
        assert!(reading.file(&id, 3_599).await.is_ok());
        assert_eq!(reading.files(&all(), 3_599).await.unwrap().data.len(), 1);
        assert!(reading.file(&id, 3_600).await.is_err());
        assert!(reading.files(&all(), 3_600).await.unwrap().data.is_empty());
        let mut tx = store.write(&project()).await.unwrap();
        assert!(tx.delete_file(&id, 3_600).await.is_err());
        drop(tx);
        assert!(!store.is_cleaning_due(3_599, -1).await.unwrap());
        assert!(!store.expire_file(3_599).await.unwrap());
        assert!(store.is_cleaning_due(3_600, -1).await.unwrap());
        assert!(store.expire_file(3_600).await.unwrap());
        assert!(!store.expire_file(3_600).await.unwrap());
        assert_eq!(store.condemn_blobs(1, 2).await.unwrap(), [id.to_string()]);
    }

    #[tokio::test]
    async fn a_deleted_file_is_taken_out_of_its_assistant() {
        let folder = tempfile::tempdir().unwrap();
        let store = opened(&folder).await;
        let (gone, stays) = (add_file(&store).await, add_file(&store).await);
        let resources =
            serde_json::from_value(json!({"code_interpreter": {"file_ids": [gone, stays]}})).unwrap();
        let new = CreateAssistant::read(json!({"model": "m"})).unwrap();
        let assistant = new.into_assistant(fresh(), 0, resources);
        let mut tx = store.write(&project()).await.unwrap();
        tx.add_assistant(&assistant, 1).await.unwrap();
        tx.delete_file(&gone, 0).await.unwrap();
        let left = tx.assistant(&assistant.id).await.unwrap();
        assert_eq!(left.tool_resources.code_interpreter.unwrap().file_ids, [stays.to_string()]);
    }

    #[tokio::test]
    async fn a_row_never_gets_bytes_that_are_being_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let store = opened(&folder).await;
        let form = CreateFile::read(json!({"file": "a.txt", "purpose": "vision"})).unwrap();
        let file = form.into_file(fresh(), 1, 0);
        store.enter_blob("late", 1_000).await.unwrap();
        assert!(store.condemn_blobs(999, 2_000).await.unwrap().is_empty());
        assert!(store.keep_blob("late", 1_001).await.unwrap());
        assert!(store.condemn_blobs(1_000, 2_000).await.unwrap().is_empty());
        assert_eq!(store.condemn_blobs(1_001, 2_000).await.unwrap(), ["late"]);
        assert!(!store.keep_blob("late", 9_000).await.unwrap());
        let mut tx = store.write(&project()).await.unwrap();
        assert!(tx.add_file(&file, 1, "late").await.is_err());
        drop(tx);
        // Until 2,000 it is another's to delete; had that one died, it would be anybody's then.
        assert!(store.condemn_blobs(1_999, 3_000).await.unwrap().is_empty());
        assert_eq!(store.condemn_blobs(2_000, 3_000).await.unwrap(), ["late"]);
        store.forget_blobs(&["late".to_owned()], 9_000).await.unwrap();
        assert!(store.condemn_blobs(8_999, 9_000).await.unwrap().is_empty());
        assert_eq!(
            store.condemn_blobs(9_000, 9_500).await.unwrap(),
            ["late"],
            "its writer may have woken up"
        );
        store.forget_blobs(&["late".to_owned()], 10_000).await.unwrap();
        assert!(store.condemn_blobs(99_000, 99_001).await.unwrap().is_empty());
    }
}
