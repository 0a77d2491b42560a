"""Parse the page of a report into its tags, text and tables."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """The tags, text, tables and titles of a page; fails if a tag is not closed."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.open, self.tables, self.titles = [], [], [], [], []
        self.content = path.read_text("utf-8")
        self.feed(self.content)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
            self.titles.append(next(of["aria-label"] for _, of in reversed(self.tags) if of.get("role") == "region"))
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("th", "td"):
            self.tables[-1][-1].append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if self.open and self.open[-1] in ("th", "td"):
            self.tables[-1][-1][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def seen(self):
        return " ".join("".join(self.text).replace("\N{NO-BREAK SPACE}", " ").split())
