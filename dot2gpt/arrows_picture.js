/* Two arrows in a plane. Follows live_picture.js. */
start('arrows', (root, { plane, points, pair, words, most }) => {
  const [first, second] = pair, [left, right, low, high] = plane;
  const stage = root.querySelector('.pv-stage'), svg = stage.querySelector('svg');
  const part = name => svg.querySelector(name);
  const { path, put } = sheet(plane);
  const reads = [...root.querySelectorAll('.pv-read td')];
  const cells = [...root.querySelectorAll('.pv-scroll tbody td')];
  const form = controls(root), say = line(root, '');
  form.after(make('p', { className: 'pv-hint' }, `Drag the tip of an arrow, ${HOW}`));
  const from = points.map(point => [...point]);
  const names = [words[first], words[second]];
  const beside = tip => {
    const far = 1 + 0.5 / Math.max(Math.hypot(...tip), 0.01);
    return [clamp(far * tip[0], left + 0.3, right - 0.3),
      clamp(far * tip[1], low + 0.3, high - 0.3) - 0.12];
  };
  cells[second].classList.add('pv-at');
  const draw = () => {
    const a = points[first], b = points[second], product = dot(a, b);
    const [longA, longB] = [Math.hypot(...a), Math.hypot(...b)];
    const shadow = longB ? product / longB : 0;
    const cosine = longA && longB ? clamp(product / (longA * longB), -1, 1) : null;
    const way = longB ? b.map(x => x / longB) : [1, 0];
    const foot = way.map(x => shadow * x);
    path(part('.pv-axis'), way.map(x => -20 * x), way.map(x => 20 * x));
    path(part('.pv-shadow'), [0, 0], foot);
    path(part('.pv-drop'), a, foot);
    path(part('path.pv-a'), ...arrow(a));
    path(part('path.pv-b'), ...arrow(b));
    put(part('text.pv-a'), beside(a));
    put(part('text.pv-b'), beside(b));
    const angle = cosine === null ? 'none' : `${fixed(degrees(cosine), 1)}°`;
    [fixed(longA), angle, cosine === null ? 'none' : fixed(cosine, 3),
      longB ? fixed(shadow) : 'none', fixed(longB), fixed(product),
    ].forEach((text, n) => { reads[n].textContent = text; });
    points.forEach((point, n) => {
      const x = dot(a, point);
      paint(cells[n], fixed(x, 1), clamp(x / most, -1, 1));
    });
    const what = cosine === null ? 'an arrow of length 0 has no direction'
      : Math.abs(product) < 0.005 ? 'a right angle'
      : product > 0 ? 'they make less than 90°' : 'they make more than 90°';
    const sentence = `${names[0]} · ${names[1]} = `
      + `${fixed(shadow)} × ${fixed(longB)} = ${fixed(product)}: ${what}.`;
    svg.setAttribute('aria-label', `Two arrows from one point. ${sentence}`);
    say(sentence);
  };
  const degrees = cosine => Math.acos(cosine) * 180 / Math.PI;
  const tips = pair.map((row, n) => handle(stage, plane, `tip of ${names[n]}`,
    points[row], at => { points[row] = at; draw(); }));
  const move = (n, tip) => { points[pair[n]] = tip; tips[n](tip); draw(); };
  press(form, 'start again', () => pair.forEach((row, n) => move(n, [...from[row]])));
  press(form, 'right angle', () => {
    const a = points[first], b = points[second], long = Math.hypot(...b);
    if (!long) return;
    const way = b.map(x => x / long), height = Math.hypot(...a);
    const up = way[0] * a[1] - way[1] * a[0] < 0 ? -1 : 1;
    const most = Math.min(height, reach([-up * way[1], up * way[0]]));
    move(0, [-up * way[1] * most, up * way[0] * most]);
  });
  press(form, `${names[1]} of length 1`, () => {
    const long = Math.hypot(...points[second]);
    if (long) move(1, points[second].map(x => x / long));
  });
  // How far a direction goes before it leaves the drawing.
  const reach = ([x, y]) => Math.min(
    x > 1e-9 ? right / x : x < -1e-9 ? left / x : Infinity,
    y > 1e-9 ? high / y : y < -1e-9 ? low / y : Infinity);
  draw();
});
