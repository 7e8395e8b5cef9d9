//! Assistants.

use adjutant_wire::AssistantId;
use adjutant_wire::assistants::Assistant;
use adjutant_wire::id::Id;
use adjutant_wire::list::{List, ListQuery};

use super::objects::Stored;
use super::{Reading, Writing};
use crate::fault::Result;

impl Stored for Assistant {
    type Id = AssistantId;
    const TABLE: &'static str = "assistants";

    fn id(&self) -> &AssistantId {
        &self.id
    }
}

impl Reading {
    /// The assistant, or its 404.
    pub async fn assistant(&mut self, id: &AssistantId) -> Result<Assistant> {
        self.object(id, &[]).await
    }

    /// A page of the project's assistants.
    pub async fn assistants(&mut self, query: &ListQuery) -> Result<List<Assistant>> {
        self.page(query, &[]).await
    }
}

impl Writing {
    /// Stores a new assistant.
    pub async fn add_assistant(&mut self, assistant: &Assistant, position: i64) -> Result<()> {
        sqlx::query("insert into assistants (id, project, position, object) values ($1, $2, $3, $4)")
            .bind(assistant.id.to_string())
            .bind(self.project())
            .bind(position)
            .bind(serde_json::to_string(assistant)?)
            .execute(self.connection())
            .await?;
        self.note_resources(assistant.id.as_str(), &assistant.tool_resources).await
    }

    /// The assistant, kept from other writers until this transaction ends.
    pub async fn lock_assistant(&mut self, id: &AssistantId) -> Result<Assistant> {
        self.locked(id, &[]).await
    }

    /// Stores an assistant's new state.
    pub async fn update_assistant(&mut self, assistant: &Assistant) -> Result<()> {
        self.store(assistant).await?;
        self.forget_resources(assistant.id.as_str()).await?;
        self.note_resources(assistant.id.as_str(), &assistant.tool_resources).await
    }

    /// Deletes an assistant. Threads and runs that it worked on stay.
    pub async fn delete_assistant(&mut self, id: &AssistantId) -> Result<()> {
        self.delete::<Assistant>(id, &[]).await?;
        self.forget_resources(id.as_str()).await
    }
}
