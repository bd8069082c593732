/* The Transformer of chapter 10, which rewrites dates. Follows parts.js. */

start('dates', (root, data) => {
  const ids = new Map(data.symbols.map((symbol, id) => [symbol, id]));
  const spell = letter => letter === ' ' ? '␣' : letter;
  let model, text = data.text, seen, at = 0, layer = 0, head = 0, timer;

  // --- what it computes ---
  const write = text => {
    if (!text) throw new RangeError('write a date');
    const source = [...text].map(letter => {
      if (ids.has(letter)) return ids.get(letter);
      throw new RangeError(`“${letter}” is not among the characters that it knows`);
    });
    const memory = model.encode(source), read = [data.start], shares = [];
    let step;
    do {
      step = model.decode(read, memory);
      shares.push(nextProbabilities(lastRow(step.logits).data, {}));
      read.push(best(shares.at(-1), 1)[0]);
    } while (read.at(-1) !== data.end && shares.length < data.most);
    return { written: read.slice(1), shares, weights: step.weights };
  };
  // As dot2gpt.dates writes a day; nothing where there is no such day.
  const forms = iso => {
    const date = new Date(`${iso}T00:00Z`);
    if (isNaN(date) || date.toISOString().slice(0, 10) !== iso) return null;
    const [y, m, d] = iso.split('-').map(Number), month = data.months[m - 1];
    const day = data.days[(date.getUTCDay() + 6) % 7], short = month.slice(0, 3);
    return [
      `${day} ${d} ${month} ${y}`, `${d} ${month} ${y}`, `${month} ${d}, ${y}`,
      `${d}-${short}-${y}`, `${day.slice(0, 3)}, ${short} ${d} ${y}`, `${d}.${m}.${y}`,
      `${m}/${d}/${y}`, iso.replaceAll('-', '/'),
    ];
  };

  // --- the parts of the page ---
  const trouble = told(), verdict = told(), looks = told();
  const box = make('input', {
    type: 'text', value: text, maxLength: 40, spellcheck: false, ariaLabel: 'a date',
    oninput: () => edit(box.value),
  });
  const examples = data.examples.map(([name, texts]) => make('div',
    { className: 'pv-controls', role: 'group', ariaLabel: name }, make('span', {}, name),
    ...texts.map(([example]) => button(example, () => {
      box.value = example;
      if (edit(example)) play();
    }))));
  const list = (name, role) =>
    make('ol', { className: 'token-list', role, ariaLabel: name, tabIndex: -1 });
  const written = list('written', 'listbox'), source = list('read', 'list');
  const picks = form(), whole = make('div', { className: 'squares', ariaHidden: true });

  // --- what it shows ---
  const items = (list, letters, role) => list.replaceChildren(...letters.map(letter =>
    make('li', { role }, make('span', {}, spell(letter)), make('small'))));
  const drawLooks = () => {
    const heads = seen.weights[layer], n = seen.written.length;
    const all = table(n, source.children.length);
    for (let i = 0; i < n; i++) row(all, i).set(lookOf(heads, head, i));
    [...source.children].forEach((item, j) => {
      const weight = row(all, at)[j];
      tint(item, weight).lastChild.textContent = weight >= 0.005 ? percent(weight) : '';
    });
    [...written.children].forEach((item, i) => { item.ariaSelected = i === at; });
    whole.replaceChildren(...squares(all, 1, at, choose),
      make('p', {}, 'a row for each character written, a column for each one read'));
    return row(all, at);
  };
  const choose = n => {
    stop();
    at = n;
    const looked = drawLooks(), p = seen.shares[at];
    const list = (numbers, n, name) => best(numbers, n).filter(m => numbers[m] >= 0.005)
      .map(m => `“${name(m)}” ${percent(numbers[m])}`).join(', ');
    looks.textContent = `It writes ${list(p, 3, id => data.symbols[id])}, and looks at `
      + `${list(looked, 3, j => spell(text[j]))}.`;
  };
  const judge = () => {
    const iso = seen.written.filter(id => id !== data.end).map(id => data.symbols[id])
      .join('');
    const all = forms(iso), sure = seen.written.reduce((p, id, n) =>
      p * seen.shares[n][id], 1);
    return (!all ? `“${iso}” is no day of the calendar.`
      : all.includes(text) ? `Right: “${text}” is one of the eight forms of ${iso}.`
      : `Wrong, or a form that it has never read: “${text}” is none of the eight forms of `
        + `${iso}.`) + ` The model gave this answer a probability of ${percent(sure)}.`;
  };
  const edit = next => {
    stop();
    try {
      seen = write(next);
    } catch (error) {
      trouble.textContent = `Not read: ${error.message}.`;
      return false;
    }
    [text, trouble.textContent] = [next, ''];
    items(source, [...text], 'listitem');
    items(written, seen.written.map(id => data.symbols[id]), 'option');
    seen.written.forEach((id, n) => {
      written.children[n].lastChild.textContent = percent(seen.shares[n][id]);
    });
    roving([...written.children], arrows(seen.written.length - 1), choose);
    verdict.textContent = judge();
    choose(0);
    return true;
  };
  // One character after the other, for those who do not mind movement.
  const stop = () => {
    clearTimeout(timer);
    [...written.children].forEach(item => { item.style.visibility = ''; });
  };
  const play = () => {
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
    [...written.children].forEach(item => { item.style.visibility = 'hidden'; });
    at = -1;
    const step = () => {
      if (++at === seen.written.length) return choose(0);
      written.children[at].style.visibility = '';
      drawLooks();
      timer = setTimeout(step, 300);
    };
    step();
  };

  load(root, data).then(weights => {
    model = new Transformer(weights);
    const { n_layers: nLayers, n_heads: nHeads } = model.config;
    const names = n => Array.from({ length: n }, (_, m) => `${m + 1}`);
    const setLayer = pick(picks, 'layer', names(nLayers), n => { layer = n; choose(at); });
    const setHead = pick(picks, 'head', [...names(nHeads), 'mean'], n => {
      head = n;
      choose(at);
    });
    root.querySelector('.still').replaceWith(
      part('A date', 'Write one in any form, or press one.', box, trouble, ...examples),
      part('What it writes', 'Point at a character, or move with the arrow keys.',
        written, verdict, form(button('write it slowly', () => { stop(); play(); }))),
      part('What it looks at', 'Cross-attention: the stronger the colour, the more weight.', picks,
        source, looks, whole),
    );
    edit(text);
    setLayer(nLayers - 1);
    setHead(nHeads);
  }, () => { root.querySelector('.failed').hidden = false; });
});
