//! The first stage: a file becomes passages that can be found by their words.

use adjutant_documents::{Document, Unreadable};
use adjutant_retrieval::chunk::{self, Block, BlockKind, Chunk, Strategy};
use adjutant_retrieval::words::words;
use adjutant_wire::vector_store_files::FileErrorCode;
use futures_util::StreamExt;

use super::{Ingest, Stop, failed};
use crate::fault::Fault;
use crate::search::passage::{Piece, Place, under_heading};
use crate::search::reader::NoDocument;
use crate::store::{ClaimedFile, NewChunk};

/// Passages that are stored in one transaction, so that nobody waits long for it.
const STORED_AT_ONCE: usize = 64;

/// The most tokens of a file (contract §2).
const MOST_TOKENS: usize = 5_000_000;

impl Ingest {
    pub(super) async fn read(&self, claimed: &ClaimedFile) -> Result<(), Stop> {
        let document = self.document(claimed).await?;
        let sizes = claimed.file.chunking_strategy.sizes();
        let strategy =
            Strategy { max_tokens: sizes.max_chunk_size_tokens, overlap_tokens: sizes.chunk_overlap_tokens };
        let cut = tokio::task::spawn_blocking(move || cut(&document, strategy)).await;
        let chunks = cut.map_err(|error| Stop::Later(format!("cutting the file broke off: {error}")))??;
        let mut first = 0;
        for some in chunks.chunks(STORED_AT_ONCE) {
            self.store_chunks(claimed, some).await?;
            first += some.len();
        }
        tracing::debug!(file.id = %claimed.file.id, "file `{}` has {first} passages", claimed.file.id);
        let mut tx = self.store.write(claimed.lease.project()).await?;
        if !tx.hold_file(&claimed.lease, self.clock.milliseconds()).await? {
            return Err(Stop::Lost);
        }
        tx.make_readable(&claimed.lease, self.clock.milliseconds()).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn document(&self, claimed: &ClaimedFile) -> Result<Document, Stop> {
        let bytes = match self.files.open(claimed.lease.project(), &claimed.file.id).await {
            Ok((_, bytes)) => bytes,
            // Its time has run out, and it is about to be taken out of the store.
            Err(Fault::Refused(_)) => {
                return Err(failed(FileErrorCode::InvalidFile, "The file is no longer there."));
            }
            Err(fault) => return Err(fault.into()),
        };
        let bytes = bytes.map(|piece| piece.map_err(std::io::Error::other));
        self.reader.read(&claimed.name, bytes).await.map_err(|fault| match fault {
            NoDocument::Unreadable(Unreadable::Unsupported) => {
                failed(FileErrorCode::UnsupportedFile, "The file type is not supported.")
            }
            NoDocument::Unreadable(Unreadable::Invalid(why)) => failed(FileErrorCode::InvalidFile, why),
            NoDocument::Broken(error) => Stop::Later(format!("{error:#}")),
        })
    }

    async fn store_chunks(&self, claimed: &ClaimedFile, chunks: &[NewChunk]) -> Result<(), Stop> {
        let mut tx = self.store.write(claimed.lease.project()).await?;
        if !tx.hold_file(&claimed.lease, self.lease_end()).await? {
            return Err(Stop::Lost);
        }
        tx.add_chunks(&claimed.lease, chunks).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn cut(document: &Document, strategy: Strategy) -> Result<Vec<NewChunk>, Stop> {
    let blocks: Vec<Block<'_>> = document.blocks.iter().map(as_block).collect();
    let count = |text: &str| tiktoken_rs::o200k_base_singleton().count_ordinary(text);
    let chunks = chunk::chunks(&blocks, strategy, &count);
    if chunks.is_empty() {
        return Err(failed(FileErrorCode::InvalidFile, "The file could not be parsed because it is empty."));
    }
    let tokens: usize = chunks.iter().flat_map(|chunk| &chunk.pieces).map(|piece| piece.tokens).sum();
    if tokens / 2 > MOST_TOKENS {
        return Err(failed(
            FileErrorCode::InvalidFile,
            "The file could not be parsed because it is too large.",
        ));
    }
    chunks.into_iter().enumerate().map(|(index, chunk)| as_stored(index, chunk)).collect()
}

fn as_block(block: &adjutant_documents::Block) -> Block<'_> {
    let kind = match block.kind {
        adjutant_documents::BlockKind::Heading(level) => BlockKind::Heading(level),
        adjutant_documents::BlockKind::Paragraph => BlockKind::Paragraph,
        adjutant_documents::BlockKind::Code => BlockKind::Code,
        adjutant_documents::BlockKind::Table => BlockKind::Table,
    };
    Block { kind, text: &block.text, page: block.page }
}

fn as_stored(index: usize, chunk: Chunk) -> Result<NewChunk, Stop> {
    let pieces = chunk.pieces.iter().map(|piece| Piece {
        start: piece.range.start,
        end: piece.range.end,
        tokens: piece.tokens,
        heading: piece.heading.clone(),
    });
    let place = Place {
        page: chunk.place.page,
        heading: chunk.place.heading.clone(),
        characters: chunk.place.start..chunk.place.end,
        pieces: pieces.collect(),
    };
    Ok(NewChunk {
        index: i64::try_from(index).unwrap_or(i64::MAX),
        place: place.to_text()?,
        words: words(&under_heading(chunk.place.heading.as_deref(), &chunk.text)),
        content: chunk.text,
    })
}
