/* The script of the pictures. Python cuts it at the "@" lines and puts into a page the
   parts that its picture needs, inside one function: nothing here is global, so two
   pictures, or two versions of this file, never meet. Data reaches the page through
   textContent alone. */

/* @core */
const round = (x, digits) => Math.floor(x * 10 ** digits + 0.5 + 1e-9) / 10 ** digits;
const percent = w => `${round(100 * w, 0)} %`;

const make = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

// One form a picture: radio buttons of the same picture shown twice stay apart.
const controls = root => {
  const form = make('form', { className: 'pv-controls', method: 'dialog' });
  root.prepend(form);
  return form;
};

const pick = (form, label, names, change, visible = true) => {
  const group = make('div', { role: 'radiogroup', ariaLabel: label });
  group.className = 'pv-pick';
  const buttons = names.map((name, n) => make('input', {
    type: 'radio', name: label, value: n, checked: n === 0, onchange: () => change(n),
  }));
  if (visible) group.append(make('span', {}, label));
  group.append(...names.map((name, n) => make('label', {}, buttons[n], name)));
  form.append(group);
  return n => { buttons[n].checked = true; change(n); };
};

const line = (root, hint) => {
  root.querySelector('.pv-say')?.remove();
  const output = make('p', { className: 'pv-say', role: 'status' }, hint);
  root.querySelector('figcaption').before(output);
  return text => { if (output.textContent !== text) output.textContent = text; };
};

// Arrow keys belong to the picture: not to JupyterLab's cells, not to the book's pages.
const start = (kind, build) => {
  const fresh = `.pv[data-kind=${kind}]:not([data-on])`;
  for (const root of document.querySelectorAll(fresh)) {
    root.dataset.on = root.dataset.lmSuppressShortcuts = '';
    root.addEventListener('keydown', event => {
      if (event.key.startsWith('Arrow')) event.stopPropagation();
    });
    const data = root.querySelector('script[type="application/json"]');
    build(root, data && JSON.parse(data.textContent));
  }
};

// One item of a list takes the Tab key; the arrow keys move on from there.
const roving = (items, next, show) => {
  items[0].tabIndex = 0;
  items.forEach((item, n) => {
    if (n) item.tabIndex = -1;
    for (const event of ['pointerenter', 'focus', 'click']) {
      item.addEventListener(event, () => show(n));
    }
    item.addEventListener('keydown', event => {
      const target = items[next(event.key, n)];
      if (!target) return;
      event.preventDefault();
      item.tabIndex = -1;
      target.tabIndex = 0;
      target.focus();
    });
  });
};

/* @grid */
const softmax = (scores, t) => {
  const scaled = scores.map(s => s === null ? -Infinity : s / t);
  const top = Math.max(...scaled);
  if (top === -Infinity) return scaled.map(() => null);
  const powers = scaled.map(s => Math.exp(s - top));
  const total = powers.reduce((a, b) => a + b);
  return powers.map((p, j) => scaled[j] === -Infinity ? null : p / total);
};

const paint = (cell, text, colour) => {
  cell.textContent = text;
  cell.style.setProperty('--w', Math.abs(colour));
  cell.classList.toggle('pv-neg', colour < 0);
};

const weight = (cell, w) => {
  paint(cell, w === null ? '0' : round(w, 2).toFixed(2).replace(/^0/, ''), w ?? 0);
  cell.classList.toggle('pv-masked', w === null);
};

const looks = (row, column, w) => w === null
  ? `“${row}” may not look at “${column}”.`
  : `“${row}” puts ${percent(w)} of its attention on “${column}”.`;

const grid = (table, say, sentence) => {
  const rows = [...table.tBodies[0].rows];
  const cells = rows.map(row => [...row.querySelectorAll('td')]);
  const words = rows.map(row => row.querySelector('th').textContent);
  const columns = [...table.tHead.querySelectorAll('th')].map(th => th.textContent);
  const width = columns.length, flat = cells.flat();
  let at = null;
  const refresh = () => {
    if (at === null) return;
    const i = Math.floor(at / width), j = at % width;
    rows.forEach((row, n) => row.classList.toggle('pv-row', n === i));
    flat.forEach((cell, n) => cell.classList.toggle('pv-at', n === at));
    say(sentence(i, j, words[i], columns[j], cells[i][j]));
  };
  const next = (key, n) => {
    const column = n % width, step = {
      ArrowRight: column < width - 1 ? 1 : 0, ArrowLeft: column ? -1 : 0,
      ArrowDown: width, ArrowUp: -width, Home: -column, End: width - 1 - column,
    }[key];
    return step === undefined ? -1 : flat[n + step] ? n + step : n;
  };
  table.setAttribute('role', 'grid');
  const scroll = table.parentElement;
  for (const name of ['tabindex', 'role', 'aria-label']) scroll.removeAttribute(name);
  roving(flat, next, n => { at = n; refresh(); });
  return { cells, refresh };
};

/* @slide */
const tick = (form, label, change) => {
  const box = make('input', { type: 'checkbox', onchange: () => change(box.checked) });
  form.append(make('label', {}, box, label));
};

const slide = (form, label, range, show, change) => {
  const input = make('input', { type: 'range', ...range });
  const shown = make('span', { className: 'pv-shown' });
  const update = () => {
    shown.textContent = input.ariaValueText = show(+input.value);
    change(+input.value);
  };
  input.oninput = update;
  shown.textContent = input.ariaValueText = show(+input.value);
  form.append(make('label', {}, label, input, shown));
};

/* @attention */
start('attention', (root, { scores, heads, divide, causal }) => {
  let head = 0, t = 1, mask = false, weights = [];
  const form = controls(root);
  const say = line(root, 'Point at a cell, or move with the arrow keys.');
  const table = grid(root.querySelector('table'), say,
    (i, j, row, column) => looks(row, column, weights[i][j]));
  const draw = () => {
    weights = scores[head].map((row, i) =>
      softmax(row.map((s, j) => mask && j > i ? null : s), t));
    table.cells.forEach((row, i) =>
      row.forEach((cell, j) => weight(cell, weights[i][j])));
    table.refresh();
  };
  if (heads.length > 1) pick(form, 'head', heads, n => { head = n; draw(); });
  if (divide) {
    slide(form, 'divide scores by', { min: -3, max: 4, step: 0.25, value: 0 },
      x => round(2 ** x, 2).toFixed(2), x => { t = 2 ** x; draw(); });
  }
  if (causal) tick(form, 'causal mask', on => { mask = on; draw(); });
  draw();
});

/* @matrix */
start('matrix', (root, { names, values, digits }) => {
  let name = 0;
  const write = v => v.toFixed(digits).replace('-', '−');
  const say = line(root, 'Point at a cell, or move with the arrow keys.');
  const ends = root.querySelectorAll('.pv-legend span');
  const bar = root.querySelector('.pv-legend i').style;
  const table = grid(root.querySelector('table'), say, (i, j, row, column, cell) =>
    `“${row}”, “${column}”: ${cell.textContent}`
      + (names[name] && ` (${names[name]})`));
  const draw = n => {
    name = n;
    const low = Math.min(0, ...values[n].flat());
    const high = Math.max(0, ...values[n].flat()) || Number(!low);
    const most = Math.max(-low, high), width = high - low;
    table.cells.forEach((row, i) => row.forEach((cell, j) =>
      paint(cell, write(values[n][i][j]), values[n][i][j] / most)));
    ends[0].textContent = write(low);
    ends[1].textContent = write(high);
    bar.backgroundPosition = `${100 * (low + most) / (2 * most - width || 1)}%`;
    bar.backgroundSize = `${200 * most / width}%`;
    table.refresh();
  };
  if (names.length > 1) pick(controls(root), 'values', names, draw, false);
});

/* @lines */
start('lines', (root, { weights, heads }) => {
  const left = [...root.querySelectorAll('.pv-from li')];
  const right = [...root.querySelectorAll('.pv-to li')];
  const paths = [...root.querySelectorAll('path')];
  const words = right.map(item => item.textContent);
  const from = left.map(item => item.textContent);
  const shares = right.map(item => {
    const share = make('span');
    item.append(share);
    return share;
  });
  const hint = 'Point at a word on the left, or move with the arrow keys.';
  const say = line(root, hint);
  let head = 0, at = null;
  const best = row => row.map((w, j) => [w, words[j]]).sort((a, b) => b[0] - a[0])
    .slice(0, 3).map(([w, word]) => `“${word}” ${percent(w)}`).join(', ');
  const draw = () => {
    const rows = weights[head];
    paths.forEach((path, n) => {
      const i = Math.floor(n / words.length);
      path.style.setProperty('--w', rows[i][n % words.length]);
      path.classList.toggle('pv-off', at !== null && at !== i);
    });
    left.forEach((item, i) => {
      item.classList.toggle('pv-at', at === i);
      item.ariaSelected = at === i;
    });
    shares.forEach((share, j) => {
      share.textContent = at === null ? '' : percent(rows[at][j]);
      right[j].classList.toggle('pv-at', at !== null && rows[at][j] >= 0.2);
    });
    say(at === null ? hint : `“${from[at]}” looks at ${best(rows[at])}.`);
  };
  const next = (key, n) => ({ ArrowDown: n + 1, ArrowUp: n - 1 })[key] ?? -1;
  left.forEach(item => { item.role = 'option'; });
  const list = root.querySelector('.pv-from');
  Object.assign(list, { role: 'listbox', ariaLabel: 'look from' });
  roving(left, next, i => { at = i; draw(); });
  root.querySelector('.pv-lines').addEventListener('pointerleave', () => {
    const focused = left.indexOf(document.activeElement);
    at = focused < 0 ? null : focused;
    draw();
  });
  if (heads.length > 1) pick(controls(root), 'head', heads, n => { head = n; draw(); });
  draw();
});

/* @steps */
start('steps', (root, { scale, names }) => {
  const frames = [...root.querySelectorAll('.pv-frame')];
  const form = controls(root);
  const say = line(root, '');
  const number = (n, i, j) => grids[n].cells[i][j].textContent;
  const sentences = [
    (i, j, row, column, { textContent: x }) =>
      `q of “${row}” · k of “${column}” = ${x}`,
    (i, j, row, column, { textContent: x }) => `${number(0, i, j)} ÷ ${scale} = ${x}`,
    (i, j, row, column, cell) => cell.classList.contains('pv-masked')
      ? `“${row}” may not look at “${column}”: the score becomes −∞.`
      : `“${row}” may look at “${column}”: the score stays ${cell.textContent}.`,
    (i, j, row, column, cell) => looks(row, column,
      cell.classList.contains('pv-masked') ? null : +cell.textContent),
    (i, j, row, column, { textContent: x }) =>
      `Output of “${row}”, number ${column}: ${x}, the sum of weight × v.`,
  ];
  const grids = frames.map((frame, n) =>
    grid(frame.querySelector('table'), say, sentences[n]));
  let at = 0;
  const show = n => {
    at = n;
    frames.forEach((frame, m) => { frame.hidden = m !== n; });
    back.disabled = n === 0;
    next.disabled = n === frames.length - 1;
    say('Point at a cell, or move with the arrow keys.');
    grids[n].refresh();
  };
  const labels = names.map((name, n) => `${n + 1} ${name}`);
  const go = pick(form, 'step', labels, show, false);
  const move = by => frames[at + by] && go(at + by);
  const back = make('button', { type: 'button', onclick: () => move(-1) }, '← back');
  const next = make('button', { type: 'button', onclick: () => move(1) }, 'next →');
  form.append(make('span', { className: 'pv-pair' }, back, next));
  form.addEventListener('keydown', event => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.target.tagName === 'INPUT') return;
    event.preventDefault();
    move(by);
  });
  show(0);
});

/* @quiz */
start('quiz', root => {
  const reasons = [...root.querySelectorAll('details li')];
  const labels = [...root.querySelectorAll('fieldset label')];
  root.querySelector('details').remove();
  const output = make('p', { className: 'pv-say', role: 'status' });
  root.querySelector('form').append(output);
  labels.forEach((label, n) => label.addEventListener('change', () => {
    labels.forEach(other => { delete other.dataset.picked; });
    label.dataset.picked = reasons[n].textContent.startsWith('✓') ? 'right' : 'wrong';
    output.replaceChildren(...reasons[n].cloneNode(true).childNodes);
  }));
});
