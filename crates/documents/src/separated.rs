//! Rows of values with commas, tabs or semicolons between them.

use csv::{ReaderBuilder, StringRecord};

use crate::Unreadable;
use crate::draft::Draft;
use crate::table::{Form, Table};

/// Reads rows. The delimiter is the one expected by the file's name, unless another one is more frequent.
pub(crate) fn read(text: &str, expected: u8, draft: &mut Draft) -> Result<(), Unreadable> {
    let mut rows = ReaderBuilder::new()
        .delimiter(delimiter(text, expected))
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut table = Table::new(Form::Records, None);
    let mut row = StringRecord::new();
    while rows.read_record(&mut row).map_err(|error| Unreadable::invalid(error.to_string()))? {
        table.row(row.iter().map(str::to_owned).collect(), draft)?;
    }
    table.end(draft)
}

/// What divides the first line. Excel writes semicolons where commas stand in numbers.
fn delimiter(text: &str, expected: u8) -> u8 {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |delimiter: u8| first.bytes().filter(|byte| *byte == delimiter).count();
    let other = [b',', b'\t', b';'].into_iter().max_by_key(|delimiter| count(*delimiter));
    if count(expected) > 0 { expected } else { other.filter(|other| count(*other) > 0).unwrap_or(expected) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn lines(text: &str) -> String {
        let mut draft = Draft::new(&Limits::default());
        read(text, b',', &mut draft).expect("the rows are read");
        draft.finish().blocks.into_iter().map(|block| block.text).collect()
    }

    #[test]
    fn values_may_hold_delimiters_quotes_and_lines() {
        let text = "이름,메모\r\n\"김, 민지\",\"한 \"\"줄\"\"\n두 줄\"\r\n";
        assert_eq!(lines(text), "이름: 김, 민지 | 메모: 한 \"줄\" 두 줄");
    }

    #[test]
    fn semicolons_and_tabs_are_found() {
        assert_eq!(lines("name;price\nA;1,5\nB;2,5\n"), "name: A | price: 1,5\nname: B | price: 2,5");
        assert_eq!(lines("name\tprice\nA\t1\n"), "name: A | price: 1");
    }

    #[test]
    fn rows_may_be_longer_or_shorter_than_the_first() {
        assert_eq!(lines("a,b\n1\n1,2,3\n"), "a: 1\na: 1 | b: 2 | 3");
    }
}
