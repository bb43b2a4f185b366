"""What a model can read of a document from the web: HTML and PDF as Markdown, text as it is."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import TYPE_CHECKING

from msgspec import Struct

from ml_intern.errors import ServiceRefused
from ml_intern.protocol.amounts import counted

if TYPE_CHECKING:
    from html_to_markdown import ConversionOptions
    from pypdfium2 import PdfDocument  # pyright: ignore[reportMissingTypeStubs]

MAX_PDF_PAGES = 400
SERVICE = "the web"
NOT_CONTENT = ("nav", "footer", "header > nav", "script", "style", "noscript", "template", "svg", "iframe", "dialog", "button")
"""Left out of a page. Forms are dropped as well, unless nearly nothing is left without them."""
LEAST_SHARE = 0.01
_TITLE = re.compile(r"<title[^>]*>(.*?)</title\s*>", re.IGNORECASE | re.DOTALL)
_META_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
_CHARSETS = re.compile(
    r"utf[-_]?(8|16|32)([-_]?[lb]e)?|iso[-_]?8859[-_]\d{1,2}|latin[-_]?\d|(us[-_]?)?ascii|(windows|cp)[-_]?\d{3,4}|koi8[-_][rtu]"
    r"|gbk|gb2312|gb18030|big5|euc[-_](jp|kr)|shift[-_]?jis|sjis|iso-2022-(jp|kr)|macintosh|mac[-_]roman|tis-620",
    re.IGNORECASE,
)
"""Python has codecs that are none of the web's (escapes, IDNA), and a page could name one."""
_HTML_START = re.compile(rb"\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
_TEXT_TYPES = frozenset(
    {"application/json", "application/xml", "application/javascript", "application/x-javascript", "application/yaml", "application/x-yaml"}
    | {"application/toml", "application/x-sh", "application/x-python", "application/x-ipynb+json", "application/x-ndjson"}
    | {"application/sql", "application/graphql", "application/x-tex", "application/rtf"}
)


class Document(Struct, frozen=True, kw_only=True):
    """``kind`` is ``html``, ``pdf`` or ``text``; ``note`` says what is missing, or is empty."""

    title: str
    text: str
    kind: str
    note: str = ""


class Readable:
    """Turns bytes into text in threads of its own: two for HTML, one for PDF, whose library takes one caller at a time."""

    def __init__(self) -> None:
        self._pages: ThreadPoolExecutor | None = None
        self._pdfs: ThreadPoolExecutor | None = None

    async def document(self, body: bytes, content_type: str = "", url: str = "") -> Document:
        """The readable text. Links become absolute against ``url``. Raises ``ServiceRefused`` for what is no text."""
        kind = kind_of(body, content_type)
        loop = asyncio.get_running_loop()
        if kind == "pdf":
            self._pdfs = self._pdfs or ThreadPoolExecutor(1, thread_name_prefix="pdf")
            return await loop.run_in_executor(self._pdfs, pdf_document, body)
        if kind == "html":
            self._pages = self._pages or ThreadPoolExecutor(2, thread_name_prefix="html")
            return await loop.run_in_executor(self._pages, html_document, decoded(body, content_type), url)
        if kind == "text":
            return Document(title="", text=decoded(body, content_type), kind="text")
        named = content_type.partition(";")[0].strip() or "an unknown type"
        raise ServiceRefused(
            f"{url or 'This'} is not text but {named} ({len(body):,} bytes).", hint="Download it by bash if you need it.", service=SERVICE
        )

    async def aclose(self) -> None:
        """Threads end with what they are at."""
        for pool in (self._pages, self._pdfs):
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)
        self._pages = self._pdfs = None


def kind_of(body: bytes, content_type: str) -> str:
    """``pdf``, ``html``, ``text``, or empty for what cannot be read: by its first bytes where they are clear, else by its type."""
    media = content_type.partition(";")[0].strip().lower()
    if body.startswith(b"%PDF-"):
        return "pdf"
    if media in ("text/html", "application/xhtml+xml") or (media in ("", "application/octet-stream") and _HTML_START.match(body[:2048])):
        return "html"
    if media.startswith("text/") or media in _TEXT_TYPES or media.endswith(("+json", "+xml", "+yaml")):
        return "text"
    if media in ("", "application/octet-stream", "binary/octet-stream") and _is_text(body):
        return "text"
    return ""


def _is_text(body: bytes) -> bool:
    if b"\0" in body:
        return False
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def decoded(body: bytes, content_type: str = "") -> str:
    """As the header says, else as the page says, else UTF-8, else what browsers take for Latin-1."""
    named = re.search(r"charset\s*=\s*[\"']?([\w-]+)", content_type, re.IGNORECASE)
    told = named.group(1) if named else ""
    if not told and (meta := _META_CHARSET.search(body[:4096])):
        told = meta.group(1).decode("ascii")
    if _CHARSETS.fullmatch(told):
        try:
            return body.decode(told, "replace").removeprefix("\ufeff")
        except LookupError:
            pass  # a charset that nobody knows says nothing
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def html_document(html: str, url: str = "") -> Document:
    """Markdown of a page, without navigation, footers and scripts."""
    from html_to_markdown import ConversionError, convert

    try:
        text = convert(html, _options(url, forms=False)).content or ""
        if len(text) < LEAST_SHARE * len(html):
            whole = convert(html, _options(url, forms=True)).content or ""
            text = whole if len(whole) > 2 * len(text) else text  # a page that is one large form
    except ConversionError as error:
        raise ServiceRefused(f"{url or 'This page'} is called HTML but cannot be read as it: {error}.", service=SERVICE) from error
    found = _TITLE.search(html)
    title = " ".join(unescape(found.group(1)).split()) if found else ""
    return Document(title=title, text=text.strip(), kind="html")


def _options(url: str, *, forms: bool) -> ConversionOptions:
    from html_to_markdown import ConversionOptions, PreprocessingOptions

    return ConversionOptions(
        preprocessing=PreprocessingOptions(enabled=True, preset="standard", remove_navigation=True, remove_forms=not forms),
        exclude_selectors=list(NOT_CONTENT),
        extract_metadata=False,
        inline_data_media="alt_text_only",
        base_url=url or None,
        compact_tables=True,
    )


def pdf_document(body: bytes) -> Document:
    """The text of a PDF, page by page under headings. Raises ``ServiceRefused`` when it cannot be opened or has no text.

    PDFium may be called by one thread at a time: use ``Readable.document``.
    """
    import pypdfium2  # pyright: ignore[reportMissingTypeStubs]

    try:
        pdf = pypdfium2.PdfDocument(body)
    except pypdfium2.PdfiumError as error:
        raise ServiceRefused(
            f"This PDF cannot be opened: {error}.", hint="It may be broken or need a password.", service=SERVICE
        ) from error
    try:
        total = len(pdf)
        pages = [_pdf_page(pdf, index) for index in range(min(total, MAX_PDF_PAGES))]
        title = pdf.get_metadata_value("Title").strip()  # pyright: ignore[reportUnknownMemberType]
    finally:
        pdf.close()
    if not any(pages):
        raise ServiceRefused(f"This PDF of {counted(total, 'page')} holds no text, only pictures of it.", service=SERVICE)
    text = "\n\n".join(f"## Page {number}\n\n{page}" for number, page in enumerate(pages, 1) if page)
    note = f"Only the first {MAX_PDF_PAGES} of {total} pages are here." if total > MAX_PDF_PAGES else ""
    return Document(title=title, text=text, kind="pdf", note=note)


def _pdf_page(pdf: PdfDocument, index: int) -> str:
    page = pdf[index]
    try:
        textpage = page.get_textpage()
        try:
            text = textpage.get_text_bounded()  # pyright: ignore[reportUnknownMemberType]
            return text.replace("\r\n", "\n").replace("\ufffe", "").strip()
        finally:
            textpage.close()
    finally:
        page.close()
