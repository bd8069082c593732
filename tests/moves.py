"""How the tests move what a picture lets the reader move: by pointer, finger, keys."""

import re

from dot2gpt import pictures

# The plane of a picture in the page: its box, and how many pixels are a step of 1.
BOX = """stage => {
  const { left, top, width } = stage.getBoundingClientRect();
  return [left + scrollX, top + scrollY, width];
}"""


def written(text):
    """The numbers in a text of a picture."""
    return [float(n) for n in re.findall(r"-?\d+\.?\d*", text.replace("−", "-"))]


def place(knob):
    """Where a handle says that it is."""
    return tuple(written(knob.get_attribute("aria-valuetext")))


def centre(knob):
    box = knob.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page, knob, to, plane):
    """Drag a handle with the mouse to a point of the plane."""
    knob.scroll_into_view_if_needed()
    (x, y), pixels = centre(knob), unit(page, plane)
    now = place(knob)
    page.mouse.move(x, y)
    page.mouse.down()
    aim = x + (to[0] - now[0]) * pixels, y - (to[1] - now[1]) * pixels
    page.mouse.move((x + aim[0]) / 2, (y + aim[1]) / 2)
    page.mouse.move(*aim)
    page.mouse.up()
    page.mouse.move(x - 7, y - 7)  # no longer held: this moves nothing


def swipe(page, knob, by):
    """Drag a handle with a finger by (x, y) pixels."""
    knob.scroll_into_view_if_needed()
    x, y = centre(knob)
    session = page.context.new_cdp_session(page)
    for kind, dx, dy in (
        ("touchStart", 0, 0),
        ("touchMove", by[0] / 2, by[1] / 2),
        ("touchMove", *by),
        ("touchEnd", None, None),
    ):
        points = [] if dx is None else [{"x": x + dx, "y": y + dy}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def unit(page, plane):
    return page.locator(".pv-stage").first.evaluate(BOX)[2] / (plane[1] - plane[0])


def slide(fig, name, value):
    """Set a slider by the words before it."""
    fig.get_by_label(name).evaluate(
        "(input, value) => { input.value = value; "
        "input.dispatchEvent(new Event('input', { bubbles: true })); }",
        value,
    )


def assert_looks_as_alone(visit, host, drawn, parts, styles, **how):
    """On a page with others a picture looks as on a page of its own.

    drawn: {kind: picture}, in their order. parts: a selector within each. styles: what
    is compared, beside the sizes. how: as for visit.
    """
    looks = f"""all => all.map(x => {{
      const s = getComputedStyle(x), box = x.getBoundingClientRect();
      return [box.width, box.height].map(Math.round)
        .concat({styles.split()}.map(name => s[name]));
    }})"""
    both = visit(host, drawn=list(drawn.values()), **how)
    for kind, picture in drawn.items():
        alone = visit(host, drawn=[picture], **how)
        place = f".pv[data-kind={kind}] {parts}"
        want = alone.locator(place).evaluate_all(looks)
        assert both.locator(place).evaluate_all(looks) == want and len(want) > 3


def among_others(kind, picture):
    """A picture between two that do not move: {kind: picture}."""
    lines = pictures.lines([[1.0]], "a", caption="c")
    grid = pictures.matrix([[1, 2], [3, 4]], "ab", caption="c")
    return {"lines": lines, kind: picture, "matrix": grid}
