//! Korean words: a noun or a verb's stem with particles and endings attached.

use super::List;

/// Adds the pairs of syllables of a run of Hangul.
pub(super) fn words(run: &str, list: &mut List) {
    list.push_runs(run, 2);
}
