"""Pages: what every HTML report is made of. A page is one file that holds its pictures and opens without a network."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of the report."""

    title: str
    caption: str
    png: bytes


def page_of(title: str, body: Sequence[str]) -> str:
    """A whole file around pieces of HTML."""
    head = (
        f"<meta charset=utf-8><meta name=viewport content='width=device-width'><title>{escape(title)}</title>{_STYLE}"
    )
    return f"<!doctype html>\n<html lang=en>\n<head>{head}</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"


def picture_html(picture: Picture) -> str:
    """A picture with its title and caption."""
    data = base64.b64encode(picture.png).decode()
    return (
        f"<h2>{escape(picture.title)}</h2><p>{escape(picture.caption)}</p>"
        f'<img alt="{escape(picture.title)}" src="data:image/png;base64,{data}">'
    )


def table_html(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of words."""
    top = "".join(f"<th>{escape(word)}</th>" for word in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


_STYLE = """<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #2b2b2b; max-width: 1400px; margin: 2em auto; padding: 0 1.5em }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
img { max-width: 100%; border: 1px solid #e3e0d8 }
code, pre { font: 12px/1.4 ui-monospace, monospace; background: #f7f5f0; padding: .1em .3em; overflow-x: auto }
pre { padding: 1em }
table { border-collapse: collapse; font-size: 13px }
td, th { text-align: left; padding: .25em .9em .25em 0; border-bottom: 1px solid #e3e0d8 }
td:nth-child(n+2) { font-variant-numeric: tabular-nums }
.cards { display: flex; flex-wrap: wrap; gap: 1em }
.card { background: #f7f5f0; padding: .8em 1.2em; min-width: 9em }
.card b { display: block; font-size: 1.7em } .card span { display: block } .card small { color: #8a8a85 }
</style>"""
