//! Each format on a real file; fixtures/make.py says how they were made.

use adjutant_documents::{BlockKind, Limits, Unreadable, read};

/// A block as its kind, its page, and its text.
type Seen = (char, Option<u32>, String);

fn blocks(name: &str, bytes: &[u8]) -> Vec<Seen> {
    let document =
        read(name, bytes, &Limits::default()).unwrap_or_else(|error| unreachable!("{name}: {error:?}"));
    let kind = |kind| match kind {
        BlockKind::Heading(level) => char::from(b'0' + level),
        BlockKind::Paragraph => 'p',
        BlockKind::Code => 'c',
        BlockKind::Table => 't',
    };
    document.blocks.into_iter().map(|block| (kind(block.kind), block.page, block.text)).collect()
}

#[track_caller]
fn assert_blocks(name: &str, bytes: &[u8], expected: &[(char, Option<u32>, &str)]) {
    let expected: Vec<Seen> =
        expected.iter().map(|(kind, page, text)| (*kind, *page, (*text).to_owned())).collect();
    assert_eq!(blocks(name, bytes), expected, "{name}");
}

const RETURNS: &[(char, Option<u32>, &str)] = &[
    ('1', None, "1. 환불 기간"),
    ('p', None, "구매일로부터 7일 이내에는 영수증이 있으면 환불할 수 있습니다."),
    ('p', None, "Goods may be returned within seven days of purchase."),
    ('2', None, "2. 예외"),
    ('p', None, "- 속옷\n- Food and drink"),
    ('t', None, "품목 | Part | Price\n모니터 | AX-700 | 300\n키보드 | KB-12 | 40"),
];

#[test]
fn word() {
    assert_blocks("returns.docx", include_bytes!("fixtures/returns.docx"), RETURNS);
    assert_blocks("returns.doc", include_bytes!("fixtures/returns.doc"), RETURNS);
}

#[test]
fn rich_text() {
    let bullets = ["•\t속옷", "•\tFood and drink"].map(|text| ('p', None, text));
    let expected = [&RETURNS[..4], &bullets, &RETURNS[5..]].concat();
    assert_blocks("returns.rtf", include_bytes!("fixtures/returns.rtf"), &expected);
}

#[test]
fn a_book() {
    // LibreOffice writes headings and lists of a book as paragraphs.
    let texts: Vec<String> = blocks("returns.epub", include_bytes!("fixtures/returns.epub"))
        .into_iter()
        .map(|block| block.2)
        .collect();
    let expected: Vec<&str> = RETURNS.iter().flat_map(|block| block.2.split("\n- ")).collect();
    let expected: Vec<&str> = expected.iter().map(|text| text.trim_start_matches("- ")).collect();
    assert_eq!(texts, expected);
}

#[test]
fn slides_have_pages_and_notes() {
    assert_blocks(
        "results.pptx",
        include_bytes!("fixtures/results.pptx"),
        &[
            ('1', Some(1), "분기 실적"),
            ('p', Some(1), "매출 12% 증가"),
            ('p', Some(1), "환율 영향을 설명한다."),
            ('1', Some(2), "Plan"),
            ('t', Some(2), "월 | 목표\n1월 | 100"),
        ],
    );
}

#[test]
fn rows_of_sheets_name_their_columns() {
    let expected = [
        ('1', None, "재고"),
        (
            't',
            None,
            "2026년 재고 현황\n품목: 모니터 | Part number: AX-700 | 가격: 300 | 입고일: 2026-03-01\n\
             품목: 키보드 | Part number: KB-12 | 가격: 40.5 | 입고일: 2026-03-02 14:30",
        ),
        ('1', None, "Staff"),
        ('t', None, "Name: 김민지 | City: Seoul"),
    ];
    assert_blocks("stock.xlsx", include_bytes!("fixtures/stock.xlsx"), &expected);
    assert_blocks("stock.xls", include_bytes!("fixtures/stock.xls"), &expected);
}

const KOREAN: &str = "구매일로부터 7일 이내에는 영수증이 있으면 전액을 환불받을 수 있습니다. 다만 소비자의 책임 있는 사유로 재화가 \
                      멸실되거나 훼손된 경우에는 환불이 제한될 수 있으며, 이 경우 회사는 그 사실을 지체 없이 통지하여야 합니다.";

const ENGLISH: &str = "Goods may be returned within seven days of purchase, provided that the receipt is presented. The \
                       international administration of extraordinary reimbursements follows the well-known \
                       state-of-the-art procedures described in appendix B, which characteristically necessitates \
                       authorization.";

#[test]
fn pages_of_a_pdf_without_their_headers() {
    // A line ends after 책임, and nothing says that a word does.
    let korean = KOREAN.replace("책임 있는", "책임있는");
    let bullets = "• 포장을 개봉한 경우\n• Software and downloads";
    let headings = ["제1조 Article 1", "제2조 Article 2", "제3조 Article 3"];
    let expected: Vec<_> = (1..)
        .zip(headings)
        .flat_map(|(page, heading)| {
            let page = Some(page);
            [('1', page, heading), ('p', page, &*korean), ('p', page, ENGLISH), ('p', page, bullets)]
        })
        .collect();
    assert_blocks("policy.pdf", include_bytes!("fixtures/policy.pdf"), &expected);
}

#[test]
fn columns_of_a_pdf_are_read_one_after_the_other() {
    let paragraphs: Vec<String> =
        (0..4).map(|n| format!("[{n}] {}", if n % 2 == 0 { ENGLISH } else { KOREAN })).collect();
    let mut expected = vec![('1', Some(1), "Two columns 두 단")];
    expected.extend(paragraphs.iter().map(|text| ('p', Some(1), text.as_str())));
    assert_blocks("columns.pdf", include_bytes!("fixtures/columns.pdf"), &expected);
}

#[test]
fn fonts_that_do_not_say_which_letters_they_show() {
    assert_blocks(
        "cid.pdf",
        include_bytes!("fixtures/cid.pdf"),
        &[
            ('p', Some(1), "한국어 문서: 환불은 7일 이내에 가능합니다."),
            ('p', Some(2), "日本語の文書：返品は七日以内です。"),
            ('p', Some(3), "中文文件：七天内可以退款。"),
        ],
    );
}

#[test]
fn headings_and_tables_of_a_pdf() {
    assert_blocks(
        "report.pdf",
        include_bytes!("fixtures/report.pdf"),
        &[
            ('1', Some(1), "Annual report"),
            ('p', Some(1), ENGLISH),
            ('2', Some(1), "Results"),
            ('p', Some(1), ENGLISH),
            ('t', Some(1), "Year | Sales | Costs\n2025 | 1,200 | 900\n2026 | 1,344 | 873"),
        ],
    );
}

#[test]
fn what_a_file_is_its_bytes_say() {
    let docx = include_bytes!("fixtures/returns.docx");
    for name in ["returns.pdf", "returns", "returns.txt", "returns.png"] {
        assert_blocks(name, docx, RETURNS);
    }
    assert_blocks("letter.docx", b"Only words.", &[('p', None, "Only words.")]);
}

#[test]
fn what_is_not_read_is_refused_in_words() {
    let refusal = |name: &str, bytes: &[u8]| read(name, bytes, &Limits::default());
    let docx = include_bytes!("fixtures/returns.docx");
    let cut = refusal("returns.docx", &docx[..docx.len() / 2]);
    assert!(
        matches!(&cut, Err(Unreadable::Invalid(reason)) if reason.starts_with("The file is damaged")),
        "{cut:?}"
    );
    let empty = Unreadable::Invalid("The file could not be parsed because it is empty.".to_owned());
    assert_eq!(refusal("a.pdf", b""), Err(empty));
    assert_eq!(refusal("a.mp3", b"ID3\x04\0\0\0\0\0\0"), Err(Unreadable::Unsupported));
    assert_eq!(refusal("a.pkl", b"\x80\x04\x95\0\0\0\0\0\0\0\0\x8c\x02hi"), Err(Unreadable::Unsupported));
}
