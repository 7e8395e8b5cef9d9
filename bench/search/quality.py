#!/usr/bin/env python3
"""How well questions find their answers: in a store of ours, and in peers that get the same passages and vectors.

    quality.py BINARY FOLDER

FOLDER has a set that `make_set.py` made. Every language has a store of its own, filled through the API with the
built-in embedding model. An answer is found by a passage that has half of it, or is half answer. recall@5 is the part
of the questions whose answer is among the first five passages; nDCG@10 counts the first such passage alone.

The peers are installed from their packages: LanceDB (its full text, its vectors, both by reciprocal ranks) and bm25s
(words alone). Words of Korean, Japanese and Chinese are pairs and triples of letters in LanceDB, as its guide advises;
English is stemmed.
"""

import collections
import html
import itertools
import json
import math
import pathlib
import shutil
import sys
import time

import bm25s
import lancedb
from lancedb.index import FTS
from lancedb.rerankers import RRFReranker
from server import BUILT_IN, Engine, running

MODES = {"keyword": {"meaning": 0}, "vector": {"words": 0}, "hybrid": {}}


def main(binary, folder):
    documents = collections.defaultdict(list)
    for row in rows(folder / "documents.jsonl"):
        documents[row["language"]].append(row)
    questions = collections.defaultdict(list)
    for row in rows(folder / "questions.jsonl"):
        questions[row["language"]].append(row)
    print(f"{'':10} {'':34} {'recall@5':>9} {'nDCG@10':>8}", flush=True)
    with running(binary, folder / "server", BUILT_IN) as (client, _):
        client.wake_engine()
        for language in documents:
            measure(client, folder, language, documents[language], questions[language])


def measure(client, folder, language, documents, questions):
    store = client.new_store()
    files = {}
    for document in documents:
        name = f"{document['document'].replace('/', '-')}.html"
        files[client.upload(name, as_html(document["blocks"]))] = document["document"]
    began = time.monotonic()
    client.attach(store, list(files))
    state = client.wait(store)
    seconds = time.monotonic() - began
    if state["file_counts"]["failed"]:
        sys.exit(f"{state['file_counts']['failed']} files could not be read")
    passages = [
        (files[file], passage) for file in files for passage in client.passages(store, file)
    ]
    judge = Judge(documents)
    places = {passage: judge.place(*passage) for passage in passages}
    lost = sum(place is None for place in places.values())
    print(
        f"{language}: {len(documents)} documents, {len(passages)} passages ({lost} not found again), "
        f"{len(questions)} questions; taken in by {len(passages) / seconds:.1f} passages/s",
        flush=True,
    )

    def ours(question, options):
        hits = client.search(store, question["question"], **options)
        return [(files[hit["file_id"]], hit["content"][0]["text"]) for hit in hits]

    for mode, options in MODES.items():
        found = [judge.rank(question, ours(question, options)) for question in questions]
        report(mode, "Adjutant", found)
    for name, modes in peers(folder, language, passages, questions).items():
        for mode, found in modes.items():
            report(mode, name, [judge.rank(*asked) for asked in zip(questions, found, strict=True)])


def as_html(blocks):
    tags = {"code": "pre", "paragraph": "p"}
    body = ""
    for block in blocks:
        tag = f"h{block['level']}" if block["kind"] == "heading" else tags[block["kind"]]
        body += f"<{tag}>{html.escape(block['text'])}</{tag}>\n"
    return f"<!doctype html><meta charset=utf-8><body>\n{body}</body>\n".encode()


class Judge:
    """Finds passages in their documents again, by their letters alone: each has its own way with white space."""

    def __init__(self, documents):
        self.texts, self.letters_before = {}, {}
        for document in documents:
            text = "\n\n".join(block["text"] for block in document["blocks"])
            counts = itertools.accumulate((not letter.isspace() for letter in text), initial=0)
            self.letters_before[document["document"]] = list(counts)
            self.texts[document["document"]] = letters(text)

    def place(self, document, passage):
        start = self.texts[document].find(letters(passage))
        return None if start < 0 else (start, start + len(letters(passage)))

    def rank(self, question, found):
        return next((rank for rank, hit in enumerate(found) if self.answers(question, *hit)), None)

    def answers(self, question, document, passage):
        place = self.place(document, passage)
        if document != question["document"] or place is None:
            return False
        before = self.letters_before[document]
        start, end = before[question["start"]], before[question["end"]]
        shared = min(place[1], end) - max(place[0], start)
        return shared * 2 >= min(end - start, place[1] - place[0])


def letters(text):
    return "".join(text.split())


def peers(folder, language, passages, questions):
    """What each peer finds for each question, as passages."""
    texts = [passage for _, passage in passages]
    asked = [question["question"] for question in questions]
    engine = Engine(folder / "server/data", 2)
    vectors, _, _ = engine.embed(texts, "passage")
    queries, _, _ = engine.embed(asked, "query")
    engine.stop()
    return {
        "LanceDB, same passages and vectors": lance(folder, language, passages, vectors, asked, queries),
        "bm25s, same passages": {"keyword": bm25(passages, texts, asked)},
    }


def lance(folder, language, passages, vectors, asked, queries):
    place = folder / "lancedb"
    shutil.rmtree(place, ignore_errors=True)
    data = [
        {"number": number, "text": passage, "vector": vector}
        for number, ((_, passage), vector) in enumerate(zip(passages, vectors, strict=True))
    ]
    table = lancedb.connect(place).create_table("passages", data=data)
    grams = {"base_tokenizer": "ngram", "ngram_min_length": 2, "ngram_max_length": 3}
    plain = {"stem": False, "remove_stop_words": False}
    table.create_index("text", config=FTS(**({} if language == "en" else grams | plain)))

    def found(query):
        return [passages[row["number"]] for row in query.limit(10).to_list()]

    def both(text, vector):
        return table.search(query_type="hybrid").vector(vector).text(text).rerank(RRFReranker())

    # Signs would be operators of its query language.
    words = ["".join(sign if sign.isalnum() else " " for sign in text) for text in asked]
    return {
        "keyword": [found(table.search(text, query_type="fts")) for text in words],
        "vector": [found(table.search(vector).distance_type("cosine")) for vector in queries],
        "hybrid": [found(both(*query)) for query in zip(words, queries, strict=True)],
    }


def bm25(passages, texts, asked):
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, show_progress=False), show_progress=False)
    words = bm25s.tokenize(asked, show_progress=False)
    found, _ = index.retrieve(words, k=10, show_progress=False)
    return [[passages[number] for number in numbers] for numbers in found]


def report(mode, name, ranks):
    recall = sum(rank is not None and rank < 5 for rank in ranks) / len(ranks)
    gain = sum(0 if rank is None else 1 / math.log2(rank + 2) for rank in ranks) / len(ranks)
    print(f"  {mode:8} {name:34} {recall:>9.3f} {gain:>8.3f}", flush=True)


def rows(path):
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
