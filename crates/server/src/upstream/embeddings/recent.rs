//! Vectors of what was asked lately: people ask the same again, and page through results.

use std::collections::VecDeque;

/// A few hundred kilobytes to a few megabytes, as the model's vectors are long.
const MOST: usize = 256;
/// Longer texts are seldom asked twice.
const LONGEST_BYTES: usize = 4096;

#[derive(Default)]
pub(super) struct Recent {
    /// The one that was asked longest ago first.
    asked: VecDeque<Asked>,
}

struct Asked {
    model: String,
    query: String,
    vector: Vec<f32>,
}

impl Recent {
    pub(super) fn vector(&mut self, model: &str, query: &str) -> Option<Vec<f32>> {
        let at = self.asked.iter().position(|asked| asked.query == query && asked.model == model)?;
        let asked = self.asked.remove(at)?;
        let vector = asked.vector.clone();
        self.asked.push_back(asked);
        Some(vector)
    }

    pub(super) fn add(&mut self, model: &str, query: &str, vector: &[f32]) {
        if query.len() > LONGEST_BYTES {
            return;
        }
        if self.asked.len() == MOST {
            self.asked.pop_front();
        }
        let (model, query) = (model.to_owned(), query.to_owned());
        self.asked.push_back(Asked { model, query, vector: vector.to_vec() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_longest_ago_is_forgotten_first() {
        let mut recent = Recent::default();
        for number in 0..MOST {
            recent.add("m", &number.to_string(), &[1.0]);
        }
        assert!(recent.vector("m", "0").is_some());
        recent.add("m", "new", &[0.0]);
        assert_eq!(recent.vector("m", "1"), None);
        assert!(recent.vector("m", "0").is_some() && recent.vector("m", "new").is_some());
        assert_eq!(recent.asked.len(), MOST);
    }

    #[test]
    fn models_are_told_apart() {
        let mut recent = Recent::default();
        recent.add("m", "q", &[1.0]);
        assert_eq!(recent.vector("other", "q"), None);
        assert_eq!(recent.vector("m", "q"), Some(vec![1.0]));
    }
}
