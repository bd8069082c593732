"""The engine of the pages: tokens a second in a headless Chromium."""

from benchmarks.measure import Row, main
from dot2gpt.generation import generate
from dot2gpt.page import ENGINE
from dot2gpt.page.weights import unpack
from tools.chromium import chromium, headless
from tools.models import stored

RATE = 500  # tokens a second, what is aimed at
WRITE = """([packed, prompt, n]) => {
  const model = new GPT(unpack(packed)), text = [...prompt], before = performance.now();
  for (const id of stream(model, prompt, { temperature: 0 })) {
    text.push(id);
    if (text.length === prompt.length + n) break;
  }
  return [text, (performance.now() - before) / 1000];
}"""


def rows(quick=False):
    """One text with the model of chapter 13, the most probable token each time.

    Asserts that Python writes the same.
    """
    path = chromium()
    if path is None:
        return []
    n_tokens, repeats = (20, 2) if quick else (500, 7)
    packed, prompt = stored(2000), [3, 1, 4, 1, 5]
    with headless(path) as browser:
        page = browser.new_page()
        page.add_script_tag(content=ENGINE)
        runs = [
            page.evaluate(WRITE, [packed, prompt, n_tokens]) for _ in range(repeats + 1)
        ]
    want = generate(unpack(packed), [prompt], n_tokens, temperature=0)[0]
    assert all(text == want for text, _ in runs)
    times = [seconds for _, seconds in runs[1:]]  # the first run compiles
    what = f"{n_tokens} tokens in Chromium"
    return [Row(what, times, [n_tokens / RATE] * repeats, n_tokens, "tokens/s", 1)]


if __name__ == "__main__":
    main(__doc__, rows)
