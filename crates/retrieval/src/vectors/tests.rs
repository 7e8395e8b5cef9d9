use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

fn normal(random: &mut StdRng) -> f32 {
    (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0
}

/// Vectors as models give them: a direction that all share, a topic that some share, and their own.
fn modelled(random: &mut StdRng, count: usize, dimensions: usize) -> Vec<Vec<f32>> {
    let mut direction =
        |scale: f32| -> Vec<f32> { (0..dimensions).map(|_| normal(random) * scale).collect() };
    let shared = direction(2.0);
    let topics: Vec<Vec<f32>> = (0..20).map(|_| direction(0.7)).collect();
    (0..count)
        .map(|index| {
            let own = direction(0.5);
            let topic = &topics[index % topics.len()];
            (0..dimensions).map(|d| shared[d] + topic[d] + own[d]).collect()
        })
        .collect()
}

fn index(vectors: &[Vec<f32>], per_file: usize) -> Index {
    let mut index = Index::new(vectors[0].len());
    for (file, part) in vectors.chunks(per_file).enumerate() {
        let rows: Vec<(i64, &[f32])> = part
            .iter()
            .enumerate()
            .map(|(row, vector)| ((file * per_file + row) as i64, &vector[..]))
            .collect();
        index.add(file as u32, Vectors::new(vectors[0].len(), &rows).unwrap()).unwrap();
    }
    index
}

fn cosine(left: &[f32], right: &[f32]) -> f64 {
    let dot = |left: &[f32], right: &[f32]| -> f64 {
        left.iter().zip(right).map(|(l, r)| f64::from(*l) * f64::from(*r)).sum()
    };
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

#[test]
fn what_is_found_is_what_exact_search_finds() {
    let mut random = StdRng::seed_from_u64(3);
    for (count, dimensions) in [(3000, 384), (1000, 1536), (500, 4096), (400, 7)] {
        let vectors = modelled(&mut random, count, dimensions);
        let index = index(&vectors, 17);
        let (mut found, mut wanted) = (0, 0);
        for round in 0..20 {
            let query = &modelled(&mut random, 1, dimensions)[0];
            // Near some of the vectors, as questions are.
            let query: Vec<f32> = query.iter().zip(&vectors[round]).map(|(q, v)| q + 2.0 * v).collect();
            let mut exact: Vec<(f64, i64)> =
                vectors.iter().enumerate().map(|(id, vector)| (cosine(&query, vector), id as i64)).collect();
            exact.sort_by(|left, right| right.0.total_cmp(&left.0));
            let nearest = index.nearest(&query, 10, |_| true).unwrap();
            let best: BTreeSet<i64> = exact[..10].iter().map(|(_, id)| *id).collect();
            found += nearest.iter().filter(|hit| best.contains(&hit.chunk)).count();
            wanted += 10;
            for hit in &nearest {
                let (score, _) = exact.iter().find(|(_, id)| *id == hit.chunk).unwrap();
                assert!((score - f64::from(hit.score)).abs() < 1e-3, "{score} {}", hit.score);
            }
        }
        assert!(found * 100 >= wanted * 99, "{found} of {wanted} at {dimensions}");
    }
}

#[test]
fn only_allowed_files_are_found_and_removed_ones_never() {
    let mut random = StdRng::seed_from_u64(5);
    let vectors = modelled(&mut random, 60, 64);
    let mut index = index(&vectors, 10);
    let files = |hits: Vec<Hit>| hits.iter().map(|hit| hit.file).collect::<BTreeSet<u32>>();
    let query = &vectors[25];
    assert_eq!(index.nearest(query, 1, |_| true).unwrap()[0].chunk, 25);
    let some = index.nearest(query, 100, |file| file % 2 == 1).unwrap();
    assert_eq!(some.len(), 30);
    assert_eq!(files(some), BTreeSet::from([1, 3, 5]));
    assert!(index.remove(2) && !index.remove(2));
    assert_eq!(index.len(), 50);
    assert_eq!(files(index.nearest(query, 100, |_| true).unwrap()), BTreeSet::from([0, 1, 3, 4, 5]));
    assert_eq!(index.nearest(query, 3, |_| false).unwrap(), []);
    assert_eq!(index.nearest(query, 0, |_| true).unwrap(), []);
}

#[test]
fn known_chunks_are_scored_alike() {
    let mut random = StdRng::seed_from_u64(6);
    let vectors = modelled(&mut random, 30, 33);
    let index = index(&vectors, 10);
    let hits = index.nearest(&vectors[3], 30, |_| true).unwrap();
    let asked: Vec<(u32, i64)> =
        hits.iter().map(|hit| (hit.file, hit.chunk)).chain([(9, 1), (0, 25)]).collect();
    let scores = index.scores(&vectors[3], &asked).unwrap();
    assert_eq!(&scores[..30], hits.iter().map(|hit| Some(hit.score)).collect::<Vec<_>>());
    assert_eq!(scores[30..], [None, None]);
}

#[test]
fn vectors_come_back_from_bytes_and_damaged_ones_do_not() {
    let mut random = StdRng::seed_from_u64(8);
    for dimensions in [1, 7, 384] {
        let vectors = modelled(&mut random, 5, dimensions);
        let rows: Vec<(i64, &[f32])> = vectors.iter().map(|vector| (random.random(), &vector[..])).collect();
        let stored = Vectors::new(dimensions, &rows).unwrap();
        let bytes = stored.to_bytes();
        assert_eq!(Vectors::from_bytes(&bytes), Ok(stored));
        for length in 0..bytes.len() {
            assert_eq!(Vectors::from_bytes(&bytes[..length]), Err(Unusable::Damaged));
        }
        let huge = [&bytes[..4], &[0xff; 8]].concat();
        assert_eq!(Vectors::from_bytes(&huge), Err(Unusable::Damaged));
    }
    let none = Vectors::new(384, &[]).unwrap();
    assert_eq!(Vectors::from_bytes(&none.to_bytes()), Ok(none));
}

#[test]
fn unusable_vectors_are_refused() {
    let wrong = Unusable::Dimensions { expected: 3, found: 2 };
    assert_eq!(Vectors::new(3, &[(1, &[1.0, 2.0])]), Err(wrong));
    assert_eq!(Vectors::new(1, &[(1, &[f32::NAN])]), Err(Unusable::NotFinite));
    let mut index = Index::new(3);
    assert_eq!(
        index.add(1, Vectors::new(2, &[]).unwrap()),
        Err(Unusable::Dimensions { expected: 3, found: 2 })
    );
    index.add(1, Vectors::new(3, &[(1, &[0.0; 3]), (2, &[0.0, 0.0, 1e-30])]).unwrap()).unwrap();
    assert_eq!(index.nearest(&[1.0, 2.0], 1, |_| true), Err(wrong));
    assert_eq!(index.scores(&[1.0, 2.0, f32::INFINITY], &[]), Err(Unusable::NotFinite));
    let hits = index.nearest(&[0.0, 0.0, 3.0], 9, |_| true).unwrap();
    assert_eq!(
        hits.iter().map(|hit| (hit.chunk, hit.score.round())).collect::<Vec<_>>(),
        [(2, 1.0), (1, 0.0)]
    );
}
