"""A Korean pdf and an English docx, as an office would have them."""

from __future__ import annotations

import io
from typing import Any

# The heading and the paragraphs of each section.
Sections = list[tuple[str, list[str]]]

KOREAN: Sections = [
    (
        "취업 규칙",
        ["이 규칙은 한빛연구소의 모든 직원에게 적용한다. 2026년 3월 1일부터 시행한다."],
    ),
    (
        "제1조 근무 시간",
        [
            "근무 시간은 오전 9시 30분부터 오후 6시 30분까지로 한다. 점심 시간은 한 시간이다.",
            "재택 근무는 일주일에 이틀까지 할 수 있으며, 하루 전까지 팀장에게 알려야 한다.",
        ],
    ),
    (
        "제2조 휴가",
        [
            "직원은 1년에 23일의 유급 휴가를 받는다. 쓰지 않은 휴가는 다음 해에 쓸 수 없다.",
            "아이가 태어난 직원은 40일의 육아 휴가를 받는다.",
        ],
    ),
    (
        "제3조 출장",
        ["국내 출장의 숙박비는 하룻밤에 12만 원까지 지급한다. 영수증은 2주 안에 낸다."],
    ),
]
ENGLISH: Sections = [
    ("Tidewater P-40 pump", ["This manual is for the people who look after the pump."]),
    (
        "Technical data",
        [
            "The pump weighs 48 kg. Its maximum pressure is 6.5 bar.",
            "The motor runs on 400 volts and must be connected by an electrician.",
        ],
    ),
    (
        "Maintenance",
        [
            "Clean the filter every 200 hours of operation. Replace the seal once a year.",
            "Use only Corvus 7 grease for the bearings. Other greases make them fail early.",
        ],
    ),
    ("Warranty", ["The warranty lasts four years. It does not cover seals and filters."]),
]


def pdf(sections: Sections) -> bytes:
    """A section a page, in a Korean font that is not in the file."""
    # Not installed beside old SDKs.
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate

    font = "HYSMyeongJo-Medium"
    pdfmetrics.registerFont(UnicodeCIDFont(font))
    heading = ParagraphStyle("heading", fontName=font, fontSize=16, leading=24)
    body = ParagraphStyle("body", fontName=font, fontSize=11, leading=17, wordWrap="CJK")
    flow: list[Any] = []
    for title, paragraphs in sections:
        flow += [Paragraph(title, heading), *(Paragraph(text, body) for text in paragraphs)]
        flow.append(PageBreak())
    file = io.BytesIO()
    SimpleDocTemplate(file, invariant=1).build(flow)
    return file.getvalue()


def docx(sections: Sections) -> bytes:
    from docx import Document

    document = Document()
    for title, paragraphs in sections:
        document.add_heading(title, 1)
        for text in paragraphs:
            document.add_paragraph(text)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()
