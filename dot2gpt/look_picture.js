/* Who looks at whom. Follows live_picture.js. */
start('look', (root, { x, features, made }) => {
  const svg = root.querySelector('svg'), rows = [...root.querySelectorAll('tbody tr')];
  const words = rows.map(row => row.querySelector('th').textContent);
  const arcs = [...svg.querySelectorAll('.pv-arc')];
  const fields = [...svg.querySelectorAll('.pv-self')];
  const form = controls(root), say = line(root, '');
  const unit = [[1, 0], [0, 1]];
  let weights = [];
  const matrices = [unit, unit].map(w => w.map(row => [...row]));
  const table = grid(root.querySelector('table'), say, (i, j, row, column) =>
    looks(row, column, weights[i][j]));
  const times = (row, w) => [0, 1].map(n => row[0] * w[0][n] + row[1] * w[1][n]);
  const told = () => {
    const strong = weights.flatMap((row, i) => row.map((w, j) => [w, i, j]))
      .filter(([, i, j]) => i !== j).sort((a, b) => b[0] - a[0]).slice(0, 2);
    return strong.map(([w, i, j]) => `“${words[i]}” looks at “${words[j]}” with `
      + `${percent(w)}, and is looked at with ${percent(weights[j][i])}.`).join(' ');
  };
  const draw = () => {
    const [q, k] = matrices.map(w => x.map(row => times(row, w)));
    weights = q.map(a => softmax(k.map(b => dot(a, b)), 1));
    const even = 1 / words.length + 0.005;
    const pairs = weights.flatMap((row, i) => row.filter((_, j) => j !== i));
    arcs.forEach((arc, n) => {
      arc.style.setProperty('--w', pairs[n].toFixed(3));
      arc.classList.toggle('pv-out', pairs[n] <= even);
    });
    fields.forEach((field, i) =>
      field.style.setProperty('--w', weights[i][i].toFixed(3)));
    table.cells.forEach((row, i) =>
      row.forEach((cell, j) => weight(cell, weights[i][j])));
    svg.setAttribute('aria-label', told());
    say(told());
  };
  const inputs = ['W_Q', 'W_K'].map((name, m) => {
    const group = make('form', { method: 'dialog' });
    group.className = 'pv-controls pv-sliders';
    group.append(make('p', {}, `${name}: what a word ${m ? 'offers' : 'looks for'}`));
    features.forEach((feature, i) => [0, 1].forEach(n =>
      slide(group, `${name} ${feature} ${n + 1}`,
        { min: -4, max: 4, step: 0.5, value: unit[i][n] }, a => fixed(a, 1),
        a => { matrices[m][i][n] = a; draw(); })));
    root.querySelector('.pv-stage').before(group);
    return [...group.querySelectorAll('input')];
  });
  const set = pair => () => pair.forEach((w, m) => w.flat().forEach((a, n) => {
    inputs[m][n].value = a;
    inputs[m][n].oninput();
  }));
  press(form, 'both the unit matrix', set([unit, unit]));
  press(form, 'made by hand', set(made));
  draw();
});
