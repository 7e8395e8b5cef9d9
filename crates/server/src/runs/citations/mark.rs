//! Marks as models write them. Understood are, with one or several numbers:
//!
//! `[1]` `[1, 2]` `[^1]` `[source 1]` `(source 1)` `(출처 1)` `【1】` `［１］` `【4:0†name】` `[1†name]`
//!
//! Not a mark: `[1](https://…)`, which is a link, and `[1]: …` at the beginning of a line, which defines one.

/// A bracket and its other half.
const BRACKETS: &[(char, char)] =
    &[('[', ']'), ('【', '】'), ('［', '］'), ('〔', '〕'), ('(', ')'), ('（', '）')];

/// What models put before a number, in small letters.
const WORDS: &[&str] = &[
    "source",
    "sources",
    "result",
    "results",
    "passage",
    "passages",
    "reference",
    "references",
    "ref",
    "citation",
    "document",
    "doc",
    "출처",
    "결과",
    "참고",
    "참조",
    "문서",
    "근거",
    "出典",
    "参考",
    "来源",
    "出处",
    "資料",
    "资料",
];

/// No run finds so much that marks would be longer; years are.
const MOST_DIGITS: usize = 3;

/// The longest name of a file behind `†`.
const LONGEST_LABEL: usize = 256;

/// What a mark names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cited {
    /// A passage by its mark.
    Number(usize),
    /// A passage in OpenAI's way: by turn and place.
    Place {
        /// The turn that found it.
        turn: usize,
        /// Which of the turn's results.
        place: usize,
    },
}

/// What stands at the beginning of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// No mark.
    Text,
    /// What comes next will tell.
    Unsure,
    /// A mark.
    Mark {
        /// How long it is.
        bytes: usize,
        /// What it names, in order.
        cited: Vec<Cited>,
        /// Whether it can be nothing else, for it has OpenAI's form.
        labelled: bool,
    },
}

/// Why there is no mark, or not yet.
enum Not {
    Mark,
    Yet,
}

/// Looks whether a text begins with a mark. `over` says that nothing comes after the text.
pub(super) fn look(text: &str, at_line_start: bool, over: bool) -> Look {
    match read(text, at_line_start, over) {
        Ok(mark) => mark,
        Err(Not::Yet) if !over => Look::Unsure,
        Err(Not::Mark | Not::Yet) => Look::Text,
    }
}

fn read(text: &str, at_line_start: bool, over: bool) -> Result<Look, Not> {
    let mut rest = Rest(text);
    let opening = rest.next()?;
    let Some((_, closing)) = BRACKETS.iter().find(|(bracket, _)| *bracket == opening) else {
        return Err(Not::Mark);
    };
    rest.skip_blanks();
    if opening == '[' && rest.peek()? == '^' {
        rest.next()?;
    }
    let named = rest.word()?;
    if matches!(opening, '(' | '（') && !named {
        return Err(Not::Mark);
    }
    let mut cited = Vec::new();
    let labelled = loop {
        cited.push(rest.cited()?);
        rest.skip_blanks();
        match rest.next()? {
            ',' | '，' | '、' | ';' | '；' => {
                rest.skip_blanks();
                rest.word()?;
            }
            '†' => {
                rest.skip_label(*closing)?;
                break true;
            }
            c if c == *closing => break false,
            _ => return Err(Not::Mark),
        }
    };
    if opening == '[' && !labelled {
        match rest.0.chars().next() {
            Some('(') => return Err(Not::Mark),
            Some(':') if at_line_start => return Err(Not::Mark),
            None if !over => return Err(Not::Yet),
            Some(_) | None => {}
        }
    }
    Ok(Look::Mark { bytes: text.len() - rest.0.len(), cited, labelled })
}

/// What is left of a text.
struct Rest<'t>(&'t str);

impl Rest<'_> {
    fn peek(&self) -> Result<char, Not> {
        self.0.chars().next().ok_or(Not::Yet)
    }

    fn next(&mut self) -> Result<char, Not> {
        let mut rest = self.0.chars();
        let next = rest.next().ok_or(Not::Yet)?;
        self.0 = rest.as_str();
        Ok(next)
    }

    fn skip_blanks(&mut self) {
        self.0 = self.0.strip_prefix(' ').unwrap_or(self.0);
    }

    /// Whether a word such as `source` stands here; goes past it and what follows it.
    fn word(&mut self) -> Result<bool, Not> {
        let end = self.0.find(|c: char| !c.is_alphabetic());
        let word = self.0.get(..end.unwrap_or(self.0.len())).unwrap_or_default().to_lowercase();
        if end.is_none() {
            let may_become_one = WORDS.iter().any(|known| known.starts_with(&word));
            return Err(if may_become_one { Not::Yet } else { Not::Mark });
        }
        if word.is_empty() {
            return Ok(false);
        }
        if !WORDS.contains(&word.as_str()) {
            return Err(Not::Mark);
        }
        self.0 = self.0.get(end.unwrap_or_default()..).unwrap_or_default();
        self.skip_blanks();
        self.0 = self.0.strip_prefix([':', '：', '#', '.']).unwrap_or(self.0);
        self.skip_blanks();
        Ok(true)
    }

    fn cited(&mut self) -> Result<Cited, Not> {
        self.0 = self.0.strip_prefix('#').unwrap_or(self.0);
        let first = self.number()?;
        if !matches!(self.peek()?, ':' | '：') {
            return Ok(Cited::Number(first));
        }
        self.next()?;
        Ok(Cited::Place { turn: first, place: self.number()? })
    }

    fn number(&mut self) -> Result<usize, Not> {
        let mut number = None;
        for _ in 0..=MOST_DIGITS {
            let Some(digit) = digit(self.peek()?) else { return number.ok_or(Not::Mark) };
            self.next()?;
            number = Some(number.unwrap_or_default() * 10 + digit);
        }
        Err(Not::Mark)
    }

    fn skip_label(&mut self, closing: char) -> Result<(), Not> {
        for _ in 0..=LONGEST_LABEL {
            match self.next()? {
                '\n' => return Err(Not::Mark),
                c if c == closing => return Ok(()),
                _ => {}
            }
        }
        Err(Not::Mark)
    }
}

/// ASCII or full-width.
fn digit(c: char) -> Option<usize> {
    let narrow = match c {
        '０'..='９' => char::from_u32(u32::from(c) - u32::from('０') + u32::from('0'))?,
        _ => c,
    };
    usize::try_from(narrow.to_digit(10)?).ok()
}
