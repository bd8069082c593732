/* A sentence whose words look at each other. Follows parts.js. */

const MOST = 10;
const WORD = /\p{Script=Han}|(?:(?!\p{Script=Han})[\p{L}\p{M}\p{N}'’-])+/gu;

start('sentence', (root, { features, rows, text, query }) => {
  const known = new Map(Object.entries(rows).flatMap(([numbers, words]) =>
    words.split(' ').map(word => [word, [...numbers].map(Number)])));
  const key = word => word.toLowerCase().replaceAll('’', '\'');
  const rowOf = word => known.get(key(word)) ?? known.get(key(word).replace(/s$/, ''))
    ?? (/(ed|ing)$/.test(key(word)) ? [1, 0, 3, 0] : [0, 3, 0, 0]);
  const whole = x => `${x}`, short = x => x.toFixed(2);
  const named = numbers => [...numbers].map((x, n) => `${features[n]} ${short(x)}`)
    .join(', ');
  let words = [], at = query, step = 0, seen;

  // --- what it computes: row i of each table belongs to word i as the query ---
  const compute = () => {
    const x = table(words.length, features.length);
    words.forEach((word, i) => row(x, i).set(rowOf(word)));
    const scores = linear(x, { weight: x });
    const scaled = map(scores, score => score / Math.sqrt(x.size));
    const mask = (i, j) => j <= i;
    const masked = map(scaled, (score, n) =>
      mask(Math.floor(n / x.rows), n % x.rows) ? score : -Infinity);
    const { output, weights: [weights] } = attention(x, x, x, 1, mask);
    seen = [x, scores, scaled, masked, weights, output];
  };

  // --- the parts of the page ---
  const say = line(root, '');
  const stage = make('div', { className: 'stage' });
  const heat = make('div', { className: 'squares', ariaHidden: true });
  const numbers = make('table', {}, make('thead'), make('tbody'), make('tfoot'));
  const steps = form(), asks = form();
  const said = [...root.querySelectorAll('.steps > li')];
  const names = said.map(item => item.querySelector('b').textContent);
  const box = make('input', {
    type: 'text', value: text, maxLength: 90, spellcheck: false,
    oninput: () => read(box.value),
  });
  stage.append(make('div', {
    className: 'pv-scroll', tabIndex: 0, role: 'group', ariaLabel: 'table',
  }, numbers), heat);
  root.querySelector('.still').before(stage);
  root.prepend(form(make('label', { className: 'wide' }, 'your sentence', box)), asks,
    steps);

  // --- what it shows ---
  const cell = (text, strength) => tint(make('td', {}, text), strength);
  const field = (word, n) => {
    const input = make('input', {
      type: 'number', min: 0, max: 3, value: rowOf(word)[n],
      ariaLabel: `${features[n]} of ${word}`, oninput: () => {
        const all = [...rowOf(word)];
        all[n] = Math.min(3, Math.max(0, Math.round(+input.value)));
        known.set(key(word), all);
        compute();
        numbers.querySelectorAll('input').forEach((other, m) => {
          const x = seen[0].data[m];
          if (other !== input) other.value = x;
          tint(other.parentElement, x / 3);
        });
        tell();
      },
    });
    return tint(make('td', {}, input), rowOf(word)[n] / 3);
  };
  const column = (n, show, name = names[n]) => ({ name, of: j => {
    const x = row(seen[n], at)[j];
    return cell(x === -Infinity ? '−∞' : show(x), x / strongest(n));
  } });
  const columns = () => {
    const x = seen[0], q = row(x, at), weights = row(seen[4], at);
    const each = of => features.map((name, n) =>
      ({ name, of: j => of(row(x, j)[n], n, j) }));
    const divided = `÷ √${x.size}`, part = j => short(weights[j]).replace(/^0/, '');
    return [
      () => each((number, n, j) => field(words[j], n)),
      () => [...each((number, n) => cell(`${q[n]}·${number}`, q[n] * number / 9)),
        column(1, whole)],
      () => [column(1, whole), column(2, short, divided)],
      () => [column(2, short, divided), column(3, short)],
      () => [column(3, short), column(4, short)],
      () => [column(4, short), ...each((number, n, j) =>
        cell(`${part(j)}·${number}`, weights[j] * number / 3))],
    ][step]();
  };
  const strongest = n => n === 0 || n === 5 ? 3 : n === 4 ? 1
    : Math.max(...seen[1].data) || 1;
  const head = (scope, text) => make('th', { scope }, text);
  const draw = () => {
    const shown = columns(), [top, body, foot] = numbers.children;
    top.replaceChildren(make('tr', {}, make('td'),
      ...shown.map(({ name }) => head('col', name))));
    body.replaceChildren(...words.map((word, j) => make('tr',
      { className: j === at ? 'pv-row' : '' }, head('row', word),
      ...shown.map(({ of }) => of(j)))));
    foot.replaceChildren();
    if (step === 5) {
      const mix = row(seen[5], at);
      foot.append(make('tr', {}, head('row', 'together'), cell('1', 1),
        ...Array.from(mix, x => cell(short(x), x / 3))));
    }
    said.forEach((item, n) => { item.hidden = n !== step; });
    back.disabled = step === 0;
    next.disabled = step === names.length - 1;
    drawHeat();
    tell();
  };
  const drawHeat = () => {
    heat.hidden = step === 0;
    heat.replaceChildren(...squares(seen[step], strongest(step), at, ask),
      make('p', {}, 'every word as the query'));
  };
  const tell = () => {
    const q = row(seen[0], at), word = `“${words[at]}”`;
    const [scores, scaled, , weights] = seen.slice(1, 5).map(x => row(x, at));
    const order = [...words.keys()].sort((a, b) => scores[b] - scores[a] || a - b);
    const best = order.find(j => j !== at) ?? at, later = words.slice(at + 1);
    const k = row(seen[0], best);
    say([
      () => `${word} is ${[...q].map((x, n) => `${features[n]} ${x}`).join(', ')}.`,
      () => `${word} · “${words[best]}” = `
        + `${[...q].map((x, n) => `${x}·${k[n]}`).join(' + ')} = ${scores[best]}.`,
      () => `${word} and “${words[best]}”: ${scores[best]} ÷ √${q.length} = `
        + `${short(scaled[best])}.`,
      () => later.length
        ? `${word} may not look at ${later.map(other => `“${other}”`).join(', ')}.`
        : `${word} is the last word: nothing is hidden from it.`,
      () => `${word} looks at ` + order.filter(j => weights[j] > 0).slice(0, 3)
        .map(j => `“${words[j]}” ${percent(weights[j])}`).join(', ') + '.',
      () => `${word} was ${named(q)}, and is now ${named(row(seen[5], at))}.`,
    ][step]());
  };

  // --- what the reader does ---
  const read = text => {
    const all = text.match(WORD) ?? [];
    if (!all.length) return say('Write a word or more.');
    words = all.slice(0, MOST);
    at = Math.min(at, words.length - 1);
    asks.replaceChildren();
    ask = pick(asks, 'query', words, i => { at = i; draw(); });
    compute();
    ask(at);
    if (all.length > MOST) say(`The first ${MOST} words are taken.`);
  };
  let ask;
  const go = pick(steps, 'step', names, n => { step = n; draw(); }, false);
  const back = button('← back', () => go(step - 1));
  const next = button('next →', () => go(step + 1));
  steps.append(make('span', { className: 'pv-pair' }, back, next));
  read(text);
});
