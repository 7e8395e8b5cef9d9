use super::*;

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(joined(text), expected, "{text}");
    assert_eq!(words(text).join(" "), expected);
}

#[test]
fn plain_words_lose_case_accents_and_plurals() {
    check("The QUICK brown foxes, jumped!", "the quick brown foxe jumped");
    check("Queries of bodies; class, status, glasses", "query of body class status glasse");
    check("It's Bob's dog, don't", "its bob dog dont");
    check("Crème brûlée à l'école STRASSE straße Łódź", "creme brulee a l ecole strasse strasse lodz");
    check("Ελλάς ΕΛΛΆΣ ёлка", "ελλασ ελλασ елка");
    check("ﬁle ＡＢＣ １２３ e\u{301}", "file abc 123 e");
    check("", "");
    check(" … — ", "");
}

#[test]
fn identifiers_are_found_whole_and_by_their_parts() {
    check("AB-1234", "ab1234 ab 1234");
    check("foo_bar fooBar HTTPServer", "foobar foo bar foobar foo bar httpserver http server");
    check("v1.2.3", "v1p2p3 v1 2 3");
    check("ERR_CONN_RESET", "errconnreset err conn reset");
    check("010-1234-5678", "01012345678 010 1234 5678");
    check("1,234,567.5 and 3.14", "1234567p5 1234567 5 and 3p14 3 14");
    check("/etc/apt/sources.list", "etc apt sourceslist source list");
    check("user@example.com", "user examplecom example com");
    check("C++ and C#, not C", "cplusplus c and csharp c not c");
    check("std::fs::read_to_string", "std fs readtostring read to string");
    check("utf8 UTF-8 mp3", "utf8 utf 8 utf8 utf 8 mp3");
    check("aGVsbG8gd29ybGQ", "agvsbg8gd29ybgq");
    check("end.Next", "endnext end next");
}

#[test]
fn korean_words_lose_their_endings() {
    check("서울은 서울의 서울에서", "서울 서울 서울");
    check("데이터베이스를 설치하려면", "데이 이터 터베 베이 이스 설치");
    check("집을 집이 집", "집 집을 집 집이 집");
    check("입니다 은", "입니 니다 은");
    check("\u{1109}\u{1165}\u{110b}\u{116e}\u{11af}", "서울");
    check("iPhone15용 2024년도", "iphone15 iphone 15 용 2024 년 년도");
}

#[test]
fn a_word_has_at_most_so_many_characters() {
    let long = "x".repeat(5000);
    check(&long, &long[..LONGEST]);
}

#[test]
fn chinese_and_japanese_give_pairs() {
    check("北京是首都。", "北京 京是 是首 首都");
    check("猫", "猫");
    check("データ", "デー ータ");
    check("ﾃﾞｰﾀ", "デー ータ");
}

/// What SQLite's `ascii` tokenizer takes for a part of a word, once we are below it in case.
fn is_kept(character: char) -> bool {
    match character {
        'a'..='z' | '0'..='9' => true,
        '\0'..='\u{7f}' => false,
        _ => Script::of(character).is_some(),
    }
}

#[test]
fn words_come_back_from_a_list_of_them() {
    let every: Vec<char> = ('\0'..=char::MAX).collect();
    // Each character between letters, between digits, in a row with its neighbours, and alone.
    let texts = every.chunks(64).flat_map(|some| {
        let joined = |left: &str, right: &str| -> String {
            some.iter()
                .flat_map(|character| format!("{left}{character}{right} ").chars().collect::<Vec<_>>())
                .collect()
        };
        [joined("a", "B"), joined("1", "234"), joined("한", "글"), joined("", ""), some.iter().collect()]
    });
    for text in texts {
        let list = joined(&text);
        let split: Vec<&str> = list.split(|character| !is_kept(character)).collect();
        assert_eq!(split, list.split(' ').collect::<Vec<_>>());
        assert!(list.is_empty() || split.iter().all(|word| (1..=LONGEST).contains(&word.chars().count())));
        assert_eq!(words(&text).join(" "), list);
    }
}
