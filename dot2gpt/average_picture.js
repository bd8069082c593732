/* A query among keys. Follows live_picture.js. */
start('average', (root, { plane, points, factors, start: from }) => {
  const [left, right, , high] = plane;
  const stage = root.querySelector('.pv-stage'), svg = stage.querySelector('svg');
  const { path, put } = sheet(plane);
  const ties = [...svg.querySelectorAll('.pv-tie')];
  const rows = [...root.querySelectorAll('tbody tr')];
  const names = rows.map(row => row.querySelector('th').textContent);
  const form = controls(root), say = line(root, '');
  form.after(make('p', { className: 'pv-hint' }, `Drag the tip of the query, ${HOW}`));
  let query = [...from], factor = 1;
  const above = ([x, y]) => [clamp(x, left + 0.5, right - 0.5),
    Math.min(high - 0.3, y + 0.22)];
  const draw = () => {
    const scores = points.map(point => factor * dot(query, point));
    const weights = softmax(scores, 1);
    const mean = [0, 1].map(n => points.reduce((sum, point, j) =>
      sum + weights[j] * point[n], 0));
    ties.forEach((tie, j) => {
      path(tie, mean, points[j]);
      tie.style.setProperty('--w', weights[j].toFixed(3));
    });
    path(svg.querySelector('path.pv-a'), ...arrow(query));
    put(svg.querySelector('text.pv-a'), above(query));
    put(svg.querySelector('circle.pv-b'), mean, 'cx', 'cy');
    put(svg.querySelector('text.pv-b'), above(mean));
    rows.forEach((row, j) => {
      const [score, weight] = row.querySelectorAll('.pv-n');
      score.textContent = fixed(scores[j]);
      weight.textContent = `${fixed(100 * weights[j], 1)} %`;
      row.querySelector('i').style.width = `${round(100 * weights[j], 1)}%`;
    });
    const top = weights.indexOf(Math.max(...weights)), most = weights[top];
    const where = `(${mean.map(x => fixed(x)).join(', ')})`;
    const sentence = Math.max(...scores) - Math.min(...scores) < 1e-9
      ? `All scores are equal: the average is the plain mean, ${where}.`
      : most > 0.995 ? `${names[top]} takes all: the average lies on it, ${where}.`
      : `Most goes to ${names[top]}, ${percent(most)}. The average is at ${where}, `
        + 'inside the polygon.';
    svg.setAttribute('aria-label', `A query among ${names.length} points. ${sentence}`);
    say(sentence);
  };
  const tip = handle(stage, plane, 'tip of the query', query,
    at => { query = at; draw(); });
  slide(form, 'scores times', {
    min: 0, max: factors.length - 1, step: 1, value: factors.indexOf(1),
  }, n => `${factors[n]}`, n => { factor = factors[n]; draw(); });
  const slider = form.querySelector('input');
  press(form, 'start again', () => {
    query = [...from];
    tip(query);
    slider.value = factors.indexOf(1);
    slider.oninput();
  });
  draw();
});
