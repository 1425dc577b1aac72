"""Tables that a command writes into the documentation, between two marks that name them."""

from pathlib import Path


class PageError(ValueError):
    """A page is missing, or has no place for a table."""


def put_block(path: Path, name: str, markdown: str) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- /NAME -->` in a page.

    Raises
    ------
    PageError
        There is no such page, or it has no such marks.
    """
    before, after = around(path, name)
    path.write_text(f"{before}\n{markdown.strip()}\n{after}")


def around(path: Path, name: str) -> tuple[str, str]:
    """What stands before and after the place of a table, the marks included; raises as `put_block` does."""
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise PageError(f"{path} can't be read: {error}") from error
    if text.count(first) != 1 or text.count(last) != 1 or text.index(first) > text.index(last):
        raise PageError(f"{path} needs the marks {first} and {last}, once each, around the place of the table")
    return text[: text.index(first) + len(first)], text[text.index(last) :]
