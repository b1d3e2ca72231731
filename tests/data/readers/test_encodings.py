from __future__ import annotations

import codecs

import pytest

from tunesmith.data.readers.encodings import (
    detect_encoding,
    detect_utf_16,
    encoding_by_mark,
    known_codec,
)
from tunesmith.errors import DataError, Place

SENTENCES = {
    "german": "Die Lieferung kam spät, für 12,50 € hätte ich größere Mühe erwartet. Grüße, Köln!",
    "french": "Le café était très bon, mais le reçu n’était pas là. Déçu par cette réponse… Où ?",
    "spanish": "¿Dónde está mi pedido? El niño llegó mañana y la atención fue pésima. ¡Vergüenza!",
    "italian": "La qualità è ottima, però la consegna non è più così veloce. Perché?",
    "portuguese": "A situação não está boa, avó. Você também vê a conexão cair às vezes.",
    "danish": "Bøgerne er på hylden, men æblerne og ålene er væk. Så kør hjem før otte.",
    "turkish": "Ürün çok geç geldi, kargo şirketi ilgilenmedi. Iğdır'dan teşekkürler, aşağı bağ.",
    "polish": "Przesyłka dotarła bardzo późno, żółta książka była zniszczona, proszę o zwrot.",
    "czech": "Zásilka dorazila příliš pozdě, zboží bylo poškozené. Děkuji za řešení, čekám.",
    "hungarian": "A csomag túl későn érkezett, a termék sérült volt. Kérem a pénzt, hűtő, őz.",
    "romanian": "Coletul a ajuns prea târziu, şi marfa era stricată. Aştept banii înapoi, ţară.",
    "russian": "Посылка пришла слишком поздно, товар повреждён. Прошу вернуть деньги.",
    "greek": "Το πακέτο έφτασε πολύ αργά και το προϊόν ήταν χαλασμένο.",
    "simplified": "打印机又坏了，请尽快派人来修理。物流太慢了，我要退款！客服态度很好。",
    "traditional": "印表機又壞了，請盡快派人來修理。物流太慢了，我要退款！客服態度很好。",
    "japanese": "プリンターがまた壊れました。早く修理してください。配送が遅いです。",
    "korean": "프린터가 또 고장났습니다. 빨리 수리해 주세요. 배송이 너무 늦어요.",
}


@pytest.mark.parametrize(
    ("language", "written", "named"),
    [
        ("german", "cp1252", "cp1252"),
        ("german", "latin-1", "cp1252"),
        ("french", "cp1252", "cp1252"),
        ("spanish", "cp1252", "cp1252"),
        ("italian", "cp1252", "cp1252"),
        ("portuguese", "cp1252", "cp1252"),
        ("danish", "cp1252", "cp1252"),
        ("turkish", "cp1254", "cp1254"),
        ("polish", "cp1250", "cp1250"),
        ("czech", "cp1250", "cp1250"),
        ("hungarian", "cp1250", "cp1250"),
        ("romanian", "cp1250", "cp1250"),
        ("russian", "cp1251", "cp1251"),
        ("russian", "koi8-r", "koi8_r"),
        ("greek", "cp1253", "cp1253"),
        ("simplified", "gbk", "gb18030"),
        ("simplified", "gb18030", "gb18030"),
        ("traditional", "big5", "big5"),
        ("japanese", "shift_jis", "cp932"),
        ("japanese", "euc_jp", "euc_jp"),
        ("korean", "euc_kr", "cp949"),
    ],
)
@pytest.mark.parametrize("times", [1, 40])
def test_the_encoding_of_a_language(language: str, written: str, named: str, times: int) -> None:
    text = f"text;label\r\n{SENTENCES[language]};1\r\n" * times
    sample = text.encode(written, "replace")
    assert detect_encoding(sample) == named
    assert sample.decode(named) == text or "?" in sample.decode(named)


@pytest.mark.parametrize("line", ["Müll;1\r\n", "é", "10 °C;a\n", "naïve – “quoted”"])
def test_one_sign_is_enough_for_western_text(line: str) -> None:
    assert detect_encoding(line.encode("cp1252")) == "cp1252"


def test_a_sign_within_a_word_is_no_letter_of_this_encoding() -> None:
    assert detect_encoding("ma³y du¿y mi³o³".encode("cp1252")) == "cp1250"  # mały duży miłoł


@pytest.mark.parametrize("text", ["打印机又坏了", "东西不错", "快递太慢"])
def test_few_characters_of_chinese_are_no_other_alphabet(text: str) -> None:
    sample = "".join(f"{text} {i},甲\r\n" for i in range(9)).encode("gbk")
    assert detect_encoding(sample) == "gb18030"


@pytest.mark.parametrize("sample", [b"", b"plain", b"\x81\x8d\x8f \x90 \x9d \x81"])
def test_what_is_ambiguous_has_no_name(sample: bytes) -> None:
    assert detect_encoding(sample) is None


@pytest.mark.parametrize(
    ("written", "named"), [("utf-16-le", "utf-16-le"), ("utf-16-be", "utf-16-be"), ("utf-8", None)]
)
def test_utf_16_without_a_mark(written: str, named: str | None) -> None:
    sample = ("text,label\n" + "hello Köln,a\n" * 30).encode(written)
    assert detect_utf_16(sample) == named
    if named:
        assert detect_encoding(sample) == named


def test_zeros_everywhere_are_no_utf_16() -> None:
    assert detect_utf_16(b"\0" * 100) is None
    assert detect_utf_16(b"a\0\0b" * 50) is None
    assert detect_utf_16(b"") is None


def test_marks() -> None:
    for encoding, name in (
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-32", "utf-32"),
    ):
        assert encoding_by_mark("x".encode(encoding)) == name
    assert encoding_by_mark(codecs.BOM_UTF16_BE + b"\0x") == "utf-16"
    assert encoding_by_mark(codecs.BOM_UTF32_BE + b"\0\0\0x") == "utf-32"
    assert encoding_by_mark(b"x") is None


@pytest.mark.parametrize("name", ["gb18030", "UTF-8", "latin1", "cp1252", "utf-16-le"])
def test_names_of_encodings(name: str) -> None:
    assert known_codec(name, Place("a")) == codecs.lookup(name).name


def test_the_mark_of_utf_8_is_stripped() -> None:
    assert known_codec("utf-8-sig", Place("a")) == "utf-8-sig"


@pytest.mark.parametrize(
    "name", ["klingon", "rot13", "base64", "hex", "zlib", "undefined", "a\0b", "", "\ud800"]
)
def test_what_is_no_encoding_is_refused(name: str) -> None:
    with pytest.raises(DataError) as caught:
        known_codec(name, Place("a.csv"))
    (problem,) = caught.value.problems
    assert (problem.code, str(problem.place)) == ("D106", "a.csv")
    assert "there is no encoding" in problem.message
    assert "--encoding auto" in str(problem.fix)
