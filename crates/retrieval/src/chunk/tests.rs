use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use unicode_segmentation::UnicodeSegmentation;

use super::*;

fn o200k(text: &str) -> usize {
    tiktoken_rs::o200k_base_singleton().count_ordinary(text)
}

/// Four characters to a token.
fn quarter(text: &str) -> usize {
    text.chars().count().div_ceil(4)
}

fn paragraph(text: &str) -> Block<'_> {
    Block { kind: BlockKind::Paragraph, text, page: None }
}

fn heading(level: u8, text: &str) -> Block<'_> {
    Block { kind: BlockKind::Heading(level), text, page: None }
}

/// What holds for the chunks of any document under any strategy.
#[track_caller]
fn check(blocks: &[Block], strategy: Strategy, count: &dyn Fn(&str) -> usize) -> Vec<Chunk> {
    let text = document(blocks);
    let characters: Vec<char> = text.chars().collect();
    let borders: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]).collect();
    let bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let chunks = chunks(blocks, strategy, count);
    let mut pieces = BTreeMap::new();
    let mut last = None;
    for chunk in &chunks {
        let Place { start, end, .. } = chunk.place;
        assert_eq!(chunk.text, characters[start..end].iter().collect::<String>());
        assert!(count(&chunk.text) <= strategy.max_tokens, "{} tokens", count(&chunk.text));
        assert!(last < Some((start, end)), "chunks go forward");
        last = Some((start, end));
        assert_eq!(chunk.pieces.first().map(|piece| piece.range.start), Some(0));
        assert_eq!(chunk.pieces.last().map(|piece| piece.range.end), Some(chunk.text.len()));
        for piece in &chunk.pieces {
            let content = &chunk.text[piece.range.clone()];
            assert!(!content.trim().is_empty() && content == content.trim_end());
            let start = bytes[start] + piece.range.start;
            assert_eq!(
                *pieces.entry(start).or_insert(content),
                content,
                "a shared piece is the same in both"
            );
            for edge in [start, start + content.len()] {
                assert!(borders.binary_search(&edge).is_ok(), "a character is cut in two at {edge}");
            }
        }
    }
    let mut end = 0;
    for (start, piece) in pieces {
        assert!(start >= end, "pieces overlap at {start}");
        assert_eq!(text[end..start].trim(), "", "lost before {start}");
        end = start + piece.len();
        assert_eq!(&text[start..end], piece);
    }
    assert_eq!(text[end..].trim(), "", "lost at the end");
    chunks
}

const SCRIPTS: [&str; 13] = [
    "The quick brown fox jumps over the lazy dog. It's 3.14 o'clock! Isn't it? ",
    "서울은 대한민국의 수도입니다. 한강이 도시를 가로질러 흐르고 있어요. 인구는 약 940만 명이다. ",
    "東京は日本の首都です。世界最大級の都市圏を形成しています！人口は？",
    "北京是中华人民共和国的首都。它是政治、文化中心；人口约两千一百万。",
    "กรุงเทพมหานครเป็นเมืองหลวงและนครที่มีประชากรมากที่สุดของประเทศไทย เป็นศูนย์กลางการปกครอง ",
    "दिल्ली भारत की राजधानी है। यह यमुना नदी के किनारे बसी है। ",
    "القاهرة هي عاصمة جمهورية مصر العربية. هل زرتها؟ ",
    "Ünïçödé ñandú Ærøskøbing e\u{301}te\u{301} \u{1112}\u{1161}\u{11ab} ",
    "👩‍👩‍👧‍👦🇰🇷🏳️‍🌈👍🏽",
    "fn main() {\n    println!(\"{}\", 1_000);\n\n    loop {}\n}\r\n",
    "aGVsbG8gd29ybGQgdGhpcyBpcyBiYXNlNjQgdGV4dCB3aXRob3V0IGFueSBzcGFjZQ",
    "\u{600}123 \t \u{3000}\u{200b}\r\n\u{2028}\u{85}\u{c}",
    "\n\n   \n",
];

fn random_document(random: &mut StdRng) -> Vec<(BlockKind, String, Option<u32>)> {
    (0..random.random_range(0..25))
        .map(|_| {
            let kind = match random.random_range(0..6) {
                0 => BlockKind::Heading(random.random_range(1..5)),
                1 => BlockKind::Code,
                2 => BlockKind::Table,
                _ => BlockKind::Paragraph,
            };
            let script = SCRIPTS[random.random_range(0..SCRIPTS.len())];
            let long = random.random_range(0..10) == 0;
            let length = random.random_range(0..if long { 6000 } else { 400 });
            let skip = random.random_range(0..20);
            let text = script.chars().cycle().skip(skip).take(length).collect();
            (kind, text, random.random_bool(0.3).then(|| random.random_range(1..100)))
        })
        .collect()
}

#[test]
fn nothing_is_lost_or_invented_in_any_script_under_any_strategy() {
    let mut random = StdRng::seed_from_u64(7);
    // A count that finds more tokens in a whole than in its parts, which no vocabulary should.
    let spiteful = |text: &str| text.chars().count() / 8 + text.len() * text.len() / 100_000;
    let counts: [&dyn Fn(&str) -> usize; 4] = [&quarter, &str::len, &spiteful, &o200k];
    for round in 0..240 {
        let content = random_document(&mut random);
        let blocks: Vec<Block> =
            content.iter().map(|(kind, text, page)| Block { kind: *kind, text, page: *page }).collect();
        let max_tokens = random.random_range(100..1000);
        let overlap_tokens = random.random_range(0..=max_tokens / 2);
        // The vocabulary is slow without optimisation.
        let count = if round % 12 == 0 { counts[3] } else { counts[round % 3] };
        check(&blocks, Strategy { max_tokens, overlap_tokens }, count);
    }
}

#[test]
fn by_default_two_pieces_are_a_chunk_and_each_is_in_two() {
    let text = "Seven words make a sentence of nine tokens. ".repeat(400);
    let chunks = check(&[paragraph(&text)], Strategy::default(), &quarter);
    assert!(chunks.len() > 8);
    // The last two pieces share what is left.
    let inner = chunks.len() - 2;
    for (chunk, next) in chunks.iter().zip(&chunks[1..]).take(inner) {
        assert_eq!(chunk.pieces.len(), 2);
        assert!(chunk.pieces.iter().all(|piece| (300..=400).contains(&piece.tokens)), "{:?}", chunk.pieces);
        assert_eq!(chunk.text[chunk.pieces[1].range.clone()], next.text[next.pieces[0].range.clone()]);
        assert!(chunk.text.ends_with("tokens.") && chunk.text.starts_with("Seven"), "cut between sentences");
    }
}

#[test]
fn chunks_share_about_what_the_strategy_says() {
    let text = "Some words of a text. ".repeat(2000);
    for (max_tokens, overlap_tokens) in
        [(800, 0), (800, 100), (512, 50), (1000, 450), (4096, 2048), (100, 50)]
    {
        let chunks = check(&[paragraph(&text)], Strategy { max_tokens, overlap_tokens }, &quarter);
        for (chunk, next) in chunks.iter().zip(&chunks[1..]).take(chunks.len().saturating_sub(2)) {
            let shared = (chunk.place.end.saturating_sub(next.place.start)) / 4;
            assert!(
                shared <= overlap_tokens && shared * 10 >= overlap_tokens * 7,
                "{shared} of {overlap_tokens}"
            );
            let tokens = quarter(&chunk.text);
            assert!(tokens * 10 >= max_tokens * 7, "{tokens} of {max_tokens}");
        }
        let longest = chunks.iter().flat_map(|chunk| &chunk.pieces).map(|piece| piece.tokens).max();
        assert!(longest <= Some(PIECE_TOKENS));
    }
}

#[test]
fn what_fits_is_one_chunk() {
    let blocks = [heading(1, "Title"), paragraph("One."), paragraph(" \n "), paragraph("Two. ")];
    let chunks = check(&blocks, Strategy::default(), &quarter);
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].text, "Title\n\nOne.\n\n \n \n\nTwo.");
    assert_eq!(chunks[0].pieces.len(), 1);
    assert_eq!(chunks[0].place, Place { page: None, heading: Some("Title".to_owned()), start: 0, end: 22 });
    for blank in [&[][..], &[paragraph("")], &[paragraph(" \n"), heading(1, "")]] {
        assert_eq!(check(blank, Strategy::default(), &quarter), []);
    }
}

#[test]
fn a_chunk_begins_with_its_heading_and_knows_those_above() {
    let body = "A sentence of the body, long enough to count. ".repeat(25);
    let blocks = [
        heading(1, "Guide"),
        paragraph(&body),
        heading(2, "Install\n it"),
        paragraph(&body),
        heading(3, "On Linux"),
        paragraph(&body),
        heading(2, "Use"),
        paragraph(&body),
        paragraph(&body),
    ];
    let chunks = check(&blocks, Strategy { max_tokens: 400, overlap_tokens: 0 }, &quarter);
    let places: Vec<(&str, &str)> = chunks
        .iter()
        .map(|chunk| (chunk.place.heading.as_deref().unwrap(), chunk.text.lines().next().unwrap()))
        .map(|(path, line)| (path, &line[..8.min(line.len())]))
        .collect();
    assert_eq!(
        places,
        [
            ("Guide", "Guide"),
            ("Guide > Install it", "Install"),
            ("Guide > Install it > On Linux", "On Linux"),
            ("Guide > Use", "Use"),
            ("Guide > Use", "A senten"),
        ]
    );
    assert!(chunks.iter().flat_map(|chunk| &chunk.pieces).all(|piece| piece.heading.is_some()));
}

#[test]
fn pages_are_those_where_chunks_begin() {
    let text = "word ".repeat(280);
    let blocks: Vec<Block> = (1..=6)
        .map(|page| Block { page: Some(page), ..paragraph(&text) })
        .chain([paragraph(&text)])
        .collect();
    let chunks = check(&blocks, Strategy { max_tokens: 400, overlap_tokens: 0 }, &quarter);
    let pages: Vec<Option<u32>> = chunks.iter().map(|chunk| chunk.place.page).collect();
    assert_eq!(pages, [1, 2, 3, 4, 5, 6, 6].map(Some));
}

#[test]
fn code_is_cut_between_lines_and_keeps_its_indents() {
    let code = "def f():\n    first()\n    second()\n\n".repeat(60);
    let blocks = [Block { kind: BlockKind::Code, text: &code, page: None }];
    for chunk in check(&blocks, Strategy { max_tokens: 100, overlap_tokens: 50 }, &quarter) {
        assert!(chunk.text.starts_with("def f():\n    first()"), "{:?}", chunk.text);
        assert!(chunk.text.ends_with("    second()"), "{:?}", chunk.text);
    }
}

#[test]
fn text_without_borders_is_cut_between_characters() {
    let strategy = Strategy { max_tokens: 100, overlap_tokens: 50 };
    for text in ["가나다라마바사".repeat(200), "a".repeat(3000), "👩‍👩‍👧‍👦".repeat(300)]
    {
        assert!(check(&[paragraph(&text)], strategy, &quarter).len() > 3);
    }
    // One character that no chunk can hold: cut all the same.
    let monster = format!("e{}", "\u{301}".repeat(2000));
    let chunks = chunks(&[paragraph(&monster)], strategy, &quarter);
    assert!(chunks.len() > 4 && chunks.iter().all(|chunk| quarter(&chunk.text) <= 100));
    let end = chunks.iter().map(|chunk| chunk.place.end).max();
    assert_eq!(end, Some(2001));
}

#[test]
fn a_chunks_vector_is_the_mean_of_its_pieces_by_tokens() {
    let near = |left: &[f32], right: &[f32]| left.iter().zip(right).all(|(l, r)| (l - r).abs() < 1e-6);
    let whole = combine(&[(&[3.0, 0.0], 300), (&[0.0, 0.5], 400)]);
    assert!(near(&whole, &[0.6, 0.8]), "{whole:?}");
    assert!(near(&combine(&[(&[0.0, 2.0], 0)]), &[0.0, 1.0]));
    assert_eq!(combine(&[(&[1.0, 0.0], 1), (&[-1.0, 0.0], 1)]), [0.0, 0.0]);
    assert_eq!(combine(&[(&[0.0, 0.0], 5)]), [0.0, 0.0]);
    assert_eq!(combine(&[]), [0.0; 0]);
}
