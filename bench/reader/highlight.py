"""How long colours take on code that was made to be slow: for each language the slowest text, of texts that repeat.

python bench/reader/highlight.py
"""

from __future__ import annotations

import time
from itertools import product

from tiltyard_jobs.reader.highlight import LANGUAGES, LONGEST, LONGEST_LINE, highlighted

PIECES = (
    *("(", ")", "{", "[", '"', "'", "`", "/*", "<", "<a ", "#", "\\", "a", "1", " ", "\n", "${", "$(", "<<A\n", "-- "),
    *("/", "=", "a=", "a.", "@", "%", "&", "r'", "f'{", '"""', "'" * 3, "a b ", "::", "a::", "x<", "x(", "- ", ": "),
    *("\t", "0x", "1e", "//", "<!--", "<![CDATA[", "a:", "$a", "a[", "if ", "fn ", '"\\', "é", "*", "**", "a,", "->"),
    *("{{", "{%", "<?", "#!", "a\n", "()", '" ', "\\\n", "in ", "class ", "public ", "a a\n", "| "),
)


def repeated(piece: str, most: int) -> str:
    """A text of a piece, in lines as long as they may be."""
    text = piece * (most // len(piece))
    lines = [line[at : at + LONGEST_LINE] for line in text.split("\n") for at in range(0, len(line) or 1, LONGEST_LINE)]
    return "\n".join(lines)[:most]


def main() -> None:
    for language in LANGUAGES:
        worst = (0.0, "")
        for piece, most in product(PIECES, sorted({LONGEST, *LANGUAGES.values()})):
            code = repeated(piece, most)
            start = time.process_time()
            highlighted(code, language)
            worst = max(worst, (time.process_time() - start, piece))
        print(f"{language:12} {worst[0]:6.2f} s  {worst[1]!r}", flush=True)


if __name__ == "__main__":
    main()
