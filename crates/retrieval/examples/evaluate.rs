//! How well a retrieval set's questions find their answers: by words, by meaning, and by both.
//!
//! ```text
//! bench/search/make_set.py FOLDER                       documents and questions
//! cargo run --release --example evaluate -- FOLDER texts   what has to be embedded
//! bench/search/embed.py FOLDER                          its vectors
//! cargo run --release --example evaluate -- FOLDER      the table
//! ```
//!
//! A question's answer is found by a chunk that has half of it, or is half answer. recall@5 is the part of the
//! questions whose answer is among the first five chunks; nDCG@10 with the first such chunk counting alone. Constants
//! were chosen by the `tune` half of the questions; `held` is the other half.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers, on data of its own")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io::Write;

use adjutant_retrieval::chunk::{self, Block, BlockKind, Chunk, Piece, Place, Strategy};
use adjutant_retrieval::rank::{self, Bm25, Meaning, Scored, Store, Weights, terms};
use adjutant_retrieval::words;
use serde_json::{Value, json};

/// What multilingual-e5-small gives for the known answers, by `Meaning::learn`'s rule.
const UNRELATED: f64 = 0.777;
const ANSWER: f64 = 0.951;

/// Kind and text, and the vector.
type Vectors = HashMap<(String, String), Vec<f32>>;

struct Question {
    text: String,
    language: String,
    set: String,
    document: String,
    start: usize,
    end: usize,
}

/// A chunk of a store.
struct Entry {
    document: String,
    language: String,
    place: Place,
    words: String,
    /// Its pieces' texts as they are embedded, with their weights.
    pieces: Vec<(String, usize)>,
    vector: Option<Vec<f32>>,
}

fn main() {
    let folder = std::env::args().nth(1).unwrap();
    let mut entries: Vec<Entry> = rows(&folder, "documents.jsonl").iter().flat_map(cut).collect();
    let questions: Vec<Question> = rows(&folder, "questions.jsonl").iter().map(question).collect();
    if std::env::args().nth(2).as_deref() == Some("texts") {
        write_texts(&folder, &entries, &questions);
        return;
    }
    let vectors: Vectors = rows(&folder, "vectors.jsonl").iter().map(vector).collect();
    for entry in &mut entries {
        let parts: Option<Vec<(&[f32], usize)>> = entry
            .pieces
            .iter()
            .map(|(text, tokens)| Some((&vectors.get(&("passage".to_owned(), text.clone()))?[..], *tokens)))
            .collect();
        entry.vector = parts.map(|parts| chunk::combine(&parts));
    }
    let languages: HashSet<&str> = questions.iter().map(|question| question.language.as_str()).collect();
    for language in languages {
        let store: Vec<&Entry> = entries.iter().filter(|entry| entry.language == language).collect();
        let asked: Vec<&Question> =
            questions.iter().filter(|question| question.language == language).collect();
        print_table(language, &store, &asked, &vectors);
    }
}

fn rows(folder: &str, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(format!("{folder}/{name}")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(row: &Value, key: &str) -> String {
    row[key].as_str().unwrap().to_owned()
}

fn number(row: &Value, key: &str) -> usize {
    usize::try_from(row[key].as_u64().unwrap()).unwrap()
}

fn question(row: &Value) -> Question {
    Question {
        text: text(row, "question"),
        language: text(row, "language"),
        set: text(row, "set"),
        document: text(row, "document"),
        start: number(row, "start"),
        end: number(row, "end"),
    }
}

fn vector(row: &Value) -> ((String, String), Vec<f32>) {
    let values =
        row["vector"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect();
    ((text(row, "kind"), text(row, "text")), values)
}

fn cut(document: &Value) -> Vec<Entry> {
    let blocks: Vec<Block> = document["blocks"].as_array().unwrap().iter().map(block).collect();
    let count = |text: &str| tiktoken_rs::o200k_base_singleton().count_ordinary(text);
    let entry = |chunk: Chunk| Entry {
        document: text(document, "document"),
        language: text(document, "language"),
        words: words::joined(&under(chunk.place.heading.as_deref(), &chunk.text)),
        pieces: chunk.pieces.iter().map(|piece| (embedded(&chunk, piece), piece.tokens)).collect(),
        place: chunk.place,
        vector: None,
    };
    chunk::chunks(&blocks, Strategy::default(), &count).into_iter().map(entry).collect()
}

fn block(row: &Value) -> Block<'_> {
    let kind = match row["kind"].as_str().unwrap() {
        "heading" => BlockKind::Heading(u8::try_from(number(row, "level")).unwrap()),
        "code" => BlockKind::Code,
        _ => BlockKind::Paragraph,
    };
    Block { kind, text: row["text"].as_str().unwrap(), page: None }
}

fn embedded(chunk: &Chunk, piece: &Piece) -> String {
    under(piece.heading.as_deref(), &chunk.text[piece.range.clone()])
}

fn under(heading: Option<&str>, text: &str) -> String {
    heading.map_or_else(|| text.to_owned(), |heading| format!("{heading}\n{text}"))
}

fn write_texts(folder: &str, entries: &[Entry], questions: &[Question]) {
    let asked = questions.iter().map(|question| ("query", &question.text));
    let read = entries.iter().flat_map(|entry| &entry.pieces).map(|(text, _)| ("passage", text));
    let mut seen = HashSet::new();
    let mut file = fs::File::create(format!("{folder}/texts.jsonl")).unwrap();
    for (kind, text) in asked.chain(read).filter(|row| seen.insert(*row)) {
        writeln!(file, "{}", json!({"kind": kind, "text": text})).unwrap();
    }
}

fn print_table(language: &str, store: &[&Entry], asked: &[&Question], vectors: &Vectors) {
    let mut chunks_with: HashMap<&str, u64> = HashMap::new();
    for entry in store {
        for word in entry.words.split(' ').collect::<HashSet<_>>() {
            *chunks_with.entry(word).or_default() += 1;
        }
    }
    let words = store.iter().map(|entry| entry.words.split(' ').count() as u64).sum();
    let known = Store { chunks: store.len() as u64, words };
    let mut table: BTreeMap<(&str, String), Mean> = BTreeMap::new();
    for (index, question) in asked.iter().enumerate() {
        let terms = terms(&question.text).into_iter().map(|mut term| {
            term.chunks = chunks_with.get(term.word.as_str()).copied().unwrap_or_default();
            term
        });
        let bm25 = Bm25::new(known, terms.collect());
        let query = vectors.get(&("query".to_owned(), question.text.clone()));
        let half = if index % 2 == 0 { "tune" } else { "held" };
        for (method, order) in orders(store, &bm25, query) {
            let rank = order.iter().position(|entry| answers(store[*entry], question));
            for part in ["all", half, &question.set] {
                table.entry((method, part.to_owned())).or_default().add(rank);
            }
        }
    }
    println!("{language}: {} chunks, {} questions: recall@5 nDCG@10", store.len(), asked.len());
    for method in ["keyword", "vector", "hybrid"] {
        let columns = table.iter().filter(|((name, _), _)| *name == method);
        let columns: Vec<String> = columns.map(|((_, part), mean)| format!("{part} {mean}")).collect();
        println!("  {method:8} {}", columns.join(" | "));
    }
}

/// The first ten chunks of each method.
fn orders(store: &[&Entry], bm25: &Bm25, query: Option<&Vec<f32>>) -> [(&'static str, Vec<usize>); 3] {
    let Some(meaning) = Meaning::new(UNRELATED, ANSWER) else { return Default::default() };
    let words: Vec<f64> = store.iter().map(|entry| bm25.score(&entry.words)).collect();
    let cosines: Vec<f64> = store.iter().map(|entry| cosine(entry.vector.as_deref(), query)).collect();
    let files: Vec<&str> = store.iter().map(|entry| entry.document.as_str()).collect();
    let hybrid = words.iter().zip(&cosines).enumerate().map(|(chunk, (words, cosine))| Scored {
        file: files.iter().position(|file| *file == files[chunk]).unwrap() as i64,
        chunk: chunk as i64,
        place: store[chunk].place.start..store[chunk].place.end,
        score: rank::fused(Weights::default(), *words, meaning.score(*cosine)),
    });
    let hybrid = rank::best(hybrid.collect(), 10).into_iter().map(|scored| scored.chunk as usize).collect();
    [("keyword", first(&words)), ("vector", first(&cosines)), ("hybrid", hybrid)]
}

fn cosine(one: Option<&[f32]>, other: Option<&Vec<f32>>) -> f64 {
    let (Some(one), Some(other)) = (one, other) else { return 0.0 };
    one.iter().zip(other).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum()
}

fn first(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|one, other| scores[*other].total_cmp(&scores[*one]).then(one.cmp(other)));
    order.truncate(10);
    order
}

fn answers(entry: &Entry, question: &Question) -> bool {
    let Place { start, end, .. } = entry.place;
    let shared = end.min(question.end).saturating_sub(start.max(question.start));
    entry.document == question.document && shared * 2 >= (question.end - question.start).min(end - start)
}

#[derive(Default)]
struct Mean {
    questions: f64,
    in_five: f64,
    gain: f64,
}

impl Mean {
    fn add(&mut self, rank: Option<usize>) {
        self.questions += 1.0;
        self.in_five += f64::from(u8::from(rank.is_some_and(|rank| rank < 5)));
        self.gain += rank.map_or(0.0, |rank| 1.0 / (rank as f64 + 2.0).log2());
    }
}

impl std::fmt::Display for Mean {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(out, "{:.3} {:.3}", self.in_five / self.questions, self.gain / self.questions)
    }
}
