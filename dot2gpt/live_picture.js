/* What the scripts of the pictures share whose input the reader moves. Follows the core,
   grid and slide of pictures.js, in one function: nothing here is global. */

/* @plane */
const fixed = (x, digits = 2) => round(x, digits).toFixed(digits).replace('-', '−');
const dot = ([a, b], [c, d]) => a * c + b * d;
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

// A plane: left, right, low, high, units of its drawing to a step of 1.
const sheet = ([left, , , high, unit]) => {
  const spot = ([x, y]) => [round(unit * (x - left), 1), round(unit * (high - y), 1)];
  const write = points => points.map(point => spot(point).join(' ')).join('L');
  return {
    path: (element, ...points) => element.setAttribute('d', `M${write(points)}`),
    put: (element, point, across = 'x', down = 'y') => {
      const [x, y] = spot(point);
      element.setAttribute(across, x);
      element.setAttribute(down, y);
    },
  };
};

// A line from 0 to a point, and the two sides of its head.
const arrow = ([x, y]) => {
  const length = Math.hypot(x, y) || 1, back = Math.min(0.32, length);
  const [u, v] = [x / length * back, y / length * back];
  const side = s => [x - u + s * 0.4 * v, y - v - s * 0.4 * u];
  return [[0, 0], [x, y], side(1), [x, y], side(-1)];
};

// A handle at a point of the plane: the pointer drags it, the arrow keys move it.
const handle = (stage, [left, right, low, high], name, at, moved) => {
  const knob = make('span', {
    className: 'pv-knob', role: 'slider', tabIndex: 0, ariaLabel: name,
    ariaValueMin: left, ariaValueMax: right,
  });
  const set = ([x, y]) => {
    at = [clamp(x, left, right), clamp(y, low, high)];
    knob.style.left = `${100 * (at[0] - left) / (right - left)}%`;
    knob.style.top = `${100 * (high - at[1]) / (high - low)}%`;
    knob.ariaValueNow = round(at[0], 2);
    knob.ariaValueText = `${fixed(at[0])}, ${fixed(at[1])}`;
  };
  const go = point => { set(point); moved(at); };
  let grip = null;
  knob.addEventListener('pointerdown', event => {
    if (event.button) return;
    event.preventDefault();
    knob.focus({ preventScroll: true });
    knob.setPointerCapture(event.pointerId);
    grip = [event.clientX, event.clientY, ...at];
  });
  knob.addEventListener('pointermove', event => {
    if (!grip) return;
    const unit = stage.getBoundingClientRect().width / (right - left);
    go([grip[2] + (event.clientX - grip[0]) / unit,
      grip[3] - (event.clientY - grip[1]) / unit]);
  });
  for (const end of ['pointerup', 'pointercancel']) {
    knob.addEventListener(end, () => { grip = null; });
  }
  knob.addEventListener('keydown', event => {
    const step = event.shiftKey ? 1 : 0.1, by = {
      ArrowRight: [step, 0], ArrowLeft: [-step, 0],
      ArrowUp: [0, step], ArrowDown: [0, -step],
    }[event.key];
    if (!by) return;
    event.preventDefault();
    go([at[0] + by[0], at[1] + by[1]]);
  });
  stage.append(knob);
  set(at);
  return set;
};

const HOW = 'or move it with the arrow keys (with Shift in larger steps).';
const press = (form, text, onclick) =>
  form.append(make('button', { type: 'button', onclick }, text));
