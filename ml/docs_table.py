"""Tables that a command writes into the documentation, between two marks that name them."""

from pathlib import Path


def put_block(path: Path, name: str, markdown: str) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- /NAME -->` in a page.

    Raises
    ------
    ValueError
        The page has no such marks.
    """
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    text = path.read_text()
    if text.count(first) != 1 or text.count(last) != 1 or text.index(first) > text.index(last):
        raise ValueError(f"{path} needs the marks {first} and {last}, once each, around the place of the table")
    before, rest = text.split(first)
    path.write_text(f"{before}{first}\n{markdown.strip()}\n{last}{rest.split(last)[1]}")
