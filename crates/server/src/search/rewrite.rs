//! Search terms made of what was asked, by a model.

use std::time::Duration;

use super::Search;
use crate::upstream::UpstreamFault;
use crate::upstream::chat::{ChatContent, ChatDelta, ChatMessage, ChatRequest};

/// After so long the question is taken as it was asked.
const PATIENCE: Duration = Duration::from_secs(10);

/// More than that is no search query.
const LONGEST_CHARS: usize = 500;

const INSTRUCTIONS: &str = "Rewrite the user's text as one short search query in the same language. Keep names, numbers \
                            and codes as they are. Answer with the query alone.";

impl Search {
    /// The queries as a model would put them to a search engine; as they are where no model helps in time.
    pub async fn rewrite(&self, queries: &[String]) -> Vec<String> {
        let mut rewritten = Vec::with_capacity(queries.len());
        for query in queries {
            let better = match tokio::time::timeout(PATIENCE, self.rewrite_one(query)).await {
                Ok(Ok(better)) => better,
                Ok(Err(fault)) => {
                    tracing::warn!("a search query could not be rewritten: {}", fault.message);
                    String::new()
                }
                Err(_) => {
                    tracing::warn!("a search query was not rewritten within {PATIENCE:?}");
                    String::new()
                }
            };
            let usable = !better.is_empty() && better.chars().count() <= LONGEST_CHARS;
            rewritten.push(if usable { better } else { query.clone() });
        }
        rewritten
    }

    async fn rewrite_one(&self, query: &str) -> Result<String, UpstreamFault> {
        let request = ChatRequest {
            messages: vec![
                ChatMessage::System { content: INSTRUCTIONS.to_owned() },
                ChatMessage::User { content: ChatContent::Text(query.to_owned()) },
            ],
            temperature: Some(0.0),
            max_completion_tokens: Some(64),
            ..ChatRequest::default()
        };
        let mut answer = self.upstreams.ask(request).await?;
        let mut text = String::new();
        while let Some(deltas) = answer.next().await? {
            for delta in deltas {
                match delta {
                    ChatDelta::Text(more) => text.push_str(&more),
                    ChatDelta::Refusal(_)
                    | ChatDelta::ToolCall { .. }
                    | ChatDelta::Finish(_)
                    | ChatDelta::Usage(_) => {}
                }
            }
        }
        Ok(text.trim().trim_matches(['"', '“', '”']).to_owned())
    }
}
