#!/usr/bin/env python3
"""Makes a retrieval set, English and Korean, out of documentation that Debian ships in several languages.

    make_set.py FOLDER [LANGUAGE ...]

Languages are en, ko, ja and zh-cn; en and ko unless others are named.

Fetches the packages by name with apt-get (it needs no root) and writes FOLDER/documents.jsonl, one
{"document", "language", "blocks": [{"kind", "level", "text"}]} a line, and FOLDER/questions.jsonl, one
{"question", "language", "set", "document", "start", "end"}: the answer is the document's characters from start to
end, in its blocks joined by blank lines. What a question is made of is not in the documents:

- faq: the questions of the Debian FAQ; the answers stand in chapters without their questions.
- gnome: the descriptions of GNOME's help pages, which readers see in lists of links; the answer is the page.
- office: entries of LibreOffice's index; the answer is the page they lead to.
"""

import html.parser
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from json import dumps

PACKAGES = {
    "faq": {"en": "debian-faq", "ko": "debian-faq-ko", "ja": "debian-faq-ja", "zh-cn": "debian-faq-zh-cn"},
    "gnome": dict.fromkeys(["en", "ko", "ja", "zh-cn"], "gnome-user-docs"),
    "office": {
        "en": "libreoffice-help-en-us",
        "ko": "libreoffice-help-ko",
        "ja": "libreoffice-help-ja",
        "zh-cn": "libreoffice-help-zh-cn",
    },
}
# A page or an answer with less says too little to be found by.
LEAST_CHARACTERS = 150


def main(folder, languages):
    folder.mkdir(parents=True, exist_ok=True)
    documents, questions = [], []
    for language in languages:
        for name, read in {"faq": read_faq, "gnome": read_gnome, "office": read_office}.items():
            files = unpack(PACKAGES[name][language], folder / "packages")
            found = 0
            for document, asked in read(files, language):
                documents.append(document)
                questions.extend(asked)
                found += len(asked)
            print(f"{language} {name}: {found} questions")
    write(folder / "documents.jsonl", documents)
    write(folder / "questions.jsonl", questions)


def unpack(package, folder):
    folder.mkdir(exist_ok=True)
    target = folder / package
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=folder) as place:
            subprocess.run(["apt-get", "download", "-q", package], cwd=place, check=True)
            (archive,) = pathlib.Path(place).glob("*.deb")
            subprocess.run(["dpkg-deb", "-x", archive, target], check=True)
    return target / "usr/share"


def write(path, rows):
    path.write_text("".join(dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def made(name, language, blocks, asked, source):
    """A document and its questions, each given as (question, first block, block after the last)."""
    starts = [0]
    for block in blocks:
        starts.append(starts[-1] + len(block["text"]) + 2)
    document = f"{name}-{language}-{source}"
    questions = [
        {
            "question": question,
            "language": language,
            "set": name,
            "document": document,
            "start": starts[first],
            "end": starts[last] - 2,
        }
        for question, first, last in asked
        if last > first and starts[last] - starts[first] >= LEAST_CHARACTERS
        # Translations have gaps.
        and is_written_in(language, question)
        and is_written_in(language, said(blocks[first:last]))
    ]
    return {"document": document, "language": language, "blocks": blocks}, questions


def said(blocks):
    return " ".join(block["text"] for block in blocks)


SCRIPTS = {"ko": "[가-힣]", "ja": "[ぁ-んァ-ヶ一-鿿]", "zh-cn": "[一-鿿]"}


def is_written_in(language, text):
    letters = re.findall(r"[^\W\d_]", text)
    return language == "en" or len(re.findall(SCRIPTS[language], text)) * 3 > len(letters)


def line(text):
    return " ".join(text.split())


class Page(html.parser.HTMLParser):
    """Blocks of an HTML page, without its navigation."""

    BLOCKS = {"p", "li", "dt", "dd", "td", "th", "div", "pre", "h1", "h2", "h3", "h4", "h5", "section"}
    SILENT = {"script", "style", "head", "nav", "footer"}
    VOID = {"br", "img", "hr", "meta", "link", "input", "wbr", "source", "col"}

    def __init__(self, silent_classes=()):
        super().__init__()
        self.blocks, self.text, self.open, self.kind, self.silence = [], "", [], ("paragraph", 0), 0
        self.silent_classes = set(silent_classes)

    def handle_starttag(self, tag, attributes):
        if tag in self.VOID:
            self.text += "\n" if tag == "br" and self.kind[0] == "code" else " "
            return
        silent = tag in self.SILENT or self.silent_classes & set((dict(attributes).get("class") or "").split())
        self.open.append((tag, bool(silent)))
        self.silence += bool(silent)
        if tag in self.BLOCKS:
            self.flush()
            if re.fullmatch("h[1-5]", tag):
                self.kind = ("heading", int(tag[1]))
            elif tag == "pre":
                self.kind = ("code", 0)

    def handle_endtag(self, tag):
        if tag not in (name for name, _ in self.open):
            return
        while self.open:
            name, silent = self.open.pop()
            self.silence -= silent
            if name in self.BLOCKS:
                self.flush()
            if name == tag:
                return

    def handle_data(self, data):
        if not self.silence:
            self.text += data

    def flush(self):
        kind, level = self.kind
        text = self.text.strip("\n").rstrip() if kind == "code" else line(self.text)
        if text:
            self.blocks.append({"kind": kind, "level": level, "text": text})
        self.text, self.kind = "", ("paragraph", 0)


def read_html(path, silent_classes=()):
    page = Page(silent_classes)
    page.feed(path.read_text(encoding="utf-8", errors="replace"))
    page.flush()
    return page.blocks


def read_faq(files, language):
    folder, ending = files / "doc/debian/FAQ", f".{language}.html"
    if language != "en":
        folder /= language
    for path in sorted(folder.glob(f"*{ending}")):
        blocks, asked, question = [], [], None
        for block in read_html(path, ["toc", "navheader", "navfooter"]):
            numbered = re.match(r"[0-9]+\.[0-9.]*\s*(.+)", block["text"])
            if block["kind"] == "heading" and numbered:
                if question:
                    asked.append((question[0], question[1], len(blocks)))
                # The chapter's own title stays; the questions go.
                question = (numbered[1], len(blocks)) if re.match(r"[0-9]+\.[0-9]", block["text"]) else None
                if question:
                    continue
            blocks.append(block)
        if question:
            asked.append((question[0], question[1], len(blocks)))
        if path.name.startswith("index") or not blocks:
            continue
        yield made("faq", language, blocks, asked, path.name.removesuffix(ending))


MALLARD = "{http://projectmallard.org/1.0/}"


def read_gnome(files, language):
    folder = files / "help" / {"en": "C", "zh-cn": "zh_CN"}.get(language, language) / "gnome-help"
    for path in sorted(folder.glob("*.page")):
        page = ElementTree.parse(path).getroot()
        description = page.find(f"{MALLARD}info/{MALLARD}desc")
        blocks = list(mallard(page, 1))
        question = "" if description is None else line("".join(description.itertext()))
        titles = {block["text"] for block in blocks if block["kind"] == "heading"}
        asked = [(question, 0, len(blocks))] if len(question) >= 10 and question not in titles else []
        yield made("gnome", language, blocks, asked, path.stem)


def mallard(element, level):
    for child in element:
        name = str(child.tag).removeprefix(MALLARD)
        if name == "title":
            yield {"kind": "heading", "level": level, "text": line("".join(child.itertext()))}
        elif name in ("p", "td"):
            yield {"kind": "paragraph", "level": 0, "text": line("".join(child.itertext()))}
        elif name in ("code", "screen"):
            yield {"kind": "code", "level": 0, "text": "".join(child.itertext()).strip("\n").rstrip()}
        elif name not in ("info", "links"):
            yield from mallard(child, level + (name == "section"))


def read_office(files, language):
    folder = files / "libreoffice/help" / {"en": "en-US", "zh-cn": "zh-CN"}.get(language, language)
    entries = {}
    bookmarks = (folder / "bookmarks.js").read_text(encoding="utf-8")
    for url, text in re.findall(r'url:"[^/]*/([^"?]*)\?[^"]*", app:"[A-Z]*", text:"([^"]*)"', bookmarks):
        entries.setdefault(url, []).append(line(text.replace("--", " ")))
    for part in ["swriter", "scalc"]:
        for path in sorted((folder / "text" / part / "guide").glob("*.html")):
            silent = ["relatedtopics", "DEBUG", "debug", "symbol", "noteicon", "leftside", "header"]
            blocks = [block for block in read_html(path, silent) if block["text"] not in ("Module", "Contents")]
            place = str(path.relative_to(folder))
            # Of a page's entries the middle one: what all pages begin with is seldom about the page.
            found = [entry for entry in dict.fromkeys(entries.get(place, [])) if len(entry) >= 5]
            asked = [(found[len(found) // 2], 0, len(blocks))] if found else []
            yield made("office", language, blocks, asked, f"{part}-{path.stem}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:] or ["en", "ko"])
