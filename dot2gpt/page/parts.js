/* What the figures that compute share. Follows engine.js, and the core and sliders of
   pictures.js, in one function: nothing here is global. */

const button = (text, onclick) => make('button', { type: 'button', onclick }, text);
const form = (...children) =>
  make('form', { className: 'pv-controls', method: 'dialog' }, ...children);
const part = (title, hint, ...children) => {
  const box = make('fieldset', {}, make('legend', {}, title));
  if (hint) box.append(make('p', { className: 'hint' }, hint));
  box.append(...children);
  return box;
};
const told = (role = 'status') => make('p', { className: 'pv-say', role });
const best = (numbers, n) => [...numbers.keys()]
  .sort((a, b) => numbers[b] - numbers[a] || a - b).slice(0, n);
const arrows = last => (key, n) => ({
  ArrowRight: n + 1, ArrowDown: n + 1, ArrowLeft: n - 1, ArrowUp: n - 1,
  Home: 0, End: last,
})[key] ?? -1;

// strength: from 0 to 1; −∞ is masked.
const tint = (element, strength) => {
  element.style.setProperty('--w', strength > 0 ? strength : 0);
  element.classList.toggle('pv-masked', strength === -Infinity);
  return element;
};

// A table as squares, its largest number `most`; row `at` has a frame.
const squares = (x, most, at, choose) => Array.from({ length: x.rows }, (_, i) =>
  make('div', { className: i === at ? 'on' : '', onclick: () => choose(i) },
    ...Array.from(row(x, i), number => tint(make('i'), number / most))));

// Weights lie in the page, or in a script beside it that hands them over.
const load = (root, { step, source }) => new Promise((resolve, reject) => {
  const inside = root.querySelector(`script[data-step="${step}"]`);
  if (inside) return resolve(JSON.parse(inside.textContent));
  const script = make('script', { src: source, onerror: reject });
  script.addEventListener('weights', event => resolve(event.detail));
  document.head.append(script);
}).then(unpack);

// Where row i looks: the weights of a head, or of the one after the last their mean.
const lookOf = (heads, head, i) => head < heads.length ? row(heads[head], i)
  : row(heads[0], i).map((_, j) =>
    heads.reduce((sum, weights) => sum + row(weights, i)[j], 0) / heads.length);
