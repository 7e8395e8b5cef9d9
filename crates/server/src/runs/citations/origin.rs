//! Where a sentence was taken from, told by its words. A citation that is missing is better than one that is wrong:
//!
//! - What the question said is no evidence, since a model that found nothing says it again.
//! - Every number has to stand there, for a sentence with another number says something else.
//! - Of what else it says, most has to stand in one sentence of a passage, or in two that follow one another.

use std::collections::{HashMap, HashSet};

use adjutant_retrieval::words::words;

use super::quote;

/// So much of what a sentence says has to stand in its origin; words to join it make up the rest.
const SHARE: f64 = 0.5;

/// Shorter words of scripts with blanks between them join others.
const SHORTEST: usize = 4;

/// What sentences may have been taken from.
#[derive(Debug, Default)]
pub(super) struct Origins {
    sentences: Vec<Origin>,
    pairs: Vec<Origin>,
    /// How many sentences have a word.
    having: HashMap<String, usize>,
    /// The words of the question.
    asked: HashSet<String>,
}

/// A part of a passage.
#[derive(Debug)]
pub(super) struct Origin {
    /// Which of the sources has it.
    pub(super) source: usize,
    /// The part.
    pub(super) text: String,
    words: HashSet<String>,
}

impl Origins {
    /// The parts of these sources' texts, for answers to a question.
    pub(super) fn new<'t>(texts: impl Iterator<Item = &'t str>, question: &str) -> Self {
        let mut origins = Self { asked: set(question), ..Self::default() };
        for (source, text) in texts.enumerate() {
            let places = quote::sentences(text);
            let part = |start: usize, end: usize| {
                let text = text.get(start..end).unwrap_or_default();
                Origin { source, text: quote::shortened(text).to_owned(), words: set(text) }
            };
            origins.sentences.extend(places.iter().map(|one| part(one.start, one.end)));
            origins.pairs.extend(places.array_windows().map(|[one, next]| part(one.start, next.end)));
        }
        for word in origins.sentences.iter().flat_map(|origin| &origin.words) {
            *origins.having.entry(word.clone()).or_default() += 1;
        }
        origins
    }

    /// What a sentence was taken from, the first of equals.
    pub(super) fn of(&self, sentence: &str) -> Option<&Origin> {
        // The number of a list's item says nothing.
        if !sentence.chars().any(char::is_alphabetic) {
            return None;
        }
        let said = set(sentence);
        self.best(&self.sentences, &said).or_else(|| self.best(&self.pairs, &said))
    }

    fn best<'o>(&self, among: &'o [Origin], said: &HashSet<String>) -> Option<&'o Origin> {
        let new: Vec<&String> = said.difference(&self.asked).filter(|word| tells(word)).collect();
        let numbers: Vec<&String> = new.iter().copied().filter(|word| is_number(word)).collect();
        let enough = SHARE * self.weight(new.iter().copied());
        let mut best = (None, 0.0);
        for origin in among {
            let has = |word: &&String| origin.words.contains(*word);
            let evidence = self.weight(new.iter().copied().filter(has));
            // A number alone stands in many places.
            let context: Vec<&String> =
                said.union(&self.asked).filter(|word| tells(word)).filter(has).collect();
            let is_told = context.iter().any(|word| !is_number(word));
            if evidence == 0.0 || evidence < enough || !is_told || !numbers.iter().all(has) {
                continue;
            }
            let score = self.weight(context.into_iter());
            if score > best.1 {
                best = (Some(origin), score);
            }
        }
        best.0
    }

    /// What words tell together: each the more, the fewer sentences have it.
    fn weight<'w>(&self, words: impl Iterator<Item = &'w String>) -> f64 {
        let all = number(self.sentences.len());
        words.map(|word| (all / number(self.having.get(word).copied().unwrap_or(1))).ln_1p()).sum()
    }
}

fn set(text: &str) -> HashSet<String> {
    words(text).into_iter().collect()
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

fn is_number(word: &str) -> bool {
    word.contains(|c: char| c.is_ascii_digit())
}

fn tells(word: &str) -> bool {
    !word.is_ascii() || is_number(word) || word.len() >= SHORTEST
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSAGES: [&str; 3] = [
        "Every employee has 25 days of paid vacation a year. The office in Oslo opens at 8:30. It has a bicycle cellar.",
        "대표이사는 김민서이며 직원은 142명입니다. 2009년에 대전에서 설립되었습니다.",
        "The maximum pressure is 6.5 bar. Clean the filter every 200 hours. Use only Corvus 7 grease for the bearings.",
    ];

    fn traced(question: &str, sentence: &str) -> Option<(usize, String)> {
        let origins = Origins::new(PASSAGES.into_iter(), question);
        origins.of(sentence).map(|origin| (origin.source, origin.text.clone()))
    }

    #[test]
    fn what_says_the_same_is_found() {
        for (question, sentence, source, text) in [
            (
                "How much vacation do I get?",
                "You get 25 days",
                0,
                "Every employee has 25 days of paid vacation a year.",
            ),
            ("대표이사가 누구인가요?", "김민서입니다", 1, "대표이사는 김민서이며 직원은 142명입니다."),
            (
                "회사는 언제 생겼나요?",
                "회사는 2009년에 설립되었습니다",
                1,
                "2009년에 대전에서 설립되었습니다.",
            ),
            (
                "Which grease is right?",
                "You should use Corvus 7",
                2,
                "Use only Corvus 7 grease for the bearings.",
            ),
            (
                "What about the pump?",
                "It has 6.5 bar, and its filter is cleaned every 200 hours",
                2,
                "The maximum pressure is 6.5 bar. Clean the filter every 200 hours.",
            ),
        ] {
            assert_eq!(traced(question, sentence), Some((source, text.to_owned())), "{sentence}");
        }
    }

    #[test]
    fn what_does_not_is_not() {
        for (question, sentence) in [
            ("What is the maximum pressure?", "The maximum pressure is 9 bar"),
            ("What is the maximum pressure?", "I do not know the maximum pressure"),
            ("Which grease is for the bearings?", "Use Molykote grease for the bearings"),
            ("How many employees are there?", "There are 142 of them"),
            ("직원은 몇 명인가요?", "직원은 150명입니다"),
            ("Who founded it?", "Hello! How can I help you"),
            ("What now?", "25"),
            ("What now?", ""),
        ] {
            assert_eq!(traced(question, sentence), None, "{sentence}");
        }
    }
}
