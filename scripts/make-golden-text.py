#!/usr/bin/env python3
"""Writes tests/golden/text: what HuggingFace tokenizers, sacrebleu, jiwer and seqeval make of small texts.

    python3 scripts/make-golden-text.py [FOLDER]

Needs `tokenizers`, `sacrebleu`, `jiwer` and `seqeval`. story.txt is written by hand and only read.

bpe.json       a byte-level BPE of 400 tokens, trained on story.txt
vocab.json, merges.txt   the same as GPT-2 has it
cases.json     for each text: pieces of GPT-2's pattern, ids of each tokeniser, offsets in bytes
scores.json    BLEU, chrF, error rates and span F1
"""
import json
import pathlib
import sys

import jiwer
import sacrebleu
from sacrebleu.metrics import BLEU, CHRF
from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

TEXTS = [
    "",
    "Hello world",
    "  two  spaces   and\ttabs \n\n new lines\n",
    "I'll say it's what they've said, we'd've, don't! O'Neill's 'tis 'S",
    "x=1,234.56e-7; 3rd 1st 2nd №5 ½ ²",
    "trailing space ",
    "trailing spaces   ",
    "   ",
    "\n",
    " \u00a0 no-break\u00a0space\u2003em\u0085next\u3000wide",
    "naïve café Größe ÅNGSTRÖM İstanbul ΣΑΣ",
    "cafe\u0301 A\u030a e\u0327\u0301 \u1100\u1161\u11a8 \u212b q\u0323\u0307 q\u0307\u0323",
    "東京タワー 你好，世界！ مرحبا नमस्ते",
    "emoji 👩\u200d👩\u200d👧 😀!! ⓐⓑ 🄰 ﬁ",
    "a_b c-d e.f __init__ (x) [y] {z} <pad> <unk>",
    "The lighthouse keeper didn't say a word, and the dog came and went.",
    "aaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    "control \u0001\u001f\u007f\u0080 and \u200b zero \ufeff width",
    "'s't're've'm'll'd ''s '' s",
]


def to_bytes(text, pairs):
    """Offsets in characters -> offsets in bytes."""
    at = [0]
    for c in text:
        at.append(at[-1] + len(c.encode()))
    return [[at[a], at[b]] for a, b in pairs]


def encoded(tokenizer, text):
    e = tokenizer.encode(text, add_special_tokens=False)
    return {"ids": e.ids, "offsets": to_bytes(text, e.offsets)}


def byte_level(use_regex=True):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def train_bpe(story, size, special):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = byte_level()
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator([story], trainers.BpeTrainer(
        vocab_size=size, min_frequency=2, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t


def train_words(story, pre, normalizer, size):
    t = Tokenizer(models.WordLevel(unk_token="<unk>"))
    t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    t.train_from_iterator([story], trainers.WordLevelTrainer(
        vocab_size=size, min_frequency=1, special_tokens=["<pad>", "<unk>"], show_progress=False))
    return t


def tokenizers(folder, story):
    bpe = train_bpe(story, 400, ["<pad>"])
    bpe.save(str(folder / "bpe.json"))
    gpt2 = train_bpe(story, 400, ["<|endoftext|>"])
    gpt2.model.save(str(folder))
    character = pre_tokenizers.Split(Regex("[\\s\\S]"), "isolated")
    return {
        "bpe": bpe,
        "gpt2": gpt2,
        "word": train_words(story, pre_tokenizers.Whitespace(), None, 120),
        "word_lower": train_words(
            story, pre_tokenizers.Whitespace(),
            normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()]), 1000),
        "char": train_words(story, character, None, 1000),
        "char_nfc": train_words(story, character, normalizers.NFC(), 1000),
    }


def cases(folder):
    story = (folder / "story.txt").read_text()
    made = tokenizers(folder, story)
    pre = byte_level()
    out = {"vocabulary": {}, "texts": []}
    for name, t in made.items():
        vocab = t.get_vocab()
        if name.startswith(("word", "char")):
            out["vocabulary"][name] = sorted(vocab, key=vocab.get)
    for text in TEXTS:
        case = {"text": text, "pieces": [b - a for a, b in to_bytes(
            text, [o for _, o in pre.pre_tokenize_str(text)])]}
        for name, t in made.items():
            case[name] = encoded(t, text)
        out["texts"].append(case)
    return out


# --- scores --------------------------------------------------------------------------------------

SYSTEM = [
    "The dog bit the man.", "It wasn't surprising.", "The man had just bitten him.",
    "He paid $1,234.50 for 12-inch tyres (30% off), didn't he?",
    "A totally different sentence", "", "x",
]
REFERENCES = [
    ["The dog bit the man.", "It was not unexpected.", "The man bit him first.",
     "He paid $1,234.50 for the 12-inch tires (30 % off), did he not?",
     "Nothing in common here at all", "something", "x"],
    ["The dog had bit the man.", "No one was surprised.", "The man had bitten the dog.",
     "He'd paid 1,234.50 dollars for 12-inch tyres, 30% off.",
     "These words differ", "else", "y"],
]
UNICODE_SYSTEM = ["«Le café» coûte 2,50 € – c'est cher…", "東京は 日本の首都です。", "Größe: 10 &quot;cm&quot; &amp; more",
                  "ÇA ira !\u00a0Bien\u2003sûr"]
UNICODE_REFERENCES = [["Le « café » coûte 2,50 €; c'est trop cher…", "東京は 日本の 首都です。",
                       "Größe: 10 \"cm\" & mehr", "Ça ira! Bien sûr"]]
SPOKEN = [
    ("the cat sat on the mat", "the cat sat on mat"), ("hello world", "hello duck world"),
    ("a b c d", "b c d e"), ("same here", "same here"), ("one", "two three"),
    ("größe der straße", "grosse der strasse"), ("  padded   words ", "padded words"),
    ("gone", ""),
]
TAGS_TRUE = [
    ["O", "B-PER", "I-PER", "O", "B-LOC"], ["B-ORG", "I-ORG", "I-ORG", "O"], ["O", "O"],
    ["I-PER", "I-PER", "O", "I-LOC", "B-LOC"], ["B-PER", "B-PER", "I-LOC", "I-ORG"],
    ["B-MISC", "O", "B-MISC"],
]
TAGS_PREDICTED = [
    ["O", "B-PER", "I-PER", "O", "B-ORG"], ["B-ORG", "I-ORG", "O", "O"], ["O", "B-LOC"],
    ["B-PER", "I-PER", "O", "B-LOC", "I-LOC"], ["B-PER", "I-PER", "B-LOC", "B-ORG"],
    ["B-MISC", "I-MISC", "O"],
]


def bleu_case(system, references, **options):
    metric = BLEU(**options)
    score = metric.corpus_score(system, references)
    return {"system": system, "references": references, "options": options, "score": score.score,
            "precisions": score.precisions, "bp": score.bp, "system_length": score.sys_len,
            "reference_length": score.ref_len}


def chrf_case(system, references, **options):
    return {"system": system, "references": references, "options": options,
            "score": CHRF(**options).corpus_score(system, references).score}


def rates(pairs):
    truth, said = [a for a, _ in pairs], [b for _, b in pairs]
    words, characters = jiwer.process_words(truth, said), jiwer.process_characters(truth, said)
    return {"truth": truth, "said": said, "wer": words.wer, "cer": characters.cer, "words": [
        words.hits, words.substitutions, words.deletions, words.insertions]}


def spans(truth, predicted):
    report = classification_report(truth, predicted, output_dict=True, zero_division=0)
    return {
        "truth": truth, "predicted": predicted,
        "micro": [f(truth, predicted) for f in (precision_score, recall_score, f1_score)],
        "types": {name: [float(row["precision"]), float(row["recall"]), float(row["f1-score"]),
                         int(row["support"])]
                  for name, row in report.items()
                  if not name.endswith(" avg")},
        "macro_f1": float(report["macro avg"]["f1-score"]),
    }


def scores():
    bleu = []
    for tokenize in "13a", "intl", "char", "none":
        bleu.append(bleu_case(SYSTEM, REFERENCES, tokenize=tokenize))
        bleu.append(bleu_case(UNICODE_SYSTEM, UNICODE_REFERENCES, tokenize=tokenize))
        bleu.append(bleu_case(SYSTEM, REFERENCES[:1], tokenize=tokenize, lowercase=True))
    bleu.append(bleu_case(["a b"], [["c d"]]))
    bleu.append(bleu_case(["a"], [["a"]]))
    bleu.append(bleu_case(["a b c x"], [["a b c d"]]))
    chrf = [chrf_case(s, r, word_order=order) for order in (0, 2)
            for s, r in ((SYSTEM, REFERENCES), (UNICODE_SYSTEM, UNICODE_REFERENCES),
                         (SYSTEM[:1], REFERENCES[1:]), ([""], [["a"]]))]
    return {
        "versions": {"sacrebleu": sacrebleu.__version__},
        "bleu": bleu, "chrf": chrf,
        "rates": [rates(SPOKEN[:n]) for n in (1, len(SPOKEN) - 1, len(SPOKEN))],
        "spans": [spans(TAGS_TRUE[:n], TAGS_PREDICTED[:n]) for n in (2, len(TAGS_TRUE))],
    }


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=None,
                               separators=(",", ":")).replace("},{", "},\n{") + "\n")
    print(f"{path}: {path.stat().st_size} bytes")


def main():
    folder = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "text"
    if len(sys.argv) > 1:
        folder = pathlib.Path(sys.argv[1])
    write(folder / "cases.json", cases(folder))
    write(folder / "scores.json", scores())


if __name__ == "__main__":
    main()
