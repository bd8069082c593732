/* A mask to click. Follows live_picture.js. */
start('mask', (root, { x, real }) => {
  const table = root.querySelector('.pv-scroll table');
  const words = [...table.querySelectorAll('tbody th')].map(th => th.textContent);
  const bars = [...root.querySelectorAll('.pv-bars tbody tr')];
  const feel = root.querySelector('.pv-feel'), width = Math.sqrt(x[0].length);
  const form = controls(root);
  const changes = make('form', { className: 'pv-controls', method: 'dialog' });
  form.after(make('p', { className: 'pv-hint' },
    'Click a cell to hide or show a key, or press Enter on it.'));
  feel.before(changes);
  const say = line(root, '');
  let may = x.map(row => x.map(() => true)), changed = x.length - 1;
  let weights = [], moves = [], pointed = false;
  const times = (a, b) => a.reduce((sum, number, n) => sum + number * b[n], 0);
  const attend = input => {
    const looks = input.map((q, i) => softmax(input.map((k, j) =>
      may[i][j] ? times(q, k) / width : null), 1));
    return [looks, looks.map(row => x[0].map((_, n) =>
      row.reduce((sum, w, j) => sum + (w ?? 0) * input[j][n], 0)))];
  };
  const list = numbers => numbers.map(n => `“${words[n]}”`).join(', ') || 'none';
  const told = () => {
    const all = [...words.keys()], blind = all.filter(i => !may[i].some(Boolean));
    const feels = all.filter(i => moves[i]);
    return `A change of “${words[changed]}” is felt by: ${list(feels)}.`
      + (blind.length ? ` Sees nothing, so gets 0: ${list(blind)}.` : '');
  };
  const cells = grid(table, say, (i, j, row, column) => {
    pointed = true;
    return `${looks(row, column, weights[i][j])} ${told()}`;
  });
  const draw = () => {
    const input = x.map((row, i) => i === changed ? row.map(n => -n) : row);
    const [, after] = attend(input), [now, before] = attend(x);
    weights = now;
    const far = (a, b) => Math.hypot(...a.map((number, n) => number - b[n]));
    moves = before.map((row, i) => far(row, after[i]));
    const most = far(x[changed], input[changed]) || 1;
    cells.cells.forEach((row, i) => row.forEach((cell, j) => {
      weight(cell, weights[i][j]);
      cell.ariaSelected = may[i][j];
    }));
    bars.forEach((row, i) => {
      row.querySelector('.pv-n').textContent = moves[i] ? fixed(moves[i]) : '0';
      const share = round(100 * Math.min(1, moves[i] / most), 1);
      row.querySelector('i').style.width = `${share}%`;
    });
    feel.textContent = `how far each output moves when “${words[changed]}” is changed`;
    if (pointed) cells.refresh();
    else say(told());
  };
  const flip = (i, j) => { may[i][j] = !may[i][j]; draw(); };
  cells.cells.forEach((row, i) => row.forEach((cell, j) => {
    cell.addEventListener('click', () => flip(i, j));
    cell.addEventListener('keydown', event => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      event.stopPropagation();
      flip(i, j);
    });
  }));
  const set = rule => () => {
    may = x.map((row, i) => x.map((key, j) => rule(i, j)));
    draw();
  };
  press(form, 'no mask', set(() => true));
  press(form, 'causal', set((i, j) => j <= i));
  press(form, 'padding', set((i, j) => real[j]));
  press(form, 'causal & padding', set((i, j) => j <= i && real[j]));
  pick(changes, 'change', words, n => { changed = n; draw(); })(changed);
});
