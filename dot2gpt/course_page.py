"""The course's page in JupyterLab's server: chapters, points, a sheet begun by a click.

A server extension that `tools/jupyter` turns on; `make lab` opens its page first. It
serves the book, too, once that is built, and the style of figures in the dark theme.
"""

import html
from pathlib import Path

from jupyter_core.paths import jupyter_config_path
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_escape, url_path_join
from tornado import web

from dot2gpt import sheets

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>From X·Xᵀ to GPT</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
  :root {{ color-scheme: light dark; accent-color: light-dark(#0b4f9b, #84b9f2) }}
  body {{ font: 1.05rem/1.6 system-ui, sans-serif; margin: 2rem auto; max-width: 48rem;
    padding: 0 1rem; background: light-dark(#fff, #12171e);
    color: light-dark(#1d2733, #dde4ec) }}
  a {{ color: light-dark(#0b4f9b, #84b9f2) }}
  table {{ border-collapse: collapse; width: 100% }}
  td, th {{ border-bottom: 1px solid light-dark(#dbe2ea, #333f4d); padding: .4rem .8rem
    .4rem 0; text-align: left }}
  th[scope=row] {{ font-weight: 400 }}
  form {{ margin: 0 }} button {{ cursor: pointer; font: inherit }}
  progress {{ width: 5rem }} small {{ color: light-dark(#55616f, #a3b0be) }}
</style></head>
<body><main><h1>From X·Xᵀ to GPT</h1>
<p>{earned:g} of {possible:g} points, as you ran and saved your sheets.
<a href="{lab}">JupyterLab</a>{book}</p>
<form method="post">{xsrf}<table>
<thead><tr><th>Lesson</th><th>Sheet</th><th>Points</th></tr></thead>
<tbody>{rows}</tbody></table></form></main></body></html>
"""
ROW = """<tr><th scope="row"><a href="{lesson}">{title}</a> <small>{name}</small></th>
<td>{sheet}</td><td>{earned:g} of {possible:g}
<progress value="{earned:g}" max="{possible:g}" aria-label="{title}"></progress></td>
</tr>
"""


def built_book():
    """The folder that `make book` builds the pages in."""
    return sheets.course_root() / "_build" / "html"


class Book(JupyterHandler, web.StaticFileHandler):
    """The pages of the built book; their scripts may store the theme."""

    def initialize(self):
        """Take files from the folder of the book."""
        super().initialize(path=built_book())

    @web.authenticated
    def get(self, path, include_body=True):
        """Send a file of the book."""
        return web.StaticFileHandler.get(self, path, include_body)


class CoursePage(JupyterHandler):
    """The table of chapters; posting a chapter's name starts its sheet and opens it."""

    @web.authenticated
    def get(self):
        """Show the page."""
        rows, earned, possible = [], 0, 0
        for chapter in sheets.chapters(sheets.course_root()).values():
            try:
                got, points = sheets.progress(chapter)
                rows.append(self.row(chapter, got or 0, points))
            except sheets.SheetError as error:
                rows.append(f'<tr><td colspan="3">{html.escape(str(error))}</td></tr>')
            else:
                earned, possible = earned + (got or 0), possible + points
        page = {
            "rows": "".join(rows),
            "earned": earned,
            "possible": possible,
            "book": "",
        }
        if (built_book() / "index.html").is_file():
            link = url_path_join(self.base_url, "course/book/index.html")
            page["book"] = f' · <a href="{link}">The book</a>'
        lab, xsrf = url_path_join(self.base_url, "lab"), self.xsrf_form_html()
        self.finish(PAGE.format(lab=lab, xsrf=xsrf, **page))

    def row(self, chapter, earned, possible):
        """A chapter's line of the table."""
        lesson = chapter.released.name.replace("_exercises", "")
        title = html.escape(sheets.title(chapter))
        sheet = f'<button name="chapter" value="{chapter.name}" '
        sheet += f'aria-label="Start {title}">Start</button>'
        if copy := sheets.copy_of(chapter):
            link = self.in_lab(copy)
            sheet = f'<a href="{link}" aria-label="Go on with {title}">Go on</a>'
        return ROW.format(
            name=chapter.name,
            title=title,
            lesson=self.in_lab(chapter.released.with_name(lesson)),
            sheet=sheet,
            earned=earned,
            possible=possible,
        )

    @web.authenticated
    def post(self):
        """Start the sheet, unless it is started, and open it."""
        name = self.get_argument("chapter")
        chapter = sheets.chapter_named(name, sheets.course_root())
        copy = sheets.copy_of(chapter) or sheets.start_sheet(chapter)
        self.redirect(self.in_lab(copy))

    def write_error(self, status_code, exc_info=None, **options):
        """Say what a SheetError says; else as every page of the server."""
        if exc_info and isinstance(exc_info[1], sheets.SheetError):
            self.set_status(400)
            self.finish(html.escape(str(exc_info[1])))
        else:
            super().write_error(status_code, exc_info=exc_info, **options)

    def in_lab(self, path):
        """The address at which JupyterLab opens a file."""
        root = Path(self.settings["server_root_dir"]).expanduser().resolve()
        path = path.resolve().relative_to(root).as_posix()
        return url_path_join(self.base_url, "lab/tree", url_escape(path))


def _jupyter_server_extension_points():
    return [{"module": "dot2gpt.course_page"}]


def _load_jupyter_server_extension(server):
    settings = server.web_app.settings
    # JupyterLab asks for custom.css, and looks in the user's folder alone.
    settings["static_custom_path"] += [f"{p}/custom" for p in jupyter_config_path()]
    address = url_path_join(settings["base_url"], "course")
    pages = [(address, CoursePage), (f"{address}/book/(.*)", Book)]
    server.web_app.add_handlers(".*$", pages)
