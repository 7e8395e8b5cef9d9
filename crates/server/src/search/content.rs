//! Files of vector stores as they were read.

use adjutant_wire::passages::ShownPassage;
use adjutant_wire::{FileId, VectorStoreId};

use super::Search;
use super::passage::Place;
use crate::fault::Result;
use crate::store::Project;

/// Passages that are read at once.
const AT_ONCE: i64 = 256;

impl Search {
    /// The text of a file as it was read, in parts.
    ///
    /// # Errors
    /// 404 where it is not in the store.
    pub async fn content(
        &self,
        project: &Project,
        store: &VectorStoreId,
        file: &FileId,
    ) -> Result<Vec<String>> {
        let mut shown = 0;
        let mut parts = Vec::new();
        for passage in self.passages(project, store, file).await? {
            // What this passage repeats of the one before was shown with it.
            let again = shown.max(passage.start) - passage.start;
            let new: String = passage.text.chars().skip(again).collect();
            shown = shown.max(passage.end);
            if !new.is_empty() {
                parts.push(new);
            }
        }
        Ok(parts)
    }

    /// A file's passages as they are stored, each whole, with what they share.
    ///
    /// # Errors
    /// 404 where it is not in the store.
    pub async fn passages(
        &self,
        project: &Project,
        store: &VectorStoreId,
        file: &FileId,
    ) -> Result<Vec<ShownPassage>> {
        let mut reading = self.store.read(project).await?;
        reading.store_key(store).await?;
        let number = reading.vector_store_file_number(store, file).await?;
        let mut all = Vec::new();
        let mut last = 0;
        loop {
            let some = reading.next_passages(number, last, AT_ONCE).await?;
            let Some(end) = some.last() else { return Ok(all) };
            last = end.id;
            for passage in some {
                let Place { page, heading, characters, .. } = Place::read(&passage.place)?;
                all.push(ShownPassage {
                    kind: "text",
                    text: passage.content,
                    index: all.len(),
                    page,
                    heading,
                    start: characters.start,
                    end: characters.end,
                });
            }
        }
    }
}
