//! How fast documents are cut, split into words and searched: `cargo run --release --example measure -- FOLDER`, with
//! a folder that `bench/search/make_set.py` made. One core; the best of three.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers, on data of its own")]

use std::fs;
use std::time::Duration;

use adjutant_retrieval::chunk::{self, Block, BlockKind, Strategy};
use adjutant_retrieval::vectors::{Index, Vectors};
use adjutant_retrieval::words;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

fn main() {
    let folder = std::env::args().nth(1).unwrap();
    let documents = fs::read_to_string(format!("{folder}/documents.jsonl")).unwrap();
    let rows: Vec<Value> = documents.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for language in ["en", "ko"] {
        let documents: Vec<Vec<Block>> =
            rows.iter().filter(|row| row["language"] == language).map(blocks).collect();
        measure_texts(language, &documents);
    }
    measure_vectors(384);
    measure_vectors(1536);
}

fn blocks(row: &Value) -> Vec<Block<'_>> {
    let kind = |heading: bool| if heading { BlockKind::Heading(2) } else { BlockKind::Paragraph };
    let blocks = row["blocks"].as_array().unwrap().iter();
    blocks
        .map(|block| Block {
            kind: kind(block["kind"] == "heading"),
            text: block["text"].as_str().unwrap(),
            page: None,
        })
        .collect()
}

fn measure_texts(language: &str, documents: &[Vec<Block>]) {
    let count = |text: &str| tiktoken_rs::o200k_base_singleton().count_ordinary(text);
    let texts: Vec<String> = documents.iter().map(|blocks| chunk::document(blocks)).collect();
    let megabytes = texts.iter().map(String::len).sum::<usize>() as f64 / 1e6;
    let tokens: usize = texts.iter().map(|text| count(text)).sum();
    let counted = best(|| texts.iter().map(|text| count(text)).sum::<usize>());
    let cut = best(|| {
        documents.iter().map(|blocks| chunk::chunks(blocks, Strategy::default(), &count).len()).sum()
    });
    let split = best(|| texts.iter().map(|text| words::joined(text).len()).sum());
    let rate = |time: Duration| megabytes / time.as_secs_f64();
    println!(
        "{language}: {megabytes:.1} MB, {tokens} tokens; tokens counted once {:.1} MB/s; chunks {:.2} MB/s, {:.0} tokens/s; words {:.1} MB/s",
        rate(counted),
        rate(cut),
        tokens as f64 / cut.as_secs_f64(),
        rate(split)
    );
}

fn measure_vectors(dimensions: usize) {
    let mut random = StdRng::seed_from_u64(1);
    let mut vector = || -> Vec<f32> { (0..dimensions).map(|_| random.random_range(-1.0..1.0)).collect() };
    for chunks in [1_000, 10_000, 100_000] {
        let mut index = Index::new(dimensions);
        for file in 0..chunks / 100 {
            let vectors: Vec<Vec<f32>> = (0..100).map(|_| vector()).collect();
            let rows: Vec<(i64, &[f32])> =
                (file * 100..).zip(&vectors).map(|(id, vector)| (id, &vector[..])).collect();
            index.add(file as u32, Vectors::new(dimensions, &rows).unwrap()).unwrap();
        }
        let query = vector();
        let time = best(|| index.nearest(&query, 50, |_| true).unwrap().len());
        let bytes = index.bytes() / index.len();
        println!("{chunks} vectors of {dimensions}: {:.2} ms, {bytes} bytes each", time.as_secs_f64() * 1e3);
    }
}

#[expect(clippy::disallowed_methods, reason = "there is no runtime whose time a test could stop")]
fn best(work: impl Fn() -> usize) -> Duration {
    let time = || {
        let start = std::time::Instant::now();
        std::hint::black_box(work());
        start.elapsed()
    };
    (0..3).map(|_| time()).min().unwrap_or_default()
}
