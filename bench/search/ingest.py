#!/usr/bin/env python3
"""How long a PDF of 100 pages takes until it is found by its words, and by its meaning; and the engine alone.

    ingest.py BINARY FOLDER

FOLDER has a set that `make_set.py` made, of whose texts the PDF is written: every other page is Korean. The engine that
embeds is timed by itself, on as many threads as the server gives it, with each of the PDF's passages once. All is done
three times, one after the other, and the medians are reported.
"""

import itertools
import json
import logging
import pathlib
import statistics
import sys
import time

from fpdf import FPDF
from make_set import unpack
from server import BUILT_IN, Engine, running

PAGES = 100
# About 500 tokens of o200k a page.
LETTERS = {"en": 2_300, "ko": 950}
# The default of [embeddings] threads.
THREADS = 2
# Each passage of the default strategy is made of these, and each of these is embedded once.
PIECES = {"max_chunk_size_tokens": 400, "chunk_overlap_tokens": 0}


def main(binary, folder):
    font = unpack("fonts-nanum", folder / "packages") / "fonts/truetype/nanum/NanumGothic.ttf"
    config = f"{BUILT_IN}[embeddings]\nthreads = {THREADS}\n"
    with running(binary, folder / "server", config) as (client, _):
        rounds = [measure(client, folder, font, number) for number in range(3)]
    words, meaning, alone, passages, tokens = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"PDF of {PAGES} pages, {passages:.0f} passages, {tokens:.0f} tokens of the embedding model")
    print(f"  found by words after     {words:6.1f} s   {PAGES / words:6.0f} pages/s")
    print(f"  found by meaning after   {meaning:6.1f} s   {passages / meaning:6.1f} passages/s")
    print(f"  the engine alone         {alone:6.1f} s   {meaning / alone:6.2f} times that")


def measure(client, folder, font, number):
    last = f"zebra{number}mark"
    file = client.upload(f"handbook-{number}.pdf", pdf(pages(folder, number), last, font))
    store = client.new_store()
    client.wake_engine()
    began = time.monotonic()
    client.attach(store, [file])
    while not client.search(store, last, meaning=0):
        time.sleep(0.02)
    words = time.monotonic() - began
    state = client.wait(store)
    meaning = time.monotonic() - began
    if state["file_counts"]["completed"] != 1:
        sys.exit(f"the PDF was not taken in: {state['file_counts']}")
    passages = len(client.passages(store, file))
    cut = client.new_store()
    client.attach(cut, [file], PIECES)
    client.wait(cut)
    engine = Engine(folder / "server/data", THREADS)
    _, tokens, alone = engine.embed(client.passages(cut, file), "passage")
    engine.stop()
    return words, meaning, alone, passages, tokens


def pages(folder, number):
    """Texts of the set, English and Korean in turns, others each time: what is known is not embedded again."""
    texts = {"en": [], "ko": []}
    with (folder / "documents.jsonl").open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if row["language"] in texts:
                texts[row["language"]] += [block["text"] for block in row["blocks"] if block["kind"] == "paragraph"]
    for page in range(PAGES):
        language = ("en", "ko")[page % 2]
        some = "\n\n".join(dict.fromkeys(texts[language]))
        start = (page // 2 + number * PAGES // 2) * LETTERS[language] % max(1, len(some) - LETTERS[language])
        yield some[start : start + LETTERS[language]]


def pdf(texts, last, font):
    # It names every table of a font that a PDF has no use for.
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    document = FPDF(format="A4")
    document.add_font("nanum", fname=font)
    document.set_font("nanum", size=10)
    for text, end in itertools.zip_longest(texts, [""] * (PAGES - 1) + [last]):
        document.add_page()
        document.multi_cell(0, 5, f"{text}\n\n{end}")
    return bytes(document.output())


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
