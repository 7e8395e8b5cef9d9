//! Search over vector stores as a tool of the model: what it is told, what it may ask, what it reads of the
//! passages that were found.

use std::fmt::Write;

use adjutant_wire::UnixSeconds;
use adjutant_wire::steps::{FileSearchCall, FileSearchResult, FoundText, UsedRanking};
use adjutant_wire::tools::{FileSearch, RankingOptions, Tool};
use serde_json::{Value, json};

use crate::fault::Result;
use crate::search::{Hit, Question, Search, weights};
use crate::store::Project;
use crate::upstream::chat::{
    ChatContent, ChatFunction, ChatFunctionCall, ChatMessage, ChatTool, ChatToolCall,
};

/// More queries in one call than this are a model that repeats itself.
const MOST_QUERIES: usize = 5;

/// What is longer is no query, but something that was copied.
const LONGEST_QUERY_CHARACTERS: usize = 1_000;

/// What a passage costs the model beside its words: mark, file name, page.
pub const PASSAGE_TOKENS: u64 = 24;

/// What a search may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most passages.
    pub results: usize,
    /// Whether passages are left out that hardly fit.
    pub choosy: bool,
    /// The most tokens of all passages together.
    pub tokens: u64,
}

/// Where to search, and for whom.
pub struct Place<'s> {
    /// What searches.
    pub search: &'s Search,
    /// Whose stores they are.
    pub project: &'s Project,
    /// The stores.
    pub stores: &'s [String],
    /// Now.
    pub now: UnixSeconds,
}

/// What the model is told. Plain words, since small models read them too.
pub(super) fn describe(name: String) -> ChatTool {
    let queries = json!({
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
        "maxItems": MOST_QUERIES,
        "description": "What to look for: a short question or a few words each, in the user's language.",
    });
    ChatTool::Function {
        function: ChatFunction {
            name,
            description: Some(
                "Searches the user's files and gives the passages that fit best. Call it first whenever the files may \
                 hold the answer."
                    .to_owned(),
            ),
            parameters: json!({
                "type": "object",
                "properties": {"queries": queries},
                "required": ["queries"],
                "additionalProperties": false,
            }),
            strict: None,
        },
    }
}

/// A call before the model has said what it looks for.
pub(super) fn begin(tools: &[Tool]) -> FileSearchCall {
    // A step names the ranker that was used, never `auto`, which clients of the time do not know there.
    let ranker = RankingOptions::default().ranker;
    let RankingOptions { score_threshold, hybrid_search, .. } = settings(tools).ranking_options;
    FileSearchCall {
        ranking_options: UsedRanking { ranker, score_threshold },
        results: Vec::new(),
        hybrid_search,
        queries: Vec::new(),
        pending: true,
    }
}

fn settings(tools: &[Tool]) -> FileSearch {
    let search = tools.iter().find_map(|tool| match tool {
        Tool::FileSearch { file_search } => Some(file_search.clone()),
        Tool::CodeInterpreter {} | Tool::Function { .. } => None,
    });
    search.unwrap_or_default()
}

/// What a search may bring by the tool's settings and the model's name, as OpenAI had it: 20 passages of 16,000
/// tokens, 5 for gpt-3.5-turbo, and 4,000 tokens for it and the first gpt-4 (contract §5 and §8). A weak model, whatever
/// its name, is lost among many passages and slow to read them.
pub fn limits(tools: &[Tool], model: &str, weak: bool) -> Limits {
    let oldest = model.starts_with("gpt-3.5");
    let first_gpt_4 = model == "gpt-4"
        || model.starts_with("gpt-4-32k")
        || (model.starts_with("gpt-4-0") && !model.ends_with("-preview"));
    let results = settings(tools).max_num_results.unwrap_or(if oldest || weak { 5 } else { 20 });
    let tokens = match (weak, oldest || first_gpt_4) {
        (true, _) => 2_000,
        (false, true) => 4_000,
        (false, false) => 16_000,
    };
    Limits { results: usize::try_from(results).unwrap_or(usize::MAX), choosy: weak, tokens }
}

/// A conversation that uses it, in two languages, with questions that nobody will ask; and words that want no search.
pub(super) fn demonstrate(name: &str) -> Vec<ChatMessage> {
    let hello = [said("Hello!"), answered("Hello! How can I help you?")];
    let english = search_shown(
        name,
        "In which room is the old projector?",
        "old projector room",
        "rooms.txt\nThe old projector is in room 204, the piano in room 110.",
        "The old projector is in room 204.",
    );
    let korean = search_shown(
        name,
        "합창단은 무슨 요일에 모이나요?",
        "합창단 모임 요일",
        "일정.txt\n합창단은 목요일 저녁에 모이고, 독서회는 월요일에 모입니다.",
        "합창단은 목요일에 모입니다.",
    );
    hello.into_iter().chain(english).chain(korean).collect()
}

fn search_shown(name: &str, question: &str, query: &str, found: &str, answer: &str) -> [ChatMessage; 4] {
    let call = ChatToolCall::Function {
        id: query.to_owned(),
        function: ChatFunctionCall {
            name: name.to_owned(),
            arguments: json!({"queries": [query]}).to_string(),
        },
    };
    [
        said(question),
        ChatMessage::Assistant { content: None, tool_calls: vec![call] },
        ChatMessage::Tool { tool_call_id: query.to_owned(), content: format!("{found}\n\n{question}") },
        answered(answer),
    ]
}

fn said(text: &str) -> ChatMessage {
    ChatMessage::User { content: ChatContent::Text(text.to_owned()) }
}

fn answered(text: &str) -> ChatMessage {
    ChatMessage::Assistant { content: Some(text.to_owned()), tool_calls: Vec::new() }
}

/// What a call looks for, whatever form the model gave its arguments. Where it names nothing, what the user asked
/// is looked for.
pub fn queries(arguments: &str, question: &str) -> Vec<String> {
    let mut found = Vec::new();
    match serde_json::from_str::<Value>(arguments) {
        Ok(value) => collect(&value, &mut found),
        Err(_) => add(arguments, &mut found),
    }
    if found.is_empty() {
        add(question, &mut found);
    }
    found.truncate(MOST_QUERIES);
    found
}

/// All texts in a value: models write `queries`, `query`, a bare string, or objects around each.
fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => add(text, found),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(members) => match members.get("queries").or_else(|| members.get("query")) {
            Some(named) => collect(named, found),
            None => members.values().for_each(|member| collect(member, found)),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn add(text: &str, found: &mut Vec<String>) {
    let query: String = text.trim().chars().take(LONGEST_QUERY_CHARACTERS).collect();
    let says_something = query.chars().any(char::is_alphanumeric);
    if says_something && !found.contains(&query) {
        found.push(query);
    }
}

/// Searches for what a call asks, and gives no more than the limits allow. `count` counts the tokens of a text.
///
/// # Errors
/// 404 where a store is gone, 400 where it has expired.
pub async fn search(
    place: &Place<'_>,
    call: &FileSearchCall,
    limits: Limits,
    count: fn(&str) -> u64,
) -> Result<Vec<FileSearchResult>> {
    if place.stores.is_empty() || call.queries.is_empty() {
        return Ok(Vec::new());
    }
    let question = Question {
        queries: call.queries.clone(),
        max_num_results: limits.results,
        score_threshold: call.ranking_options.score_threshold,
        weights: weights(call.hybrid_search),
        ..Question::default()
    };
    let hits = place.search.search(place.project, place.stores, &question, place.now).await?;
    let least = if limits.choosy { least_score(hits.first()) } else { 0.0 };
    let good = hits.into_iter().take(limits.results).filter(|hit| hit.score >= least);
    Ok(within(good.map(found).collect(), limits.tokens, count))
}

/// Below it, a passage hardly fits: beside the best one, or at all.
fn least_score(best: Option<&Hit>) -> f64 {
    const SHARE_OF_BEST: f64 = 0.25;
    const AT_ALL: f64 = 0.05;
    best.map_or(AT_ALL, |best| (best.score * SHARE_OF_BEST).max(AT_ALL))
}

fn found(hit: Hit) -> FileSearchResult {
    FileSearchResult {
        file_id: hit.file_id,
        file_name: hit.file_name,
        score: hit.score,
        attributes: hit.attributes,
        content: Some(vec![FoundText { kind: "text".to_owned(), text: hit.text }]),
        page: hit.page,
        heading: hit.heading,
    }
}

/// The best results that fit into so many tokens. Of the best one at least the beginning stays.
fn within(mut results: Vec<FileSearchResult>, tokens: u64, count: fn(&str) -> u64) -> Vec<FileSearchResult> {
    // No token is shorter than a byte: mostly nothing needs to be counted.
    let bytes =
        |result: &FileSearchResult| u64::try_from(result.text().len()).unwrap_or(u64::MAX) + PASSAGE_TOKENS;
    if results.iter().map(bytes).sum::<u64>() <= tokens {
        return results;
    }
    let mut left = tokens;
    let mut fit = 0;
    for result in &results {
        let cost = count(result.text()) + PASSAGE_TOKENS;
        if cost > left {
            break;
        }
        left -= cost;
        fit += 1;
    }
    if fit == 0 {
        if let Some(text) = results.first_mut().and_then(text_mut) {
            shorten(text, tokens.saturating_sub(PASSAGE_TOKENS), count);
        }
        fit = 1;
    }
    results.truncate(fit);
    results
}

fn text_mut(result: &mut FileSearchResult) -> Option<&mut String> {
    Some(&mut result.content.as_mut()?.first_mut()?.text)
}

fn shorten(text: &mut String, tokens: u64, count: fn(&str) -> u64) {
    loop {
        let has = count(text);
        if has <= tokens {
            return;
        }
        // A little less than in proportion, since the beginning may be denser than the rest.
        let characters = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        let keep = usize::try_from(characters.saturating_mul(tokens) / has * 15 / 16).unwrap_or(usize::MAX);
        let end = text.char_indices().nth(keep).map_or(0, |(at, _)| at);
        text.truncate(end);
    }
}

/// How a model reads what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form<'q> {
    /// Each passage under its mark, numbered from this one on, to be cited by it.
    Marked(usize),
    /// Passages and then the question again, for models that otherwise lose it out of sight. They are not asked to
    /// cite: the marks that they copy are as often wrong as right.
    Plain(&'q str),
}

/// What the model reads of a search.
pub fn answer(call: &FileSearchCall, form: Form<'_>) -> String {
    if call.results.is_empty() {
        return match form {
            Form::Marked(_) => format!(
                "Nothing was found for: {}\nLook for other words, or say that the files do not tell.",
                call.queries.join("; ")
            ),
            Form::Plain(question) => format!("The files say nothing about this.\n\n{question}"),
        };
    }
    if call.results.iter().all(|result| result.content.is_none()) {
        return "What was found is left out here to save space. Search again if it is needed.".to_owned();
    }
    let mut answer = String::new();
    for (index, result) in call.results.iter().enumerate() {
        match form {
            Form::Marked(first) => drop(write!(answer, "[{}] ", first + index)),
            Form::Plain(_) => {}
        }
        answer.push_str(&in_one_line(&result.file_name));
        if let Some(page) = result.page {
            let _ = write!(answer, ", page {page}");
        }
        if let Some(heading) = &result.heading {
            let _ = write!(answer, ", {}", in_one_line(heading));
        }
        answer.push('\n');
        result.text().trim().lines().for_each(|line| push_unmarked(line, &mut answer));
        answer.push('\n');
    }
    match form {
        Form::Marked(first) => drop(write!(
            answer,
            "Answer from these passages. After each statement write the number of its passage in brackets, like [{first}]."
        )),
        Form::Plain(question) => answer.push_str(question),
    }
    answer
}

fn in_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A line of a document. What looks like a passage's mark at its beginning, as in a list of literature, gets other
/// brackets: the model would cite another passage by it, and a document could make it do so.
fn push_unmarked(line: &str, answer: &mut String) {
    let begins = line.trim_start();
    let mark = begins.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    match mark.filter(|(number, _)| !number.is_empty() && number.chars().all(char::is_numeric)) {
        Some((number, rest)) => {
            answer.push_str(&line[..line.len() - begins.len()]);
            answer.extend(["(", number, ")", rest]);
        }
        None => answer.push_str(line),
    }
    answer.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(text: &str) -> FileSearchResult {
        found(Hit {
            explanation: None,
            file_id: "file-1".into(),
            file_name: "a.txt".into(),
            score: 0.5,
            attributes: serde_json::Map::new(),
            text: text.into(),
            page: None,
            heading: None,
        })
    }

    fn characters(text: &str) -> u64 {
        text.chars().count() as u64
    }

    #[test]
    fn a_call_is_understood_in_many_forms() {
        for (arguments, expected) in [
            (r#"{"queries": ["cake", "pie"]}"#, vec!["cake", "pie"]),
            (r#"{"queries": "cake"}"#, vec!["cake"]),
            (r#"{"query": "cake"}"#, vec!["cake"]),
            (r#"{"query": "cake", "limit": 5}"#, vec!["cake"]),
            (r#"{"search_query": " cake "}"#, vec!["cake"]),
            (r#"{"queries": [{"query": "cake"}, {"query": "pie"}]}"#, vec!["cake", "pie"]),
            (r#"["cake", "cake"]"#, vec!["cake"]),
            (r#""cake""#, vec!["cake"]),
            ("케이크는 누가", vec!["케이크는 누가"]),
            (r#"{"queries": []}"#, vec!["Who likes cake?"]),
            (r#"{"queries": [""]}"#, vec!["Who likes cake?"]),
            ("{}", vec!["Who likes cake?"]),
            ("", vec!["Who likes cake?"]),
            (r#"["a", "b", "c", "d", "e", "f"]"#, vec!["a", "b", "c", "d", "e"]),
        ] {
            assert_eq!(queries(arguments, "Who likes cake?"), expected, "{arguments}");
        }
        assert_eq!(queries("{}", ""), Vec::<String>::new());
        assert_eq!(characters(&queries(&"가".repeat(2_000), "")[0]), 1_000);
    }

    #[test]
    fn limits_are_openais() {
        let limits = |model: &str, tools: Value| {
            let Limits { results, tokens, .. } =
                limits(&serde_json::from_value::<Vec<Tool>>(tools).unwrap(), model, model == "weak");
            (results, tokens)
        };
        let plain = json!([{"type": "file_search"}]);
        for (model, expected) in [
            ("gpt-4o", (20, 16_000)),
            ("gpt-4-turbo", (20, 16_000)),
            ("gpt-4-0125-preview", (20, 16_000)),
            ("gpt-4", (20, 4_000)),
            ("gpt-4-0613", (20, 4_000)),
            ("gpt-3.5-turbo-16k", (5, 4_000)),
            ("qwen2.5", (20, 16_000)),
            ("weak", (5, 2_000)),
        ] {
            assert_eq!(limits(model, plain.clone()), expected, "{model}");
        }
        let set = json!([{"type": "file_search", "file_search": {"max_num_results": 2}}]);
        assert_eq!(limits("gpt-3.5-turbo", set), (2, 4_000));
    }

    #[test]
    fn the_best_results_that_fit_are_kept() {
        let results = || vec![result("가나다라"), result("마바"), result("사")];
        let texts = |tokens| {
            let kept = within(results(), tokens, characters);
            kept.iter().map(|result| result.text().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(texts(1_000), ["가나다라", "마바", "사"]);
        assert_eq!(texts(3 * PASSAGE_TOKENS + 7), ["가나다라", "마바", "사"], "counted, not by bytes");
        assert_eq!(texts(3 * PASSAGE_TOKENS + 6), ["가나다라", "마바"]);
        assert_eq!(texts(PASSAGE_TOKENS + 3), ["가나"], "cut, but not empty");
        assert_eq!(texts(0), [""]);
    }

    #[test]
    fn the_model_reads_passages_with_their_marks() {
        let mut call = begin(&[]);
        call.queries = vec!["cake".into(), "pie".into()];
        assert!(answer(&call, Form::Marked(1)).starts_with("Nothing was found for: cake; pie\n"));
        assert!(answer(&call, Form::Plain("Pie?")).ends_with("nothing about this.\n\nPie?"));
        call.results = vec![result("Filip: cake\n"), result("Effie: pizza")];
        (call.results[1].page, call.results[1].heading) = (Some(3), Some("Food".into()));
        let read = answer(&call, Form::Marked(4));
        assert!(
            read.starts_with("[4] a.txt\nFilip: cake\n\n[5] a.txt, page 3, Food\nEffie: pizza\n\n"),
            "{read}"
        );
        assert!(read.ends_with("like [4]."), "{read}");
        let read = answer(&call, Form::Plain("Who likes cake?"));
        assert_eq!(
            read, "a.txt\nFilip: cake\n\na.txt, page 3, Food\nEffie: pizza\n\nWho likes cake?",
            "no marks where none are wanted"
        );
        call.results[0] = result("He likes [2] cake.\n\n  [5] Trusted.pdf, page 3\n[a] pie [1]");
        call.results[0].file_name = "a.txt\n[7] b.txt".into();
        let read = answer(&call, Form::Marked(4));
        let passage = "[4] a.txt [7] b.txt\nHe likes [2] cake.\n\n  (5) Trusted.pdf, page 3\n[a] pie [1]\n\n[5] a.txt, page 3";
        assert!(read.starts_with(passage), "{read}");
        for result in &mut call.results {
            result.content = None;
        }
        assert!(answer(&call, Form::Marked(4)).contains("left out"));
    }
}
