//! Files and stores that assistants, threads and messages name for their tools.

use adjutant_wire as wire;
use adjutant_wire::id::Id;
use adjutant_wire::messages::{Attachment, AttachmentTool};
use adjutant_wire::threads::Thread;
use adjutant_wire::tools::{FileSearchResources, NewToolResources, ToolResources};
use adjutant_wire::vector_stores::{Anchor, CreateVectorStore, ExpiresAfter};
use adjutant_wire::{UnixSeconds, VectorStoreId};

use super::stores;
use crate::clock::Clock;
use crate::fault::{Fault, Result};
use crate::store::Writing;

/// A store that a message's files were put into lives so long without use (contract §8).
const THREAD_STORE_DAYS: i64 = 7;

/// What the resources of a creating request come to: stores are made, and what is named must be there. Whoever
/// commits wakes the readers of files.
///
/// # Errors
/// 404 where a file or a store is missing.
pub async fn settle(tx: &mut Writing, clock: &Clock, new: NewToolResources) -> Result<ToolResources> {
    let mut resources = ToolResources { code_interpreter: new.code_interpreter, file_search: None };
    if let Some(search) = new.file_search {
        let mut ids = search.vector_store_ids;
        for store in search.vector_stores {
            let new = CreateVectorStore {
                file_ids: store.file_ids,
                chunking_strategy: store.chunking_strategy,
                metadata: store.metadata,
                ..CreateVectorStore::default()
            };
            ids.push(stores::create(tx, clock, new).await?.object.id.to_string());
        }
        resources.file_search = Some(FileSearchResources { vector_store_ids: ids });
    }
    refuse_missing(tx, &resources, clock.seconds()).await?;
    Ok(resources)
}

/// Refuses resources that are not there.
///
/// # Errors
/// 404.
pub async fn refuse_missing(tx: &mut Writing, resources: &ToolResources, now: UnixSeconds) -> Result<()> {
    let stores = resources.file_search.iter().flat_map(|search| &search.vector_store_ids);
    for store in stores {
        // What is no id names nothing that is there.
        let id = VectorStoreId::parse(store).map_err(|_| wire::Error::missing("vector store", store))?;
        tx.store_key(&id).await?;
    }
    let files = resources.code_interpreter.iter().flat_map(|code| &code.file_ids);
    stores::names_of(tx, files.map(String::as_str), now).await?;
    Ok(())
}

/// Puts the files that came with messages where the thread's tools find them: into its store, which is made if
/// it has none, and among the files of its code. The thread must be locked. Whoever commits wakes the readers of
/// files.
///
/// # Errors
/// 404 where a file is missing; 400 where the thread's store has expired.
pub async fn attach(
    tx: &mut Writing,
    clock: &Clock,
    thread: &mut Thread,
    attachments: &[Attachment],
) -> Result<()> {
    let files = attachments.iter().map(|attachment| attachment.file_id.as_str());
    stores::names_of(tx, files, clock.seconds()).await?;
    let mut searched = Vec::new();
    for attachment in attachments {
        for tool in &attachment.tools {
            match tool {
                AttachmentTool::FileSearch {} => searched.push(attachment.file_id.clone()),
                AttachmentTool::CodeInterpreter {} => {
                    let code = thread.tool_resources.code_interpreter.get_or_insert_default();
                    if !code.file_ids.contains(&attachment.file_id) {
                        code.file_ids.push(attachment.file_id.clone());
                    }
                }
            }
        }
    }
    if searched.is_empty() {
        return Ok(());
    }
    let lock = match own_store(thread) {
        Some(id) => {
            let lock = tx.lock_vector_store(&id).await;
            // The thread's store was deleted: it gets another.
            lock.map(Some).or_else(|fault| match fault {
                Fault::Refused(wire::Error { status: 404, .. }) => Ok(None),
                Fault::Refused(_) | Fault::Answered(_) | Fault::Broken(_) | Fault::Unavailable(_) => {
                    Err(fault)
                }
            })?
        }
        None => None,
    };
    let lock = match lock {
        Some(lock) => lock,
        None => {
            let days = THREAD_STORE_DAYS;
            let expires_after = Some(ExpiresAfter { anchor: Anchor::LastActiveAt, days });
            let new = CreateVectorStore { expires_after, ..CreateVectorStore::default() };
            let lock = stores::create(tx, clock, new).await?;
            let ids = vec![lock.object.id.to_string()];
            thread.tool_resources.file_search = Some(FileSearchResources { vector_store_ids: ids });
            lock
        }
    };
    stores::attach(tx, &lock, clock, stores::alike(searched, None)).await?;
    Ok(())
}

fn own_store(thread: &Thread) -> Option<VectorStoreId> {
    let id = thread.tool_resources.file_search.as_ref()?.vector_store_ids.first()?;
    VectorStoreId::parse(id).ok()
}
