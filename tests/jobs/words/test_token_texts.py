from jobs.words.token_texts import read_token_texts
from tests.jobs.words.texts import characters, metaspace, pieces

TEXT = "the alder grew by the water, and alders are no elders; a naïve “reader” said so "


def names_where(tokenizer, mask):
    return {tokenizer.convert_ids_to_tokens(int(token)) for token in mask.nonzero()[0]}


def test_a_token_breaks_a_word_when_it_begins_with_no_letter_or_digit():
    tokenizer = characters("ab1_ .'é")
    texts = read_token_texts(tokenizer, len(tokenizer))
    assert names_where(tokenizer, texts.breaks) == {"<unk>", "<end>", " ", ".", "'"}
    assert names_where(tokenizer, texts.ends_in_word) == {"a", "b", "1", "_", "é"}
    assert not texts.unclear.any() and not texts.always_break


def test_a_blank_that_belongs_to_the_next_token_breaks_a_word():
    for tokenizer, blank in ((pieces(TEXT), "Ġ"), (metaspace(TEXT), "▁")):
        texts = read_token_texts(tokenizer, len(tokenizer))
        begun = {name for name in tokenizer.get_vocab() if name.startswith(blank)}
        assert begun and begun <= names_where(tokenizer, texts.breaks)
        goes_on = {name for name in tokenizer.get_vocab() if name.isalpha() and name.isascii()}
        assert goes_on and not goes_on & names_where(tokenizer, texts.breaks)


def test_pieces_of_characters_are_judged_by_every_character_they_begin():
    tokenizer = pieces("“a” ‘b’ — c… “d” " * 9)
    texts = read_token_texts(tokenizer, len(tokenizer))
    vocabulary = tokenizer.get_vocab()
    # The bytes E2 80 begin U+2000 to U+203F: dashes, quotes and blanks, none of them of a word.
    assert texts.breaks[vocabulary["âĢ"]]
    # E2 alone begins letters, too; a byte that continues a character may belong to any.
    assert texts.unclear[vocabulary["â"]] and texts.unclear[vocabulary["ł"]]
    assert not texts.breaks[vocabulary["Ã"]] and texts.unclear[vocabulary["Ã"]]  # also × and ÷
    assert not texts.unclear[vocabulary["Ð"]] and not texts.breaks[vocabulary["Ð"]]  # Cyrillic


def test_rows_without_a_token_are_unclear():
    tokenizer = characters("ab ")
    texts = read_token_texts(tokenizer, len(tokenizer) + 3)
    assert texts.unclear[-3:].all() and not texts.unclear[:-3].any()
