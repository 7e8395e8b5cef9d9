//! Answers as models write them, and what is made of them.

use serde_json::{Value, json};

use super::call::Broken;
use super::*;
use crate::upstream::chat::*;

fn function(name: &str, parameters: Value) -> ChatTool {
    let description = Some(format!("Does {name}"));
    ChatTool::Function {
        function: ChatFunction { name: name.to_owned(), description, parameters, strict: None },
    }
}

fn weather() -> ChatTool {
    function(
        "weather",
        json!({"type": "object", "properties": {"city": {"type": "string", "pattern": "x"}}, "required": ["city"]}),
    )
}

fn user(text: &str) -> ChatMessage {
    ChatMessage::User { content: ChatContent::Text(text.to_owned()) }
}

fn request() -> ChatRequest {
    ChatRequest {
        messages: vec![user("Oslo?")],
        tools: vec![weather(), function("now", json!({}))],
        ..ChatRequest::default()
    }
}

/// What an answer amounts to: words, calls and the end, written short.
fn read(parser: Parser, pieces: &[&str], finish: ChatFinish) -> String {
    try_read(parser, pieces, finish).unwrap_or_else(|broken| format!("! {broken}"))
}

fn try_read(mut parser: Parser, pieces: &[&str], finish: ChatFinish) -> Result<String, Broken> {
    let mut deltas = Vec::new();
    for piece in pieces {
        deltas.extend(parser.take(ChatDelta::Text((*piece).to_owned()))?);
    }
    deltas.extend(parser.take(ChatDelta::Finish(finish))?);
    let mut story = String::new();
    let mut calls: Vec<(String, String)> = Vec::new();
    for delta in deltas {
        match delta {
            ChatDelta::Text(text) => story.push_str(&text),
            ChatDelta::ToolCall { index, name, arguments, .. } => {
                if let Some(name) = name {
                    assert_eq!(index, calls.len(), "a call begins at the next index");
                    calls.push((name, String::new()));
                }
                calls[index].1.push_str(&arguments);
            }
            ChatDelta::Finish(finish) => {
                for (name, arguments) in &calls {
                    if finish != ChatFinish::Length {
                        assert!(serde_json::from_str::<Value>(arguments).unwrap().is_object(), "{arguments}");
                    }
                    story.push_str(&format!(" {name}{arguments}"));
                }
                story.push_str(&format!(" {finish:?}"));
            }
            ChatDelta::Refusal(_) | ChatDelta::Usage(_) => {}
        }
    }
    Ok(story)
}

/// Reads the answer whole, cut in two at every place, and character by character.
fn read_all_ways(parser: impl Fn() -> Parser, answer: &str, finish: ChatFinish) -> String {
    let whole = read(parser(), &[answer], finish);
    for (at, _) in answer.char_indices() {
        let (first, second) = answer.split_at(at);
        assert_eq!(read(parser(), &[first, second], finish), whole, "{first} | {second}");
    }
    let characters: Vec<String> = answer.chars().map(String::from).collect();
    let characters: Vec<&str> = characters.iter().map(String::as_str).collect();
    assert_eq!(read(parser(), &characters, finish), whole);
    whole
}

fn parser() -> Parser {
    emulate(request()).parser
}

#[test]
fn answers_are_understood_however_they_are_cut() {
    let cases = [
        // What the protocol asks for.
        (r#"{"reply": "Hi"}"#, "Hi Stop"),
        (r#"{"reply": ""}"#, " Stop"),
        (r#" { "reply" : "서울\n\ud83d\ude00 \"x\" \\ \ud55c" } "#, "서울\n😀 \"x\" \\ 한 Stop"),
        (
            r#"{"calls": [{"name": "weather", "arguments": {"city": "Oslo"}}]}"#,
            r#" weather{"city": "Oslo"} ToolCalls"#,
        ),
        (
            "{\"calls\": [\n  {\"name\": \"weather\", \"arguments\": {\"city\": \"부산\"}},\n  {\"name\": \"now\", \"arguments\": {}}\n]}",
            r#" weather{"city": "부산"} now{} ToolCalls"#,
        ),
        (
            r#"{"calls":[{"name":"weather","arguments":{"city":"}]\"\\","n":[1,-2.5e3,{"a":null}]}}]}"#,
            r#" weather{"city":"}]\"\\","n":[1,-2.5e3,{"a":null}]} ToolCalls"#,
        ),
        (r#"{"calls": [{"name": "now"}]}"#, " now{} ToolCalls"),
        (
            r#"{"reply": "One moment.", "calls": [{"name": "now", "arguments": {}}]}"#,
            "One moment. now{} ToolCalls",
        ),
        // A server that ignores the constraint.
        ("Hello {\"calls\"", "Hello {\"calls\" Stop"),
        ("", " Stop"),
        ("  \n", "  \n Stop"),
        ("한국의 수도는 서울입니다.", "한국의 수도는 서울입니다. Stop"),
        (r#"{"name": "weather", "arguments": {"city": "Oslo"}}"#, r#" weather{"city": "Oslo"} ToolCalls"#),
        (r#"{"arguments": {"city": "Oslo"}, "name": "weather"}"#, r#" weather{"city": "Oslo"} ToolCalls"#),
        (r#"{"name": "weather", "parameters": {"city": "Oslo"}}"#, r#" weather{"city": "Oslo"} ToolCalls"#),
        (r#"{"name": "now"}"#, " now{} ToolCalls"),
        (
            r#"{"id": "1", "type": "function", "name": "weather", "arguments": "{\"city\": \"\\ud55c\"}"}"#,
            r#" weather{"city": "\ud55c"} ToolCalls"#,
        ),
        ("```json\n{\"name\": \"now\", \"arguments\": {}}\n```", " now{} ToolCalls"),
        ("```\n{\"reply\": \"Hi\"}\n```\n", "Hi Stop"),
        ("<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>", " now{} ToolCalls"),
        (
            "<tool_call>{\"name\": \"now\"}</tool_call>\n<tool_call>{\"name\": \"weather\", \"arguments\": {}}</tool_call>",
            " now{} weather{} ToolCalls",
        ),
        (r#"[{"name": "now", "arguments": {}}, {"name": "now", "arguments": {}}]"#, " now{} now{} ToolCalls"),
        ("{\"name\": \"now\", \"arguments\": {}}\nI will look {at} it.", " now{} ToolCalls"),
        ("{\"reply\": \"Hi\"} and {\"more\": 1}", "Hi Stop"),
        // A line break within a string is a mistake that can be mended.
        (
            "{\"name\": \"weather\", \"arguments\": {\"city\": \"a\nb\"}}",
            " weather{\"city\": \"a\\u000ab\"} ToolCalls",
        ),
        // JSON that is no call is the answer itself.
        (r#"{"name": "Ann", "age": 3}"#, r#"{"name": "Ann", "age": 3} Stop"#),
        (r#"{"name": "Ann"}"#, r#"{"name": "Ann"} Stop"#),
        (r#"{"city": "Oslo"}"#, r#"{"city": "Oslo"} Stop"#),
        (r#"{"name": 1}"#, r#"{"name": 1} Stop"#),
        ("[1, 2]", "[1, 2] Stop"),
        ("[]", "[] Stop"),
        ("{}", "{} Stop"),
        ("{\"na", "{\"na Stop"),
        ("```python\nprint({})\n```", "```python\nprint({})\n``` Stop"),
        ("{x", "{x Stop"),
        ("<b>", "<b> Stop"),
        // Broken calls.
        (
            r#"{"calls": [{"name": "nope", "arguments": {}}]}"#,
            "! the model called the function `nope`, which it was not given",
        ),
        (
            r#"{"calls": [{"name": "now", "arguments": [1]}]}"#,
            "! the model's function call has a member of the wrong type",
        ),
        (
            r#"{"calls": [{"name": "now", "arguments": {"a": tru}}]}"#,
            "! the model's function call is not valid JSON: a word that is neither number, true, false nor null",
        ),
        (
            r#"{"calls": [{"name": "now", "arguments": {"#,
            "! the model's function call broke off before its end",
        ),
        (
            r#"{"name": "now", "arguments": "{\"a\": 1"}"#,
            "! the model's function call is not valid JSON: its arguments are cut off",
        ),
        (
            r#"{"name": "now", "arguments": "none"}"#,
            "! the model's function call has arguments that are not an object",
        ),
    ];
    for (answer, story) in cases {
        assert_eq!(read_all_ways(parser, answer, ChatFinish::Stop), story, "{answer}");
    }
}

#[test]
fn an_answer_that_was_cut_off_says_so() {
    let cases = [
        (r#"{"reply": "Hel"#, "Hel Length"),
        (r#"{"reply": "Hel\ud83"#, "Hel Length"),
        (r#"{"calls": [{"name": "weather", "arguments": {"ci"#, r#" weather{"ci Length"#),
        (r#"{"calls": [{"na"#, r#"{"calls": [{"na Length"#),
        ("Hel", "Hel Length"),
    ];
    for (answer, story) in cases {
        assert_eq!(read_all_ways(parser, answer, ChatFinish::Length), story, "{answer}");
    }
}

#[test]
fn words_come_out_as_they_arrive() {
    let mut parser = parser();
    let mut heard = Vec::new();
    for piece in [r#"{"re"#, r#"ply": "On"#, "ce up", r"on\u00", r#"e9"}"#] {
        heard.push(parser.take(ChatDelta::Text(piece.to_owned())).unwrap());
    }
    let text = |text: &str| vec![ChatDelta::Text(text.to_owned())];
    assert_eq!(heard, [vec![], text("On"), text("ce up"), text("on"), text("é")]);
}

#[test]
fn arguments_come_out_as_they_arrive() {
    let mut parser = parser();
    let mut heard = Vec::new();
    for piece in
        [r#"{"calls": [{"name": "weather"#, r#"", "argum"#, r#"ents": {"ci"#, r#"ty": "Oslo"}"#, "}]}"]
    {
        heard.push(parser.take(ChatDelta::Text(piece.to_owned())).unwrap());
    }
    let call = |name: Option<&str>, arguments: &str| ChatDelta::ToolCall {
        index: 0,
        id: None,
        name: name.map(str::to_owned),
        arguments: arguments.to_owned(),
    };
    let begun = vec![call(Some("weather"), "")];
    assert_eq!(
        heard,
        [vec![], begun, vec![call(None, r#"{"ci"#)], vec![call(None, r#"ty": "Oslo"}"#)], vec![]]
    );
}

#[test]
fn doubtful_text_is_not_held_for_ever() {
    let long = format!("{{\"name\": \"{}", "x".repeat(300));
    assert_eq!(read(parser(), &[&long], ChatFinish::Stop), format!("{long} Stop"));
    let blanks = " ".repeat(100_000);
    assert_eq!(read(parser(), &[&blanks], ChatFinish::Stop), format!("{blanks} Stop"));
    let arguments = format!("{{\"arguments\": {{\"a\": \"{}\"}}", "x".repeat(100_000));
    assert_eq!(read(parser(), &[&arguments], ChatFinish::Stop), format!("{arguments} Stop"));
}

#[test]
fn calls_beyond_the_limit_are_not_announced() {
    let one = || emulate(ChatRequest { parallel_tool_calls: Some(false), ..request() }).parser;
    let two = r#"{"calls": [{"name": "weather", "arguments": {"city": "Oslo"}}, {"name": "now", "arguments": {"a": 1}}]}"#;
    assert_eq!(read_all_ways(one, two, ChatFinish::Stop), r#" weather{"city": "Oslo"} ToolCalls"#);
}

#[test]
fn json_words_are_handed_on_as_json() {
    let format = json!({"type": "json_object"});
    let parser = || emulate(ChatRequest { response_format: Some(format.clone()), ..request() }).parser;
    let cases = [
        (r#"{"reply": {"a": ["\u00e9", 1]} }"#, r#"{"a": ["\u00e9", 1]} Stop"#),
        (r#"{"reply": 12}"#, "12 Stop"),
        (r#"{"reply": "text"}"#, "\"text\" Stop"),
        (r#"{"a": 1}"#, r#"{"a": 1} Stop"#),
        (r#"{"calls": [{"name": "now", "arguments": {}}]}"#, " now{} ToolCalls"),
    ];
    for (answer, story) in cases {
        assert_eq!(read_all_ways(parser, answer, ChatFinish::Stop), story, "{answer}");
    }
}

#[test]
fn what_is_not_text_passes() {
    let mut parser = parser();
    let usage = ChatDelta::Usage(ChatUsage { prompt_tokens: 3, ..ChatUsage::default() });
    assert_eq!(parser.take(usage.clone()), Ok(vec![usage]));
    let refusal = ChatDelta::Refusal("No.".to_owned());
    assert_eq!(parser.take(refusal.clone()), Ok(vec![refusal]));
}

fn schema_of(request: ChatRequest) -> Value {
    emulate(request).request.response_format.unwrap()["json_schema"]["schema"].clone()
}

#[test]
fn the_schema_allows_words_and_calls() {
    let expected = json!({"anyOf": [
        {
            "type": "object", "properties": {"reply": {"type": "string"}},
            "required": ["reply"], "additionalProperties": false
        },
        {
            "type": "object",
            "properties": {"calls": {"type": "array", "items": {"anyOf": [
                {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "enum": ["weather"]},
                        "arguments": {
                            "type": "object", "properties": {"city": {"type": "string"}},
                            "required": ["city"], "additionalProperties": false
                        }
                    },
                    "required": ["name", "arguments"], "additionalProperties": false
                },
                {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "enum": ["now"]}, "arguments": {"type": "object"}
                    },
                    "required": ["name", "arguments"], "additionalProperties": false
                }
            ]}, "minItems": 1, "maxItems": MOST_CALLS}},
            "required": ["calls"], "additionalProperties": false
        }
    ]});
    assert_eq!(schema_of(request()), expected);
}

#[test]
fn tool_choice_narrows_the_schema() {
    let choose = |choice| schema_of(ChatRequest { tool_choice: Some(choice), ..request() });
    let required = choose(ChatToolChoice::Required);
    assert_eq!(required["required"], json!(["calls"]));
    assert_eq!(required["properties"]["calls"]["items"]["anyOf"].as_array().unwrap().len(), 2);
    let named = choose(ChatToolChoice::Function("now".to_owned()));
    let calls = &named["properties"]["calls"];
    assert_eq!(calls["items"]["properties"]["name"]["enum"], json!(["now"]));
    assert_eq!(calls["maxItems"], 1);
    let none = emulate(ChatRequest { tool_choice: Some(ChatToolChoice::None), ..request() });
    assert_eq!(none.request.response_format, None);
    assert_eq!(none.request.tools, []);
    assert_eq!(read(none.parser, &[r#"{"name": "now"}"#], ChatFinish::Stop), r#"{"name": "now"} Stop"#);
}

#[test]
fn chance_has_no_part_in_choosing_a_function() {
    let warm = || ChatRequest { temperature: Some(1.0), top_p: Some(0.9), ..request() };
    let told = emulate(warm()).request;
    assert_eq!((told.temperature, told.top_p), (Some(0.0), None));
    let told = emulate(ChatRequest { tools: Vec::new(), ..warm() }).request;
    assert_eq!((told.temperature, told.top_p), (Some(1.0), Some(0.9)));
}

#[test]
fn references_are_moved_with_their_schema() {
    let tree = json!({
        "type": "object",
        "properties": {"node": {"$ref": "#/$defs/node"}},
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}}
    });
    let schema = schema_of(ChatRequest { tools: vec![function("tree", tree)], ..ChatRequest::default() });
    let call = &schema["anyOf"][1]["properties"]["calls"]["items"];
    assert_eq!(call["properties"]["arguments"], json!({"$ref": "#/$defs/arguments0"}));
    let moved = "#/$defs/arguments0/$defs/node";
    assert_eq!(schema["$defs"]["arguments0"]["properties"]["node"]["$ref"], moved);
    assert_eq!(schema["$defs"]["arguments0"]["$defs"]["node"]["properties"]["next"]["$ref"], moved);
}

#[test]
fn the_callers_schema_holds_for_words() {
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "integer"}}});
    let schema = schema_of(ChatRequest { response_format: Some(format), ..request() });
    assert_eq!(schema["anyOf"][0]["properties"]["reply"], json!({"type": "integer"}));
}

fn past() -> Vec<ChatMessage> {
    let call = |id: &str, arguments: &str| ChatToolCall::Function {
        id: id.to_owned(),
        function: ChatFunctionCall { name: "weather".to_owned(), arguments: arguments.to_owned() },
    };
    let result = |id: &str, content: &str| ChatMessage::Tool {
        tool_call_id: id.to_owned(),
        content: content.to_owned(),
    };
    vec![
        ChatMessage::System { content: "Be kind.".to_owned() },
        ChatMessage::Assistant { content: Some("\"Hi\"".to_owned()), tool_calls: vec![] },
        user("Oslo and Rome?"),
        ChatMessage::Assistant {
            content: None,
            tool_calls: vec![call("1", r#"{"city":"Oslo"}"#), call("2", r#"{"city":"Rome"}"#)],
        },
        result("1", "cold"),
        result("2", "warm"),
        result("9", "odd"),
    ]
}

fn transcript(messages: &[ChatMessage]) -> Vec<String> {
    let line = |message: &ChatMessage| match message {
        ChatMessage::System { content } => format!("S {content}"),
        ChatMessage::User { content: ChatContent::Text(text) } => format!("U {text}"),
        ChatMessage::Assistant { content: Some(text), .. } => format!("A {text}"),
        ChatMessage::User { .. } | ChatMessage::Assistant { .. } | ChatMessage::Tool { .. } => {
            format!("{message:?}")
        }
    };
    messages.iter().map(line).collect()
}

const RESULTS: &str = "U Result of weather({\"city\":\"Oslo\"}): cold\n\
                       Result of weather({\"city\":\"Rome\"}): warm\n\
                       Result of an earlier call: odd";

#[test]
fn earlier_turns_are_told_in_the_protocols_terms() {
    let told = emulate(ChatRequest { messages: past(), ..request() }).request;
    let lines = transcript(&told.messages);
    assert!(lines[0].starts_with("S Be kind.\n\nYou are an assistant with functions."), "{}", lines[0]);
    assert!(lines[0].contains("- weather(city: string): Does weather\n- now(): Does now\n"), "{}", lines[0]);
    let calls = "A {\"calls\": [\n  {\"name\": \"weather\", \"arguments\": {\"city\":\"Oslo\"}},\n  \
                 {\"name\": \"weather\", \"arguments\": {\"city\":\"Rome\"}}\n]}";
    assert_eq!(lines[1..], [r#"A {"reply": "\"Hi\""}"#, "U Oslo and Rome?", calls, RESULTS]);
    assert!(told.tools.is_empty() && told.tool_choice.is_none() && told.parallel_tool_calls.is_none());
}

#[test]
fn without_functions_only_results_are_rewritten() {
    let told = emulate(ChatRequest { messages: past(), ..ChatRequest::default() }).request;
    assert_eq!(transcript(&told.messages), ["S Be kind.", "A \"Hi\"", "U Oslo and Rome?", RESULTS]);
}

#[test]
fn worked_examples_come_first_and_only_where_answers_are_words() {
    let call = ChatToolCall::Function {
        id: "call".into(),
        function: ChatFunctionCall { name: "weather".into(), arguments: "{}".into() },
    };
    let demonstrations =
        vec![user("Rome?"), ChatMessage::Assistant { content: None, tool_calls: vec![call] }];
    let asked = |request: ChatRequest| {
        emulate(ChatRequest { demonstrations: demonstrations.clone(), ..request }).request.messages
    };
    let shown = transcript(&asked(request()));
    let others = "Examples with other functions";
    assert!(shown[0].contains(others), "the other function is not shown");
    assert_eq!(shown[1], "U Rome?");
    assert_eq!(shown.len(), 4);
    assert_eq!(shown[3], "U Oslo?");
    let one = transcript(&asked(ChatRequest { tools: vec![weather()], ..request() }));
    assert!(!one[0].contains(others), "{}", one[0]);
    let json = Some(json!({"type": "json_object"}));
    assert_eq!(asked(ChatRequest { response_format: json, ..request() }).len(), 2);
}

#[test]
fn signatures_are_short() {
    let schema = json!({"type": "object", "properties": {
        "unit": {"enum": ["c", "f"]}, "days": {"type": "array", "items": {"type": "integer"}},
        "at": {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]}, "x": {}
    }, "required": ["at"]});
    let told = emulate(ChatRequest { tools: vec![function("f", schema)], ..ChatRequest::default() }).request;
    let signature = r#"- f(unit?: "c"|"f", days?: integer[], at: {lat: number}, x?: any): Does f"#;
    assert!(transcript(&told.messages)[0].contains(signature));
}
