/* A GPT to write with and to look into. Follows parts.js. */

const TOP = 12, SEED = 1, LONGEST = 4000;

start('gpt', (root, data) => {
  const tokens = new Tokens(data.vocabulary), stage = root.querySelector('.stage');
  const models = new Map(), settings = { seed: SEED, useCache: true, off: new Set() };
  const clock = { true: [], false: [] };  // milliseconds of the last tokens, by cache
  let model, writer, ids, first, at, layer = 0, head = 0, running = false, view;

  // --- words ---
  const word = id => {
    const bytes = tokens.bytes[id], text = tokens.text(bytes);
    const seen = text.replaceAll(' ', '␣').replaceAll('\n', '⏎').replaceAll('\t', '⇥');
    return /[\ufffd\p{C}]/u.test(seen) || !seen ? [...bytes].map(byte =>
      byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')).join(' ') : seen;
  };
  const share = p => `${round(100 * p, 1).toFixed(1)} %`;
  const room = () => model.config.context_length;

  const modelAt = n => {
    if (!models.has(n)) {
      models.set(n, load(root, data.models[n]).then(weights => new GPT(weights)));
    }
    return models.get(n);
  };

  // --- the parts of the page ---
  const box = make('textarea', {
    rows: 4, maxLength: LONGEST, spellcheck: false, ariaLabel: 'text',
    oninput: () => edit(box.value),
  });
  const trouble = told(), speed = told(''), looks = told(), moved = told();
  const go = button('run', () => running ? stop() : run());
  const buttons = form(
    button('step', () => { stop(); step(); draw(); }), go,
    button('take one back', () => {
      stop();
      if (ids.length > 1) change(ids.slice(0, -1));
    }),
    button('start over', () => { stop(); change(tokens.encode(data.prompt)); }),
  );
  const seed = make('input', {
    type: 'number', min: 0, max: 999999, value: SEED,
    oninput: () => { settings.seed = Math.floor(+seed.value) || 0; },
  });
  buttons.append(make('label', {}, 'seed', seed));
  tick(buttons, 'cache', on => { settings.useCache = on; });
  buttons.lastChild.firstChild.checked = true;

  const bars = Array.from({ length: Math.min(TOP, tokens.bytes.length) }, (_, n) => {
    const bar = make('button', { type: 'button', onclick: () => {
      stop();
      change([...ids, view.order[n]]);
    } });
    for (const name of ['name', 'share', 'bar']) {
      bar.append(make('span', { className: `gpt-${name}` }));
    }
    bar.lastChild.append(make('i'), make('b'));
    return bar;
  });
  const rest = make('p', { className: 'gpt-rest' });
  const sliders = form();
  const counts = [1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500]
    .filter(n => n < tokens.bytes.length);
  slide(sliders, 'temperature', { min: 0, max: 2, step: 0.05, value: 1 },
    x => x.toFixed(2), x => { settings.temperature = x; drawBars(); });
  slide(sliders, 'top-k', { min: 0, max: counts.length, value: counts.length },
    x => `${counts[x] ?? 'off'}`, x => { settings.topK = counts[x]; drawBars(); });
  slide(sliders, 'top-p', { min: 0.05, max: 1, step: 0.05, value: 1 },
    x => x < 1 ? x.toFixed(2) : 'off', x => { settings.topP = x; drawBars(); });

  const list = make('ol', {
    className: 'token-list', role: 'listbox', ariaLabel: 'look from', tabIndex: -1,
  });
  const heads = form();
  const says = make('tbody');
  const layers = make('table', {}, make('thead', {}, make('tr', {},
    ...['after', 'first', 'second', 'third'].map(name =>
      make('th', { scope: 'col' }, name)))), says);
  const switches = form(), steps = form(), learned = told('');

  // --- what it computes ---
  const shares = logits => nextProbabilities(logits, settings);
  const inspect = () => {
    const seen = ids.slice(first);
    const { states, weights } = model.read(seen, { off: settings.off });
    const logits = model.logits(lastRow(states.at(-1))).data;
    const whole = settings.off.size
      ? model.logits(lastRow(model.read(seen).states.at(-1))).data : logits;
    view = { seen, states, weights, logits, whole, order: best(logits, TOP) };
  };
  const step = () => {
    writer ??= stream(model, ids, settings, first);
    const before = performance.now(), id = writer.next().value;
    const times = clock[settings.useCache];
    if (times.push(performance.now() - before) > 50) times.shift();
    ids.push(id);
    first = firstVisible(first, ids.length, room());
  };
  const run = () => {
    running = true;
    go.textContent = 'stop';
    const frame = () => {
      if (!running) return;
      if (ids.length >= LONGEST) return stop();
      step();
      draw();
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  };
  const stop = () => {
    running = false;
    go.textContent = 'run';
  };
  const change = next => {
    [ids, writer, first] = [next, null, Math.max(0, next.length - room())];
    draw();
  };
  const edit = text => {
    stop();
    try {
      const next = tokens.encode(text);
      if (!next.length) throw new RangeError('write something: a GPT goes on from it');
      [ids, writer, first] = [next, null, Math.max(0, next.length - room())];
      trouble.textContent = '';
      draw(false);
    } catch (error) {
      trouble.textContent = `Not read: ${error.message}.`;
    }
  };

  // --- what it shows ---
  const drawBars = () => {
    if (!view) return;
    const now = shares(view.logits), whole = shares(view.whole);
    const off = settings.off.size > 0;
    bars.forEach((bar, n) => {
      const id = view.order[n], [name, number, strip] = bar.children;
      const out = now[id] === 0;
      name.textContent = word(id);
      number.textContent = out ? 'out' : share(now[id]);
      strip.firstChild.style.width = `${100 * now[id]}%`;
      strip.lastChild.style.left = `${100 * whole[id]}%`;
      strip.lastChild.hidden = !off;
      bar.classList.toggle('gpt-out', out);
      bar.ariaLabel = `append ${word(id)}, ${number.textContent}`;
    });
    const left = now.filter(p => p > 0);
    const others = 1 - view.order.reduce((sum, id) => sum + now[id], 0);
    const nats = left.reduce((sum, p) => sum - p * Math.log(p), 0);
    rest.textContent = `${now.length - bars.length} others: ${share(Math.max(0, others))}.`
      + ` ${left.length} of ${now.length} tokens can be drawn, as varied as `
      + `${round(Math.exp(nats), 1).toFixed(1)} equally likely ones.`;
    const change = now.reduce((sum, p, n) => sum + Math.abs(p - whole[n]) / 2, 0);
    moved.textContent = off
      ? `${share(change)} of the probability went to other tokens; a line in each bar `
        + 'shows where it ended with everything on.'
      : 'Everything is on.';
  };
  const drawText = () => {
    list.replaceChildren(...view.seen.map(id => make('li', { role: 'option' },
      make('span', {}, word(id)), make('small'))));
    at = view.seen.length - 1;
    roving([...list.children], arrows(at), n => { at = n; drawLooks(); });
    [...list.children].forEach((item, n) => { item.tabIndex = n === at ? 0 : -1; });
    list.scrollTop = list.scrollHeight;
  };
  const drawLooks = () => {
    const looked = lookOf(view.weights[layer], head, at);
    [...list.children].forEach((item, j) => {
      item.style.setProperty('--w', looked[j]);
      item.classList.toggle('token-later', j > at);
      item.ariaSelected = j === at;
      item.lastChild.textContent = looked[j] >= 0.005 ? percent(looked[j]) : '';
    });
    looks.textContent = `“${word(view.seen[at])}” looks at ` + best(looked, 3)
      .filter(j => looked[j] > 0)
      .map(j => `“${word(view.seen[j])}” ${percent(looked[j])}`).join(', ') + '.';
    says.replaceChildren(...view.states.map((state, n) => {
      const p = nextProbabilities(model.logits(table(1, state.size, row(state, at))).data,
        {});
      return make('tr', {}, make('th', { scope: 'row' }, n ? `layer ${n}` : 'the tables'),
        ...best(p, 3).map(id => make('td', {}, `${word(id)} ${percent(p[id])}`)));
    }));
  };
  const drawSpeed = () => {
    const middle = times => [...times].sort((a, b) => a - b)[times.length >> 1];
    const of = (times, name) => times.length
      ? [`${name} ${middle(times).toFixed(2)} ms`] : [];
    const said = [...of(clock.true, 'with the cache'), ...of(clock.false, 'without it')];
    speed.textContent = `${ids.length} tokens, the model sees the last ${view.seen.length}`
      + ` (${room()} at most).${said.length ? ` Time a token: ${said.join(', ')}.` : ''}`;
  };
  const draw = (write = true) => {
    inspect();
    if (write) {
      box.value = tokens.decode(ids);
      box.scrollTop = box.scrollHeight;
      trouble.textContent = '';
    }
    drawBars();
    drawText();
    drawLooks();
    drawSpeed();
  };

  // --- switches, and the training ---
  const flip = (name, label) => {
    const input = make('input', { type: 'checkbox', checked: true, onchange: () => {
      settings.off[input.checked ? 'delete' : 'add'](name);
      writer = null;
      inspect();
      drawBars();
      drawLooks();
    } });
    return make('label', {}, input, label);
  };
  const build = () => {
    const { n_layers: nLayers, n_heads: nHeads } = model.config;
    const numbers = n => Array.from({ length: n }, (_, m) => `${m + 1}`);
    pick(heads, 'layer', numbers(nLayers), n => { layer = n; drawLooks(); });
    pick(heads, 'head', [...numbers(nHeads), 'mean'], n => { head = n; drawLooks(); });
    numbers(nLayers).forEach((name, n) => switches.append(make('div',
      { role: 'group', ariaLabel: `layer ${name}`, className: 'gpt-row' },
      flip(`${n}`, `layer ${name}`),
      ...numbers(nHeads).map((name, m) => flip(`${n}.${m}`, `head ${name}`)))));
    const last = data.models.length - 1;
    let wanted = last;
    const about = n => {
      const { step, loss } = data.models[n];
      learned.textContent = `After ${step} steps: ${loss.toFixed(2)} nats a ${data.unit} `
        + 'on text that it has not seen.';
    };
    slide(steps, 'steps of training', { min: 0, max: last, value: last },
      n => `${data.models[n].step}`, n => {
        wanted = n;
        modelAt(n).then(next => {
          if (wanted !== n) return;
          stop();
          [model, writer] = [next, null];
          about(n);
          draw();
        }, () => { learned.textContent = 'These weights could not be loaded.'; });
      });
    root.querySelector('.still').remove();
    stage.append(
      part('Text', '', box, trouble, buttons, speed),
      part('The next token', 'Press a bar to append its token.', ...bars, rest, sliders),
      part('Who looks at whom', 'Point at a token, or move with the arrow keys.',
        heads, list, looks),
      part('What each layer would say',
        'The output layer, applied to the chosen token after each layer.', layers),
      part('Switched off', 'Take a head or a whole layer away.', switches, moved),
    );
    if (last) {
      stage.append(part('While it learns', '', steps, learned));
      about(last);
    }
  };

  modelAt(data.models.length - 1).then(loaded => {
    model = loaded;
    build();
    change(tokens.encode(data.prompt));
  }, () => { root.querySelector('.failed').hidden = false; });
});
