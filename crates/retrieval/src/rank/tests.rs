use super::*;
use crate::words::joined;

/// A store of these texts, asked this.
fn asked(texts: &[&str], query: &str) -> (Bm25, Vec<String>) {
    let lists: Vec<String> = texts.iter().map(|text| joined(text)).collect();
    let words = lists.iter().map(|list| list.split(' ').count() as u64).sum();
    let has = |list: &String, word: &str| list.split(' ').any(|other| other == word);
    let terms = terms(query)
        .into_iter()
        .map(|term| Term { chunks: lists.iter().filter(|list| has(list, &term.word)).count() as u64, ..term })
        .collect();
    (Bm25::new(Store { chunks: texts.len() as u64, words }, terms), lists)
}

const TEXTS: [&str; 5] = [
    "The red fox and the grey wolf.",
    "The grey wolf and the other wolf.",
    "The part AB-1234 fits the pump.",
    "The pump of the house.",
    "서울은 한국의 수도이다. The end.",
];

#[test]
fn bm25_is_reckoned_as_it_is_defined() {
    let (bm25, lists) = asked(&TEXTS, "grey wolf wolf");
    // Five chunks of 7, 7, 8, 5 and 6 words; both words are in two of them.
    let idf = (1.0_f64 + (5.0 - 2.0 + 0.5) / (2.0 + 0.5)).ln();
    let stretch = 1.2 * (0.25 + 0.75 * 7.0 / (lists.join(" ").split(' ').count() as f64 / 5.0));
    let part = |times: f64| times * 2.2 / (times + stretch);
    let most = 3.0 * idf * 2.2;
    assert!((bm25.score(&lists[0]) - 3.0 * idf * part(1.0) / most).abs() < 1e-12);
    assert!((bm25.score(&lists[1]) - idf * (part(1.0) + 2.0 * part(2.0)) / most).abs() < 1e-12);
    assert_eq!([bm25.score(&lists[2]), bm25.score("")], [0.0, 0.0]);
}

#[test]
fn identifiers_and_korean_words_are_found() {
    for (query, found) in [("ab 1234", 2), ("AB1234", 2), ("한국 수도", 4), ("서울의", 4), ("pumps", 2)]
    {
        let (bm25, lists) = asked(&TEXTS, query);
        let best = lists.iter().map(|list| bm25.score(list)).fold(0.0, f64::max);
        assert!(best > 0.0 && bm25.score(&lists[found]) > best * 0.8, "{query}");
    }
}

#[test]
fn what_is_not_known_counts_against_a_chunk() {
    let (all, lists) = asked(&TEXTS, "grey wolf");
    let (half, _) = asked(&TEXTS, "grey wolf zebra quagga");
    assert!(half.score(&lists[0]) < all.score(&lists[0]) / 2.0);
    let (none, _) = asked(&TEXTS, "…");
    assert_eq!(none.score(&lists[0]), 0.0);
    let (empty, _) = asked(&[], "grey");
    assert_eq!(empty.score("grey"), empty.score("grey").clamp(0.0, 1.0));
}

#[test]
fn rare_words_are_asked_for_first() {
    let (bm25, _) = asked(&TEXTS, "the grey wolf and the fox, zebra");
    assert_eq!(bm25.rarest(100), ["fox", "and", "grey", "wolf", "the"]);
    assert_eq!(bm25.rarest(7), ["fox", "and", "grey", "wolf"]);
    assert_eq!(bm25.rarest(0), ["fox"]);
    let (common, _) = asked(&TEXTS, "the");
    assert_eq!(common.rarest(1), ["the"]);
}

#[test]
fn a_models_cosines_are_measured_by_what_it_says_of_known_answers() {
    // A model whose cosines are all high: right pairs at 0.9, wrong ones at 0.8.
    let vector = |at: usize, side: usize| -> Vec<f32> {
        let mut vector = vec![0.0; 40];
        vector[0] = 0.8_f32.sqrt();
        vector[1 + at] = 0.1_f32.sqrt();
        vector[14 + 13 * side + at] = 0.1_f32.sqrt();
        vector
    };
    let vectors = |side| -> Vec<Vec<f32>> { (0..KNOWN_ANSWERS.len()).map(|at| vector(at, side)).collect() };
    let meaning = Meaning::learn(&vectors(0), &vectors(1)).unwrap();
    let scores: Vec<f64> =
        [0.5, 0.8, 0.81, 0.9, 1.0].map(|cosine| (meaning.score(cosine) * 100.0).round()).to_vec();
    assert_eq!(scores, [0.0, 0.0, 1.0, 35.0, 100.0]);
    assert_eq!(Meaning::learn(&vectors(0)[1..], &vectors(1)), None);
    assert_eq!(Meaning::learn(&vec![vec![1.0]; 12], &vec![vec![1.0]; 12]), None);
    assert_eq!(Meaning::new(0.5, 0.5), None);
}

#[test]
fn words_and_meaning_together_make_a_score() {
    let fused = |words, meaning| fused(Weights::default(), words, meaning);
    assert_eq!([fused(0.0, 0.0), fused(1.0, 0.0), fused(0.0, 1.0), fused(2.0, -1.0)], [0.0, 1.0, 1.0, 1.0]);
    assert_eq!(fused(0.3, 0.6), fused(0.6, 0.3));
    assert!(fused(0.1, 0.1) < 0.1 && fused(0.6, 0.7) > 0.95);
    assert!(fused(0.5, 0.5) > fused(0.6, 0.2) && fused(0.6, 0.2) > fused(0.6, 0.0));
}

#[test]
fn weights_say_what_counts() {
    assert_eq!(fused(Weights::WORDS, 0.4, 0.9), fused(Weights::default(), 0.4, 0.0));
    assert_eq!(fused(Weights::MEANING, 0.4, 0.9), fused(Weights::default(), 0.0, 0.9));
    let more_words = Weights::in_proportion(4.0, 1.0);
    assert_eq!(more_words, Weights { words: 1.0, meaning: 0.25 });
    assert!(fused(more_words, 0.6, 0.3) > fused(more_words, 0.3, 0.6));
    assert_eq!(Weights::in_proportion(0.0, 7.0), Weights::MEANING);
    assert_eq!(Weights::in_proportion(0.0, 0.0), Weights::default());
}

#[test]
fn queries_that_agree_raise_a_score() {
    assert_eq!(agreed(&[]), 0.0);
    assert_eq!(agreed(&[0.7]), 0.7);
    assert_eq!(agreed(&[0.7, 0.0, 0.0]), 0.7);
    assert!((agreed(&[0.6, 0.6]) - 0.66).abs() < 1e-12);
    assert!(agreed(&[0.6, 0.2]) < agreed(&[0.2, 0.6, 0.6]) && agreed(&[1.0; 5]) <= 1.0);
}

fn scored(file: i64, chunk: i64, place: Range<usize>, score: f64) -> Scored {
    Scored { file, chunk, place, score }
}

fn chunks(found: &[Scored]) -> Vec<i64> {
    found.iter().map(|scored| scored.chunk).collect()
}

#[test]
fn windows_of_one_passage_are_not_the_whole_result() {
    let found = vec![
        scored(1, 10, 0..800, 0.7),
        scored(1, 11, 400..1200, 0.9),
        scored(1, 12, 800..1600, 0.8),
        scored(1, 13, 1200..2000, 0.6),
        scored(2, 20, 400..1200, 0.5),
        scored(2, 21, 1100..1900, 0.5),
    ];
    assert_eq!(chunks(&best(found.clone(), 4)), [11, 13, 20, 21]);
    assert_eq!(chunks(&best(found.clone(), 5)), [11, 12, 13, 20, 21]);
    assert_eq!(chunks(&best(found.clone(), 9)), [11, 12, 10, 13, 20, 21]);
    assert_eq!(chunks(&best(found.iter().rev().cloned().collect(), 4)), [11, 13, 20, 21]);
    assert_eq!(best(found, 0), []);
}
