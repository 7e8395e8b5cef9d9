use adjutant_wire::messages::{Annotation, Text};
use adjutant_wire::steps::Step;
use serde_json::json;

use super::{Piece, Reader, Sources, without_markers};

/// A run that has searched twice: its first turn found two passages in one call and one in another, its second
/// turn, after a function's, found one.
fn steps() -> Vec<Step> {
    let result = |name: &str, text: &str| json!({"file_id": format!("file-{name}"), "file_name": name, "score": 0.5, "content": [{"type": "text", "text": text}]});
    let search = |id: &str, results: serde_json::Value| {
        json!({"id": id, "type": "file_search", "file_search": {
            "ranking_options": {"ranker": "auto", "score_threshold": 0.0}, "results": results
        }})
    };
    let function = json!({"id": "call_f", "type": "function", "function": {"name": "f", "arguments": "{}", "output": ""}});
    let turns = [
        json!([
            search("call_1", json!([result("foods.txt", "Filip: cake"), result("음식.txt", "필립: 케이크")])),
            function,
            search("call_2", json!([result("b.txt", "Effie: pizza")])),
        ]),
        json!([function]),
        json!([search("call_3", json!([result("c】\n.txt", "Nothing")]))]),
    ];
    let step = |calls: serde_json::Value| {
        serde_json::from_value(json!({
            "id": "step_1", "object": "thread.run.step", "created_at": 0, "run_id": "run_1", "assistant_id": "asst_1",
            "thread_id": "thread_1", "type": "tool_calls", "status": "completed", "cancelled_at": null,
            "completed_at": 0, "expires_at": null, "failed_at": null, "last_error": null, "usage": null,
            "step_details": {"type": "tool_calls", "tool_calls": calls}
        }))
        .unwrap()
    };
    turns.into_iter().map(step).collect()
}

fn sources() -> Sources {
    Sources::of(&steps())
}

fn read(pieces: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<Piece> {
    let mut reader = Reader::of_marks(sources());
    let mut all: Vec<Piece> = pieces.into_iter().flat_map(|piece| reader.read(piece.as_ref())).collect();
    all.extend(reader.finish());
    all
}

fn joined(pieces: Vec<Piece>) -> Text {
    let value = pieces.iter().map(|piece| piece.text.as_str()).collect();
    Text { value, annotations: pieces.into_iter().filter_map(|piece| piece.annotation).collect() }
}

fn written(text: &str) -> String {
    joined(read([text])).value
}

fn place(annotation: &Annotation) -> (&str, usize, usize, &str) {
    match annotation {
        Annotation::FileCitation { text, start_index, end_index, file_citation } => {
            (text, *start_index, *end_index, &file_citation.file_id)
        }
        Annotation::FilePath { .. } => unreachable!("only files that were searched are cited"),
    }
}

#[test]
fn a_mark_becomes_a_marker_as_recorded() {
    let text = joined(read(["Filip's favorite food is cake[1]."]));
    assert_eq!(text.value, "Filip's favorite food is cake【4:0†foods.txt】.");
    let value = serde_json::to_value(&text.annotations).unwrap();
    assert_eq!(
        value,
        json!([{"type": "file_citation", "text": "【4:0†foods.txt】", "start_index": 29, "end_index": 44,
            "file_citation": {"file_id": "file-foods.txt", "quote": "Filip: cake"}}])
    );
}

#[test]
fn passages_are_numbered_through_a_run() {
    let sources = sources();
    let marks: Vec<&str> = sources.all.iter().map(|source| source.marker.as_str()).collect();
    assert_eq!(marks, ["【4:0†foods.txt】", "【4:1†음식.txt】", "【4:2†b.txt】", "【8:0†c  .txt】"]);
    let calls = ["call_1", "call_2", "call_3"].map(|id| {
        let id = adjutant_wire::id::Id::parse(id).unwrap();
        sources.first_mark(&id)
    });
    assert_eq!(calls, [1, 3, 4]);
}

#[test]
fn marks_are_understood_in_many_forms() {
    let first = "【4:0†foods.txt】";
    for mark in [
        "[1]",
        "[ 1 ]",
        "[^1]",
        "[#1]",
        "[source 1]",
        "[Source: 1]",
        "[출처 1]",
        "[출처1]",
        "(source 1)",
        "(Source: 1)",
        "(출처 1)",
        "（出典1）",
        "【1】",
        "［１］",
        "〔1〕",
        "【4:0†source】",
        "【4:0†foods.txt】",
        "[4:0†source]",
        "【1†source】",
        "[1†a[0].txt]",
        "[Result 1]",
        "[1, 1]",
        "[4:0]",
        "[doc. 1]",
    ] {
        let mark = mark.replace("a[0]", "a");
        assert_eq!(written(&format!("Cake {mark}.")), format!("Cake {first}."), "{mark}");
        assert_eq!(written(&mark), first, "{mark} alone");
    }
    let both = "【4:0†foods.txt】【4:2†b.txt】";
    for mark in [
        "[1, 3]",
        "[1,3]",
        "[1][3]",
        "[1;3]",
        "[출처 1, 출처 3]",
        "(sources 1, 3)",
        "【1、3】",
        "[1, 4:2]",
        "[^1][^3]",
    ] {
        assert_eq!(written(&format!("Both {mark}")), format!("Both {both}"), "{mark}");
    }
}

#[test]
fn what_is_no_mark_stays_as_it_is() {
    for text in [
        "[0], [5], [1, 9], [12:30], [2024], [1-3]",
        "[1](https://example.com) and ![1](image.png)",
        "see [the text][1] and [one][2]",
        "[1]: https://example.com\n[^2]: A note.",
        "A line\n[1]: https://example.com",
        "`a[1]` and ``b`[1]`` and\n```py\na[1] = b[2]\n```\n",
        "~ a `b[1]",
        "````\n```\na[1]\n```\n````",
        "\\[1\\] and [x] and [ ] and [] and (1) and (a 1) and (results: 1 of 2)",
        "[[ ( 【 [source",
        "【1",
        "[1",
        "[1, ",
        "【개요】 (출처 없음)",
        "a [source of 1]",
        "[\n1]",
    ] {
        assert_eq!(written(text), text);
    }
    let marked = "【4:0†foods.txt】";
    for (text, expected) in [
        ("`b` [1]", format!("`b` {marked}")),
        ("`b\n[1]", format!("`b\n{marked}")),
        ("```\nx\n```\n[1]", format!("```\nx\n```\n{marked}")),
        ("```x``` [1]", format!("```x``` {marked}")),
        ("As [1]: cake", format!("As {marked}: cake")),
        ("[1] (foods.txt)", format!("{marked} (foods.txt)")),
        ("[[1]]", format!("[{marked}]")),
    ] {
        assert_eq!(written(text), expected);
    }
}

#[test]
fn invented_markers_are_taken_away() {
    for marker in ["【9:9†source】", "【0†source】", "[7†a.txt]", "【5†source】"] {
        let text = joined(read([format!("Cake{marker}.")]));
        assert_eq!((text.value.as_str(), text.annotations.len()), ("Cake.", 0), "{marker}");
    }
    assert_eq!(written("【9:9, 1†source】"), "【4:0†foods.txt】");
}

#[test]
fn a_run_that_found_nothing_is_left_alone() {
    let mut reader = Reader::of_marks(Sources::default());
    let text = "a [1] 【4:0†source】 [";
    let pieces = reader.read(text);
    assert_eq!(pieces, [Piece { text: text.into(), annotation: None }], "at once");
    assert_eq!(reader.finish(), []);
}

const TEXTS: &[&str] = &[
    "Filip likes cake [1], Effie pizza[3].",
    "필립은 👩‍👩‍👧 케이크를 좋아합니다 [2]. 에피는 피자를 🍕[3]【1】 좋아합니다(출처 1)!",
    "`a[1]` is code; [1](link) is not; 【4:0†source】 is; 【9:9†invented】 was",
    "```\nx[1]\n```\n[1]: no\n[^1] yes [source 2] and (sources 1, 3) [1",
    "[1][2][3][4][5] ((((source 1)))) 【【1】】 \\[1] ]]] [[1]] \r\n[1]",
    "",
];

/// However the model's words arrive, the message is the same, its annotations stand where they say, and each
/// comes with its own marker.
#[test]
fn the_way_a_text_is_cut_changes_nothing() {
    for text in TEXTS {
        let whole = joined(read([text]));
        let characters: Vec<char> = whole.value.chars().collect();
        let mut last_end = 0;
        for annotation in &whole.annotations {
            let (marker, start, end, _) = place(annotation);
            let there: String = characters[start..end].iter().collect();
            assert_eq!(there, marker, "in {}", whole.value);
            assert!(last_end <= start);
            last_end = end;
        }
        let cuts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        for first in &cuts {
            for second in cuts.iter().filter(|second| *second >= first) {
                let pieces = read([&text[..*first], &text[*first..*second], &text[*second..]]);
                assert!(pieces.iter().all(carries_its_own), "{text}");
                assert_eq!(joined(pieces), whole, "cut at {first} and {second}: {text}");
            }
        }
        assert_eq!(joined(read(text.chars().map(String::from))), whole, "letter by letter: {text}");
    }
}

fn carries_its_own(piece: &Piece) -> bool {
    piece.annotation.as_ref().is_none_or(|annotation| place(annotation).0 == piece.text)
}

/// What is held back is no longer than what may be a mark.
#[test]
fn words_are_not_held_back() {
    let mut reader = Reader::of_marks(sources());
    for (text, given) in
        [("Cake", "Cake"), (" is [", " is "), ("s", ""), ("o on", "[so on"), (" (sou", " "), ("p)", "(soup)")]
    {
        let pieces = reader.read(text);
        assert_eq!(joined(pieces).value, given, "after {text}");
    }
    assert_eq!(joined(reader.finish()).value, "");
}

#[test]
fn a_new_text_counts_from_its_beginning() {
    let mut reader = Reader::of_marks(sources());
    reader.read("Some words and [1");
    assert_eq!(joined(reader.finish()).value, "[1");
    reader.read("`code ");
    assert_eq!(joined(reader.finish()).value, "");
    let text = joined(reader.read("[1]."));
    assert_eq!(place(&text.annotations[0]).1, 0);
}

#[test]
fn the_model_does_not_see_markers_of_earlier_answers() {
    for (text, expected) in
        [("필립 👋🏽 [1][2], 에피 [3].", "필립 👋🏽 , 에피 ."), ("Plain [9].", "Plain [9]."), ("[1]", "")]
    {
        assert_eq!(without_markers(&joined(read([text]))), expected);
    }
}

fn handbook() -> Sources {
    let result = |name: &str, text: &str| json!({"file_id": name, "file_name": name, "score": 0.5, "content": [{"type": "text", "text": text}]});
    let results = json!([
        result(
            "work.txt",
            "Every employee has 25 days of paid vacation a year. The office in Oslo opens at 8:30."
        ),
        result("소개.txt", "대표이사는 김민서이며 직원은 142명입니다. 2009년에 대전에서 설립되었습니다."),
        result("pump.txt", "The maximum pressure is 6.5 bar. Clean the filter every 200 hours."),
    ]);
    let mut step = steps().remove(1);
    step.step_details = serde_json::from_value(json!({"type": "tool_calls", "tool_calls": [
        {"id": "call_1", "type": "file_search", "file_search": {
            "ranking_options": {"ranker": "auto", "score_threshold": 0.0}, "results": results
        }}
    ]}))
    .unwrap();
    Sources::of(&[step])
}

fn traced(pieces: impl IntoIterator<Item = impl AsRef<str>>) -> Text {
    let mut reader = Reader::of_sentences(handbook(), "How much vacation do employees have?");
    let mut all: Vec<Piece> = pieces.into_iter().flat_map(|piece| reader.read(piece.as_ref())).collect();
    all.extend(reader.finish());
    joined(all)
}

#[test]
fn sentences_are_traced_to_their_passages() {
    let (work, about, pump) = ("【4:0†work.txt】", "【4:1†소개.txt】", "【4:2†pump.txt】");
    for (text, expected) in [
        ("Employees have 25 days of vacation.", format!("Employees have 25 days of vacation{work}.")),
        ("대표이사는 김민서입니다.", format!("대표이사는 김민서입니다{about}.")),
        ("직원은 142명입니다", format!("직원은 142명입니다{about}")),
        (
            "It opens at 8:30! The pressure is 6.5 bar.\n회사는 2009년에 설립되었습니다.",
            format!(
                "It opens at 8:30{work}! The pressure is 6.5 bar{pump}.\n회사는 2009년에 설립되었습니다{about}."
            ),
        ),
        ("김민서입니다。 200 hours。", format!("김민서입니다{about}。 200 hours{pump}。")),
    ] {
        assert_eq!(traced([text]).value, expected);
    }
    for text in [
        "Hello! How can I help you?",
        "I do not know.",
        "1. 2. a",
        "",
        "...",
        "`25 days of paid vacation a year`",
    ] {
        assert_eq!(traced([text]).value, text);
    }
    let made_up = traced(["Oslo opens at 8:30【9:9†source】, as 【4:2†pump.txt】 says."]);
    assert_eq!(
        made_up.value,
        format!("Oslo opens at 8:30, as  says{work}."),
        "what the model makes up is nothing"
    );
    let Annotation::FileCitation { file_citation, .. } = &made_up.annotations[0] else { unreachable!() };
    assert_eq!(file_citation.quote.as_deref(), Some("The office in Oslo opens at 8:30."));
}

#[test]
fn the_way_a_traced_text_is_cut_changes_nothing() {
    let text = "Employees have 25 days. 대표이사는 김민서입니다! 6.5 bar is the pressure 👋🏽, e.g. here... Oslo opens at 8:30";
    let whole = traced([text]);
    assert_eq!(whole.annotations.len(), 4, "{}", whole.value);
    let characters: Vec<char> = whole.value.chars().collect();
    for annotation in &whole.annotations {
        let (marker, start, end, _) = place(annotation);
        assert_eq!(characters[start..end].iter().collect::<String>(), marker);
    }
    for (at, _) in text.char_indices() {
        assert_eq!(traced([&text[..at], &text[at..]]), whole, "cut at {at}");
    }
    assert_eq!(traced(text.chars().map(String::from)), whole);
}
